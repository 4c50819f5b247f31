"""Every criterion in the RTL of a whole accelerator: answers, cycles and every other reference."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt import criteria, registers, samples
from exeunt.bench import measure, processor
from exeunt.criteria.criterion import NEVER, nothing
from exeunt.graph import Accelerator, IntArray
from exeunt.hls.back import stitch
from exeunt.reference import network, system
from exeunt.reference.golden import make
from exeunt.reference.modelled import Modelled
from exeunt.runtime import Accelerator as Driver
from exeunt.samples import Stage
from exeunt.simulate import answers, verilator
from exeunt.simulate.simulated import Simulated

pytestmark = pytest.mark.sim

FRAMES = 150


def stream(count: int, *, size: int = 8) -> np.ndarray:
    """Images that come in rows of similar ones, so that the order counts."""
    base = samples.images(-(-count // 5), size=size, seed=3)
    images = np.repeat(base, 5, axis=0)[:count].astype(np.int64)
    noise = np.random.default_rng(1).integers(-9, 10, images.shape)
    return (images + noise).clip(0, 255).astype(np.uint8)


def limits(name: str, logits: tuple[IntArray, ...]) -> list[list[int]]:
    """Sets of thresholds, with which images leave at every exit in some set."""
    rule = criteria.get(name)
    found: list[list[int]] = []
    for part in (0.5, 0.8):
        chosen: list[int] = []
        for e in range(len(logits) - 1):
            left = criteria.run(rule, logits[: e + 2], [*chosen, NEVER])
            there = criteria.run(rule, logits[: e + 1], chosen).exits == e
            scores = criteria.run(rule, logits[: e + 1], chosen).scores[there]
            assert (left.exits[there] == e + 1).all()
            value = int(np.quantile(scores, part)) if len(scores) else NEVER
            chosen.append(value if (scores < value).any() else NEVER)
        found.append(chosen)
    return found


QUICK = ("exclusion", "temporal")  # the others are slow


def marked(names: list[str]) -> list[Any]:
    return [pytest.param(n, marks=() if n in QUICK else (pytest.mark.slow,), id=n) for n in names]


@pytest.mark.parametrize("name", marked([*criteria.names()]))
def test_every_answer_and_every_cycle(name: str, tmp_path: Path) -> None:
    whole: Accelerator = dataclasses.replace(samples.accelerator(), criterion=name)
    images = stream(FRAMES)
    logits = network.run(whole, images).logits
    sets = limits(name, logits)
    manifest = stitch.write(whole, tmp_path, thresholds=[*sets[0], None])
    library = verilator.build(manifest)
    left = np.zeros(3, np.int64)
    for chosen in sets:
        words = [*chosen, registers.ALWAYS]
        found = answers.answer(manifest, library, images, logits, thresholds=words, processes=2)
        assert not len(found.wrong), f"{chosen}: {found.wrong}"
        cycles, _ = answers.check_cycles(manifest, whole, found)
        assert cycles["frames_exact"] == cycles["frames_total"] == FRAMES
        want = [found.want[n].tolist() for n in ("class", "exit")]
        got = processor.Reference(whole).classify(images, chosen)
        assert [g.tolist() for g in got] == want
        left += np.bincount(found.want["exit"], minlength=3)
    assert (left > 0).sum() >= 2, f"all frames left at one exit: {left}"


@pytest.mark.parametrize(
    "name", marked([n for n in criteria.names() if not criteria.get(n).fixed][::-1])
)
def test_the_driver_meets_the_same_answers(name: str, tmp_path: Path) -> None:
    """On the model and the simulated device, in transfers of several sizes, raw logits between."""
    whole: Accelerator = dataclasses.replace(samples.accelerator(), criterion=name)
    images = stream(60)
    logits = network.run(whole, images).logits
    chosen = limits(name, logits)[0]
    stitch.write(whole, tmp_path, thresholds=[*chosen, None])
    golden = make(tmp_path, images[:25])
    seen = []
    for transport in (Modelled(tmp_path), Simulated(tmp_path)):
        with Driver(tmp_path, transport, batch=7) as device:
            first = device.classify(images[:31])
            raw = device.logits(images[31:33], 1)
            rest = device.classify(images[33:])
            assert raw.tolist() == logits[1][31:33].tolist()
            told = [
                (r.classes.tolist(), r.exits.tolist(), r.scores.tolist()) for r in (first, rest)
            ]
            assert device.selftest(golden).images == 25
            device.reset()
            again = device.classify(images)
        seen.append(told)
        want = criteria.run(name, logits, chosen)
        assert again.exits.tolist() == want.exits.tolist()
        assert again.scores.tolist() == want.scores.tolist()
        assert told[0][1] == want.exits[:31].tolist()
    assert seen[0] == seen[1]


WITH_TABLES = [n for n in criteria.names() if criteria.get(n).memories is not nothing]


@pytest.mark.parametrize("name", WITH_TABLES)
def test_every_exit_has_the_table_of_its_scale(name: str, tmp_path: Path) -> None:
    whole = dataclasses.replace(samples.accelerator(), criterion=name)
    images = samples.images(FRAMES, seed=11)
    logits = network.run(whole, images).logits
    scales = tuple(3.0 / float(x.std()) for x in logits)
    whole = dataclasses.replace(whole, logit_scales=scales)
    every = criteria.every(name, logits, scales=scales)
    chosen = [int(np.quantile(s.scores, q)) for s, q in zip(every[:-1], (0.6, 0.4), strict=True)]
    manifest = stitch.write(whole, tmp_path, thresholds=[*chosen, None])
    library = verilator.build(manifest, cache=tmp_path / "cache")
    found = answers.answer(manifest, library, images, logits)
    assert not len(found.wrong)
    cycles, _ = answers.check_cycles(manifest, whole, found)
    assert cycles["frames_exact"] == cycles["frames_total"] == FRAMES
    assert np.bincount(found.got["exit"], minlength=3).min() > FRAMES / 20
    assert make(tmp_path, images[:40]).exits.tolist() == found.got["exit"][:40].tolist()
    on_a_processor = processor.Reference(whole).classify(images, chosen)[1]
    assert on_a_processor.tolist() == found.got["exit"].tolist()
    wrong = criteria.run(name, logits, chosen).exits
    assert (wrong != found.got["exit"]).mean() > 0.1, "the scales must matter, or this shows little"


def test_logits_that_come_before_their_word_wait_for_it(tmp_path: Path) -> None:
    """The classes that are left come one a cycle, the logits of the next exit all at once."""
    stages = (
        Stage(2, simd=9, pe=2, pool=False, parallel=True, head_simd=2),
        Stage(2, simd=18, pe=2, pool=False, parallel=True, head_simd=2, head_pe=60),
    )
    plain = samples.accelerator(stages, size=4, classes=60, bits=3, seed=1)
    whole = dataclasses.replace(plain, criterion="exclusion")
    images = samples.images(60, size=4)
    logits = network.run(whole, images).logits
    limit = int(np.quantile(criteria.every("exclusion", logits)[0].scores, 0.7))
    manifest = stitch.write(whole, tmp_path, thresholds=[limit, None])
    found = answers.answer(manifest, verilator.build(manifest), images, logits)
    assert not len(found.wrong)
    cycles, (predicted,) = answers.check_cycles(manifest, whole, found)
    assert cycles["frames_exact"] == cycles["frames_total"] == 60
    sizes = system.Sizes.of(manifest.data)
    other = dataclasses.replace(plain, criterion="patience")  # the same cycles but for the word's
    sooner = system.predict(other, found.want["exit"], sizes=sizes)
    late = predicted.reported - sooner.reported
    assert (late[found.want["exit"] == 1] > 10).all()
    assert len(late) == 60


@pytest.mark.parametrize("name", [n for n in criteria.names() if not criteria.get(n).fixed])
def test_the_benchmark_meets_the_same_answers(name: str, tmp_path: Path) -> None:
    """Pass after pass, other thresholds, single images: the exits begin anew each time."""
    whole: Accelerator = dataclasses.replace(samples.accelerator(), criterion=name)
    images = stream(50)
    logits = network.run(whole, images).logits
    first, second = (tuple(chosen) for chosen in limits(name, logits))
    stitch.write(whole, tmp_path, thresholds=[*first, None])
    labels = logits[-1].argmax(axis=1)
    subject = measure.Subject(images, labels, logits, first, 100.0, name)
    plan = measure.Plan(alone=20, curve=(first, second), seconds=0.01)
    with Driver(tmp_path, Modelled(tmp_path)) as device:
        found = measure.measure(device, subject, plan, now=device.transport.now)
    assert found.wrong == ()
    assert [p.mismatches for p in (found.chosen, *found.sweep)] == [0, 0]
