"""Latency and drift: the sequences, what is told of them, and both in the RTL."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from exeunt import criteria, registers, samples, splits
from exeunt.errors import CheckFailed
from exeunt.hls.back import stitch
from exeunt.reference import frames, network, system
from exeunt.samples import Stage
from exeunt.simulate import answers, bulk, traffic, verilator

EXITS = np.random.default_rng(0).choice(3, 1000, p=[0.7, 0.2, 0.1]).astype(np.int64)


def reach(exits: np.ndarray) -> list[int]:
    return [int((exits >= i).sum()) for i in range(3)]


@pytest.mark.parametrize("factor", [0.0, 0.5, 1.0, 1.3, 2.0, 9.0])
def test_as_many_frames_go_on_as_are_asked_for(factor: float) -> None:
    found = traffic.drifted(EXITS, factor, 3)
    before = reach(EXITS)
    assert reach(found) == [1000, *(min(1000, round(factor * n)) for n in before[1:])]
    if factor == 1.0:
        np.testing.assert_array_equal(found, EXITS)
    if factor < 1:
        assert (found <= EXITS).all()  # as few as possible differ
    np.testing.assert_array_equal(found, traffic.drifted(EXITS, factor, 3))


def test_the_last_exit_takes_no_more_than_reach_it() -> None:
    all_hard = np.array([0, 2, 2, 2])
    assert reach(traffic.drifted(all_hard, 2.0, 3)) == [4, 4, 4]


def test_distributions() -> None:
    found = traffic.latency(np.array([0, 0, 0, 1]), np.array([10, 30, 20, 90]), 3)
    assert [row["images"] for row in found["exits"]] == [3, 1, 0]
    first = found["exits"][0]
    assert (first["p50"], first["p95"], first["max"], first["mean"]) == (20, 30, 30, 20.0)
    assert first["curve"] == [10, 20, 30]
    assert found["all"]["p99"] == 90


def test_a_wrong_answer_at_a_drifted_point_or_a_spacing_is_a_failed_check(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    whole = samples.accelerator((Stage(2), Stage(2)), size=6, classes=3)
    images = samples.images(8, size=6, channels=1)
    logits = network.run(whole, images).logits
    manifest = stitch.write(whole, tmp_path, thresholds=[0, None])
    wrong = SimpleNamespace(wrong=np.array([0]), want={"exit": np.array([0, 1] * 4)})
    monkeypatch.setattr(traffic, "answer", lambda *args, **more: wrong)
    monkeypatch.setattr(traffic, "mismatch_sentence", lambda *args, **more: "image 0 differs")
    points = [{"factor": 0.5, "cycles_per_image": 10.0}]
    with pytest.raises(CheckFailed, match=r"^image 0 differs$"):
        traffic.checked(
            manifest, whole, Path(), images, logits, wrong, np.array([0, 1] * 9), points, 100
        )  # type: ignore[arg-type]
    with pytest.raises(CheckFailed, match=r"^image 0 differs$"):
        traffic.spaced(manifest, whole, Path(), images, 50, 200)


def test_the_rtl_shows_what_is_foretold(tmp_path: Path) -> None:
    """Spaced frames and drifted sequences, to the cycle."""
    stages = (
        Stage(5, parallel=True, simd=9, pe=5, pool=False),
        Stage(6, pe=1, reduce=False),
    )
    whole = samples.accelerator(stages, size=6, classes=3)
    images = samples.images(160, size=6, channels=1)
    logits = network.run(whole, images).logits
    scores = criteria.get(whole.criterion).values(logits[0]).scores
    limits = [int(np.quantile(scores, 0.3)), registers.ALWAYS]
    manifest = stitch.write(whole, tmp_path, thresholds=[limits[0], None])
    library = verilator.build(manifest)
    seen = answers.answer(manifest, library, images, logits)
    (tmp_path / "exits.json").write_text(json.dumps({"sequence": "0010" * 60}))
    labels = np.zeros(len(images), np.int64)
    np.savez(tmp_path / splits.SPLITS, validation_images=images, validation_labels=labels)
    promise = {"spaced": {"p50": 1}, "alone": {"p50": 2}, "spacing": 9000, "exits": [85, 5000]}
    found = traffic.told(
        manifest, whole, library, images, logits, seen, run_dir=tmp_path, promise=promise
    )
    calm = found["latency"]["spaced"]
    assert (calm["spacing"], calm["mismatches"]) == (9000, 0)
    assert (calm["promised"], calm["alone"]) == ({"p50": 1}, False)
    assert calm["frames_exact"] == calm["all"]["images"] == traffic.SHOWN // 9000
    sizes = system.Sizes.of(manifest.data)
    alone = system.predict(whole, np.array([0]), sizes=sizes, gives=False).reported[0]
    assert calm["exits"][0]["p50"] == alone  # nobody waits for another one
    assert found["latency"]["exits"][1]["p99"] > calm["exits"][1]["p99"]
    assert [p["factor"] for p in found["drift"]["points"]] == list(traffic.FACTORS)
    assert found["pace"]["cycles_per_image"] == frames.pace(seen.slices[0].trace.accepts)
    assert found["pace"]["of_ideal"] == found["pace"]["ideal"] / found["pace"]["cycles_per_image"]
    assert 0.8 < found["pace"]["of_ideal"] < 1.1  # a few frames are still inside at the end
    paces = [p["cycles_per_image"] for p in found["drift"]["points"]]
    assert paces[0] < paces[-1]
    for point in found["drift"]["checked"]:
        assert point["mismatches"] == 0
        assert point["frames_exact"] == point["images"] >= 40
        assert point["cycles_per_image"] == point["predicted"]
    assert [p["factor"] for p in found["drift"]["checked"]] == list(traffic.CHECKED)
    accepts = answers.answer(
        manifest, library, images[:5], [x[:5] for x in logits], settings=bulk.Settings(spacing=999)
    ).slices[0].trace.accepts  # fmt: skip
    np.testing.assert_array_equal(np.diff(accepts), 999)
