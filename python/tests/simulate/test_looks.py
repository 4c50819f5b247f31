"""Further looks in the RTL of a whole accelerator: answers, cycles and every other reference."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from exeunt import samples
from exeunt.bench import processor
from exeunt.cost.folding import targets
from exeunt.errors import InputError
from exeunt.graph import Accelerator
from exeunt.hls.back import stitch
from exeunt.reference import controller, network, system
from exeunt.reference.golden import make
from exeunt.reference.modelled import Modelled
from exeunt.reference.network import Outputs
from exeunt.registers import ALWAYS, NEVER
from exeunt.rules import Condition, Modification, Rule, RuleSet, gain
from exeunt.runtime import Accelerator as Driver
from exeunt.simulate import answers, bulk, localise, verilator
from exeunt.simulate.simulated import Simulated

FRAMES = 120
SHAPE = (8, 8, 1)
DARK = Rule((Condition("mean", "<", 1900),), Modification(table=gain(1.3)))
MUCH = Rule((Condition("ink", ">=", 200), Condition("edges", ">=", 64)), Modification(dx=-1))
LEFT = Rule((), Modification(dx=-1))
RIGHT = Rule((Condition("slant", "<", 1),), Modification(dx=1))
NOT = Rule((Condition("slant", ">=", 3),), Modification())
SETS = {
    "one": RuleSet(SHAPE, (), ((LEFT,),), (0,)),
    "rules": RuleSet(SHAPE, (DARK,), ((NOT, MUCH, LEFT),), (0,), ink=150, edge=70),
    "two": RuleSet(SHAPE, (DARK,), ((NOT, RIGHT), (DARK, LEFT)), (0, 0)),
}
PLACES = {"one": 4, "rules": 2, "two": 1}  # frames that have been seen once and not answered


def margin(logits: np.ndarray) -> np.ndarray:
    top = np.sort(logits, axis=1)
    return top[:, -1] - top[:, -2]


def looking(name: str, part: float = 0.5) -> tuple[Accelerator, np.ndarray, Outputs, list[int]]:
    """The sample network, images, what it computes, and thresholds with which looks matter."""
    rules = SETS[name]
    whole = dataclasses.replace(samples.accelerator(), rules=rules)
    images = samples.images(FRAMES, seed=3)
    found = network.run(whole, images)
    assert found.looks is not None
    chosen = [int(np.quantile(margin(x), part)) for x in found.logits[:-1]]
    stay = margin(found.logits[0]) < chosen[0]
    limits = []
    for sums, there in zip(found.looks.sums, found.looks.there, strict=True):
        limits.append(int(np.quantile(margin(sums[stay & there]), 0.6)))
        stay = stay & (~there | (margin(sums) < limits[-1]))
    rules = dataclasses.replace(rules, thresholds=tuple(limits))
    whole = dataclasses.replace(whole, rules=rules)
    return whole, images, network.run(whole, images), chosen


def by_hand(whole: Accelerator, image: np.ndarray, chosen: list[int]) -> tuple[int, int, int, int]:
    """Exit, class, score and looks of one image, look after look."""
    rules = whole.rules
    assert rules is not None
    plain = dataclasses.replace(whole, rules=None)
    seen, _ = rules.look(image[None], 0)
    later = network.run(plain, seen).logits  # what goes on is of the first look
    total = later[0]
    made = 0
    limit = chosen[0]
    for number in range(len(rules.looks) + 1):
        if number:
            seen_now, which = rules.look(image[None], number)
            fired = int(which[0])
            if fired < 0 or rules.looks[number - 1][fired].modification.nothing:
                continue
            seen, made, limit = seen_now, made + 1, rules.thresholds[number - 1]
            total = total + network.run(plain, seen).logits[0]
        if margin(total)[0] >= limit:
            return 0, int(total[0].argmax()), int(margin(total)[0]), made
    for e in (1, 2):
        score = int(margin(later[e])[0])
        if e == 2 or score >= chosen[e]:
            return e, int(later[e][0].argmax()), score, made
    raise AssertionError


@pytest.mark.parametrize("name", [*SETS])
def test_the_reference_is_what_it_says(name: str) -> None:
    whole, images, found, chosen = looking(name)
    got = controller.decide(found.logits, [*chosen, None], looks=found.looks)
    assert got.looks is not None
    for n, image in enumerate(images):
        want = by_hand(whole, image, chosen)
        assert (got.exits[n], got.classes[n], got.scores[n], got.looks.made[n]) == want, n
    assert set(got.exits[got.looks.made > 0]) == {0, 1, 2}


@pytest.mark.sim
@pytest.mark.parametrize("name", [*SETS])
def test_every_answer_and_every_cycle(name: str, tmp_path: Path) -> None:
    whole, images, found, chosen = looking(name)
    manifest = stitch.write(whole, tmp_path, thresholds=[*chosen, None], buffer_frames=PLACES[name])
    library = verilator.build(manifest)
    got = answers.answer(manifest, library, images, found.logits, looks=found.looks)
    assert not len(got.wrong), got.wrong
    assert got.looks is not None
    assert len(set(got.looks.made)) == len(whole.rules.looks) + 1
    # at 0.895 a frame is judged, now and then, in the cycle of another frame's verdict
    for idle, stall, seed in ((0.3, 0.3, 1), (0.895, 0.0, 0)):
        busy = bulk.Settings(idle=idle, stall=stall, seed=seed)
        again = answers.answer(
            manifest, library, images, found.logits, looks=found.looks, settings=busy
        )
        assert not len(again.wrong), again.wrong
    cycles, _ = answers.check_cycles(manifest, whole, got)
    assert cycles["frames_exact"] == cycles["frames_total"] == FRAMES, cycles
    blocks = answers.check_blocks(manifest, whole, library, images[:20])
    assert blocks["blocks_inexact"] == []
    taps = localise.expected(
        whole, images[:20], manifest.thresholds, sizes=system.Sizes.of(manifest.data)
    )
    (part,) = bulk.run(
        manifest, library, images[:20], taps=len(taps.names),
        windows=localise.windows(taps, keep=60),
    )  # fmt: skip
    assert localise.compare(taps, part.taps, keep=60, first=0) is None
    assert len(taps.frames[0]) > 20
    if name == "two":
        all_stay(whole, images[:40], tmp_path)


def all_stay(whole: Accelerator, images: np.ndarray, folder: Path) -> None:
    """Every frame gets both looks and goes on to the last exit, through one place."""
    assert whole.rules is not None
    never = dataclasses.replace(whole.rules, thresholds=(NEVER, NEVER))
    whole = dataclasses.replace(whole, rules=never)
    found = network.run(whole, images)
    manifest = stitch.write(whole, folder, buffer_frames=PLACES["two"])
    library = verilator.build(manifest)
    for idle, stall in ((0.0, 0.0), (0.0, 0.9), (0.5, 0.5)):
        busy = bulk.Settings(idle=idle, stall=stall, seed=7)
        got = answers.answer(
            manifest, library, images, found.logits, looks=found.looks, settings=busy
        )
        assert not len(got.wrong), got.wrong
        assert set(got.got["exit"]) == {2}
        assert got.looks is not None
        assert got.looks.made.tolist() == found.looks.there.sum(axis=0).tolist()
        if not idle and not stall:
            cycles, _ = answers.check_cycles(manifest, whole, got)
            assert cycles["frames_exact"] == len(images), cycles


@pytest.mark.sim
def test_the_driver(tmp_path: Path) -> None:
    whole, images, found, chosen = looking("rules")
    stitch.write(whole, tmp_path, thresholds=[*chosen, None])
    images = images[:40]
    rules = whole.rules
    assert rules is not None
    assert found.looks is not None
    want = controller.decide(
        [x[:40] for x in found.logits], [*chosen, None], looks=found.looks.some(slice(0, 40))
    )
    assert make(tmp_path, images).scores.tolist() == want.scores.tolist()
    got = processor.Reference(whole).classify(images, chosen)
    assert [g.tolist() for g in got] == [want.classes.tolist(), want.exits.tolist()]
    plain = controller.decide([x[:40] for x in found.logits], [*chosen, None])
    with Driver(tmp_path, Simulated(tmp_path)) as device:
        assert device.thresholds == (*chosen, None)
        assert device.rules.thresholds == rules.thresholds
        assert device.classify(images).scores.tolist() == want.scores.tolist()
        assert want.looks is not None
        chosen_rules = rules.chosen(images)
        looked = want.looks.made > 0
        assert device.rules.fired == (
            int((chosen_rules[0] == 0).sum()), 0,
            *(int((looked & (chosen_rules[1] == k)).sum()) for k in (1, 2)),
        )  # fmt: skip
        left = device.counters["taken"]
        first = (want.exits == 0) & ~looked
        later = (want.exits == 0) & looked
        assert left[0] == first.sum()
        assert left[2] == later.sum() > 0
        device.rules.thresholds = [NEVER]
        never = dataclasses.replace(whole, rules=dataclasses.replace(rules, thresholds=(NEVER,)))
        again = network.run(never, images)
        longer = controller.decide(again.logits, [*chosen, None], looks=again.looks)
        assert device.classify(images).exits.tolist() == longer.exits.tolist()
        device.thresholds = [ALWAYS, None, None]
        assert device.rules.thresholds == (NEVER,)
        assert set(device.classify(images[:5]).exits.tolist()) == {0}
        with pytest.raises(InputError) as caught:
            device.rules.thresholds = [1, 2]
    assert str(caught.value) == (
        "thresholds must have one entry for each of 1 further looks, got 2; give them all."
    )
    assert (plain.exits != want.exits).any()
    with pytest.raises(InputError, match="must be without further looks for the model"):
        Modelled(tmp_path)


def test_looks_that_no_hardware_has(tmp_path: Path) -> None:
    whole, _, _, _ = looking("one")
    for wrong, said in (
        (
            dataclasses.replace(whole, criterion="patience"),
            "further looks must go with a criterion that judges each image by itself, got "
            '"patience": leave the looks out',
        ),
        (
            dataclasses.replace(
                whole, segments=whole.segments[:1], heads=whole.heads[:1], logit_scales=(1.0,)
            ),
            f"with 1 further looks an accelerator must have 2 to 7 exits, {whole.name} has 1: "
            "leave the looks out",
        ),
    ):
        with pytest.raises(InputError) as caught:
            stitch.write(wrong, tmp_path)
        assert str(caught.value) == said


def test_stage_0_is_folded_for_the_looks() -> None:
    assert targets(2, target=1000, headroom=1.0, reach=[1.25, 0.5]) == [800, 2000]
    assert targets(2, target=1000, headroom=1.0, reach=[0.9, 0.5]) == [1000, 2000]
