"""Thresholds that follow in the RTL of a whole accelerator: every answer, cycle and change."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt import criteria, hold, samples
from exeunt.errors import CheckFailed
from exeunt.hls.back import stitch
from exeunt.hold import Band, Hold
from exeunt.reference import network
from exeunt.samples import Stage
from exeunt.simulate import answers, bulk, following, verilator

pytestmark = pytest.mark.sim
COUNT = 200
STAGES = (
    Stage(2, simd=9, pe=2, parallel=True),
    Stage(2, simd=2),
    Stage(4, pool=False, reduce=False, head_simd=4, head_pe=2),
)
ASKED = hold.Asked((0.6, 0.6), 16, 0.05, 0.2, 1.0)


class Design:
    """A small accelerator in the RTL."""

    def __init__(
        self, folder: Path, *, criterion: str = criteria.DEFAULT, holds: bool = True
    ) -> None:
        self.whole = dataclasses.replace(
            samples.accelerator(STAGES, size=8, classes=4), criterion=criterion
        )
        self.images = samples.images(COUNT, size=8, seed=2)
        self.logits = network.run(self.whole, self.images).logits
        first, second = (
            criteria.every(criterion, self.logits, scales=self.whole.logit_scales)[i].scores
            for i in (0, 1)
        )
        limits = [int(np.quantile(first, 0.4)), int(np.quantile(second, 0.5)), None]
        if criterion == "patience":
            limits = [hold.NEVER, 2, None]
        self.manifest = stitch.write(
            self.whole, folder, thresholds=limits, holds=ASKED if holds else None
        )
        self.library = verilator.build(self.manifest)

    def run(self, held: Hold | None, **settings: Any) -> answers.Answers:
        return answers.answer(
            self.manifest, self.library, self.images, self.logits, hold=held,
            settings=bulk.Settings(**settings),
        )  # fmt: skip


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    return Design(tmp_path_factory.mktemp("held"))


BUSY = ({}, {"idle": 0.3, "stall": 0.4, "seed": 3}, {"stall": 0.8, "order": 1, "seed": 4})
EAGER = Hold(16, (Band(10, 12, 60, -400, 400), Band(0, 1, 90, -700, 3)))


@pytest.mark.parametrize("settings", BUSY)
@pytest.mark.parametrize("held", [None, EAGER, Hold(16, (Band(0, 0, 0, 0, 0),) * 2)])
def test_every_answer_whatever_the_cycles(design, held, settings):
    found = design.run(held, **settings)
    assert not len(found.wrong)
    if held is not None:
        following.check_counts(found.held, found.slices[0].trace)
    if held is EAGER:
        assert all(h.raised + h.lowered > 2 for h in found.held)
        plain = design.run(None)
        assert (found.want["exit"] != plain.want["exit"]).sum() > 10


@pytest.mark.parametrize("criterion", ["patience", "temporal"])
def test_criteria_that_carry_or_remember(tmp_path, criterion):
    design = Design(tmp_path, criterion=criterion)
    bands = EAGER.bands
    if criterion == "patience":
        bands = (Band(8, 12, 1, -1, 1), Band(8, 12, 1, -1, 1))
    for settings in BUSY[:2]:
        found = design.run(Hold(16, bands), **settings)
        assert not len(found.wrong)
        following.check_counts(found.held, found.slices[0].trace)
        assert found.held[1].raised + found.held[1].lowered > 2
        assert (found.want["exit"] != design.run(None).want["exit"]).any()


def test_off_or_without_a_step_nothing_is_other_than_without_it(design, tmp_path):
    """The same results in the same cycles as a design that was built without."""
    plain = Design(tmp_path, holds=False)
    assert hold.KEY not in plain.manifest.data
    assert not [r for r in plain.manifest.data["registers"] if r.startswith("hold")]
    still = Hold(16, tuple(dataclasses.replace(b, step=0) for b in EAGER.bands))
    for settings in BUSY:
        want = plain.run(None, **settings).slices[0].trace
        for held in (None, still):
            got = design.run(held, **settings).slices[0].trace
            np.testing.assert_array_equal(got.results, want.results)
            shift = int(got.accepts[0] - want.accepts[0])  # writes come first
            if not settings:
                np.testing.assert_array_equal(got.result_cycles - shift, want.result_cycles)
                np.testing.assert_array_equal(got.accepts - shift, want.accepts)


def test_a_drifting_sequence(design, tmp_path):
    labels = np.zeros(COUNT, np.int64)
    (tmp_path / "exits.json").write_text(json.dumps({"sequence": "0010210" * 60}))
    seen = design.run(None)
    found = following.told(
        design.manifest, design.whole, design.library, design.images, labels, design.logits,
        seen, run_dir=tmp_path,
    )  # fmt: skip
    assert found is not None
    assert found["images"] == 2 * found["half"] == 1000
    assert found["off"]["mismatches"] == found["on"]["mismatches"] == 0
    assert found["off"]["frames_exact"] == found["on"]["frames_exact"] == 1000
    off, on = (found[name]["rates"][0] for name in ("off", "on"))
    assert off[1] < off[0] - 0.2  # more images stay
    assert on[1] > off[1] + 0.1  # fewer of them where thresholds follow
    assert found["on"]["cycles_per_image"][1] < 0.9 * found["off"]["cycles_per_image"][1]
    for row in found["exits"]:
        assert row["path"][0][1] == 0
        assert row["path"][-1][1] == row["offset"]
        assert row["raised"] + row["lowered"] == len(row["path"]) - 1
        assert row["floor"] <= row["offset"] <= row["ceiling"]
    late = found["latency"]
    assert late["decisions"] > 1000
    assert 0.95 * late["decisions"] < late["exact"] <= late["decisions"]
    assert late["late_on"][1] < late["late_off"][1]
    assert all(late["lowered"])


def test_a_design_without_it_has_nothing_to_tell(design, tmp_path):
    data = {k: v for k, v in design.manifest.data.items() if k != hold.KEY}
    manifest = dataclasses.replace(design.manifest, data=data)
    assert manifest.hold is None
    args = (design.library, design.images, np.zeros(COUNT, np.int64), design.logits)
    assert following.told(manifest, design.whole, *args, design.run(None), run_dir=tmp_path) is None


def test_what_differs_is_a_failed_check(design, monkeypatch, tmp_path):
    found = design.run(EAGER)
    trace = found.slices[0].trace
    for place, name in ((0, "offset"), (1, "offset"), (3, "changes")):
        reads = list(trace.reads)
        reads[place] ^= 1
        with pytest.raises(CheckFailed) as told:
            following.check_counts(found.held, dataclasses.replace(trace, reads=tuple(reads)))
        assert str(told.value) == (
            f"The register hold_{name} of exit {place % 2} must read {trace.reads[place]:#010x} "
            f"behind the last image and reads {reads[place]:#010x}: look at ex_hold with "
            "`--waves vcd`"
        )
    late = dataclasses.replace(EAGER, limit=int(np.median(found.latency)))
    (part,) = bulk.run(
        design.manifest, design.library, design.images, more=answers.writes(late),
        reads=answers.counts(late),
    )  # fmt: skip
    _, held = following.replayed(design.manifest, design.logits, late, part.trace)
    following.check_counts(held, part.trace)
    assert any(h.lowered or h.raised for h in held)
    takes = part.trace.takes[0].copy()
    takes[7] ^= True
    with pytest.raises(CheckFailed) as told:
        following.replayed(
            design.manifest, design.logits, late,
            dataclasses.replace(part.trace, takes=(takes, part.trace.takes[1])),
        )  # fmt: skip
    assert str(told.value) == (
        "Exit 0 must decide as the latencies of the results before say and differs for 1 frames, "
        "first frame 7: look at ex_hold with `--waves vcd`"
    )
    results = part.trace.results.copy()
    results[5, 14] ^= 1
    with pytest.raises(CheckFailed) as told:
        following.replayed(
            design.manifest, design.logits, late, dataclasses.replace(part.trace, results=results)
        )
    assert str(told.value) == (
        "The results must have the exit that the decisions say and differ: look at ex_merge with "
        "`--waves vcd`"
    )
    wrong = design.run(None)
    monkeypatch.setattr(following, "answer", lambda *args, **more: wrong)
    monkeypatch.setattr(following, "mismatch_sentence", lambda *args, **more: "image 0 differs")
    wrong.got["class"][0] ^= 1
    with pytest.raises(CheckFailed, match=r"^image 0 differs$"):
        following.told(
            design.manifest, design.whole, design.library, design.images,
            np.zeros(COUNT, np.int64), design.logits, design.run(None), run_dir=tmp_path,
        )  # fmt: skip


def test_images_are_taken_in_turn_from_where_they_leave():
    exits = np.array([0, 2, 0, 2, 0])
    wanted = np.array([0, 0, 2, 1, 0, 0, 2])
    assert following.picked(exits, wanted).tolist() == [0, 2, 1, 4, 0, 2, 3]
