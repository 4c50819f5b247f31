"""Rules in the RTL of a whole accelerator: answers, cycles, registers and every other reference."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest

from exeunt import rules as room
from exeunt import samples
from exeunt.bench import processor
from exeunt.errors import InputError
from exeunt.graph import Accelerator
from exeunt.hls.back import stitch
from exeunt.reference import controller, network
from exeunt.reference.golden import make
from exeunt.reference.modelled import Modelled
from exeunt.rules import Condition, Modification, Rule, RuleSet, black, gain
from exeunt.runtime import Accelerator as Driver
from exeunt.runtime.errors import DeviceFault
from exeunt.simulate import answers, bulk, verilator
from exeunt.simulate.simulated import Simulated

FRAMES = 120
DARK = Rule((Condition("mean", "<", 1900),), Modification(table=gain(1.3)))
LEFT = Rule((Condition("slant", ">=", 0),), Modification(dx=-1, shear=3, table=black(9)))
BRIGHT = Rule((Condition("mean", ">=", 2150),), Modification(border=(1, 1, 0, 0)))
SHAPE = (8, 8, 1)
SETS = {
    "one": RuleSet(SHAPE, (Rule((), Modification(dx=1, dy=-1)),)),
    "some": RuleSet(SHAPE, (DARK, BRIGHT, LEFT)),
}


def ruled(rules: RuleSet) -> tuple[Accelerator, np.ndarray, list[int]]:
    """The sample network with rules, images, and thresholds with which images leave everywhere."""
    whole = dataclasses.replace(samples.accelerator(), rules=rules)
    images = samples.images(FRAMES, seed=3)
    logits = network.run(whole, images).logits
    scores = [np.sort(x, axis=1)[:, -1] - np.sort(x, axis=1)[:, -2] for x in logits[:-1]]
    return whole, images, [int(np.quantile(s, 0.4)) for s in scores]


@pytest.mark.sim
@pytest.mark.parametrize("name", [*SETS])
def test_every_answer_and_every_cycle(name: str, tmp_path: Path) -> None:
    whole, images, chosen = ruled(SETS[name])
    logits = network.run(whole, images).logits
    manifest = stitch.write(whole, tmp_path, thresholds=[*chosen, None])
    assert manifest.accelerator().rules == SETS[name]
    library = verilator.build(manifest)
    found = answers.answer(manifest, library, images, logits)
    assert not len(found.wrong), found.wrong
    cycles, _ = answers.check_cycles(manifest, whole, found)
    assert cycles["frames_exact"] == cycles["frames_total"] == FRAMES, cycles
    blocks = answers.check_blocks(manifest, whole, library, images[:12])
    assert not blocks["blocks_inexact"]
    assert np.bincount(found.got["exit"], minlength=3).min() > 0
    plain = network.run(samples.accelerator(), images).logits
    before = controller.decide(plain, [*chosen, None])
    assert (before.scores != found.got["score"]).mean() > 0.2, "the rules must matter"
    which = SETS[name].look(images, 0)[1]
    assert len(set(which)) == len(SETS[name].rules) + (name == "some")
    busy = bulk.Settings(idle=0.3, stall=0.3, seed=1)
    assert not len(answers.answer(manifest, library, images, logits, settings=busy).wrong)


@pytest.mark.sim
def test_the_driver_has_them_in_hand(tmp_path: Path) -> None:
    rules = SETS["some"]
    whole, images, chosen = ruled(rules)
    images = images[:40]
    stitch.write(whole, tmp_path, thresholds=[*chosen, None])
    golden = make(tmp_path, images)
    want = controller.decide(network.run(whole, images).logits, [*chosen, None])
    plain = controller.decide(network.run(samples.accelerator(), images).logits, [*chosen, None])
    assert golden.scores.tolist() == want.scores.tolist() != plain.scores.tolist()
    got = processor.Reference(whole).classify(images, chosen)
    assert [g.tolist() for g in got] == [want.classes.tolist(), want.exits.tolist()]
    which = rules.look(images, 0)[1]
    for transport in (Modelled(tmp_path), Simulated(tmp_path)):
        with Driver(tmp_path, transport, batch=7) as device:
            assert device.rules.set == rules
            assert device.rules.sentences == room.sentences(rules)
            assert device.rules.enabled
            assert device.selftest(golden).images == len(images)
            device.reset()
            assert device.rules.fired == (0, 0, 0)
            assert device.classify(images).scores.tolist() == want.scores.tolist()
            assert device.rules.fired == tuple(int((which == k).sum()) for k in range(3))
            assert device.rules.unchanged == int((which == room.NONE).sum()) > 0
            device.rules.enabled = False
            device.reset()
            assert not device.rules.enabled
            assert device.classify(images).scores.tolist() == plain.scores.tolist()
            assert device.rules.unchanged == len(images)
            device.rules.enabled = True
            assert device.classify(images[:9]).scores.tolist() == want.scores[:9].tolist()


@pytest.mark.sim
def test_other_rules_for_the_same_unit(tmp_path: Path) -> None:
    rules = dataclasses.replace(SETS["some"], network="sample")
    whole, images, chosen = ruled(rules)
    images = images[:20]
    stitch.write(whole, tmp_path, thresholds=[*chosen, None])
    other = RuleSet(SHAPE, (Rule((Condition("mean", ">=", 2000),), Modification(dy=1)),))
    changed = dataclasses.replace(whole, rules=other)
    want = controller.decide(network.run(changed, images).logits, [*chosen, None])
    with Driver(tmp_path, Simulated(tmp_path)) as device:
        device.rules.write(other)
        assert device.rules.set == other
        assert device.classify(images).scores.tolist() == want.scores.tolist()
        assert device.rules.fired == (int((images.mean(axis=(1, 2, 3)) >= 125).sum()),)
        for wrong, said in (
            (
                RuleSet((8, 9, 1), (Rule((), Modification(dx=1)),)),
                "the rules must be for images of 8x8x1, which the rule unit was built for, got "
                "8x9x1: compile with them",
            ),
            (
                dataclasses.replace(other, network="another"),
                "the rules must be those of the network sample, they are of another: do `exeunt "
                "rules` for this one",
            ),
            (
                RuleSet(SHAPE, (Rule((Condition("ink", "<", 9),), Modification()),)),
                "the rules must need nothing that the rule unit was built without, they need ink: "
                "compile with them",
            ),
            (
                dataclasses.replace(rules, rules=rules.rules * 2),
                "they need 6 conditions of 3, 6 rules of 3: compile with them",
            ),
        ):
            with pytest.raises(InputError) as caught:
                device.rules.write(wrong)
            assert str(caught.value).endswith(said)
        assert device.rules.set == other
    with Driver(tmp_path, Modelled(tmp_path)) as device, pytest.raises(DeviceFault, match="model"):
        device.rules.write(other)


def test_without_rules_nothing_is_built(tmp_path: Path) -> None:
    stitch.write(samples.accelerator(), tmp_path)
    assert not [*tmp_path.glob("rtl/*rules*"), *tmp_path.glob("rtl/ex_measure*")]
    assert "rule" not in (tmp_path / "rtl" / "exeunt_core.sv").read_text()
    with Driver(tmp_path, Modelled(tmp_path)) as device:
        assert "rules" not in device.registers
        with pytest.raises(InputError) as caught:
            _ = device.rules
    assert str(caught.value) == (
        f"The accelerator {samples.accelerator().name} must be compiled with rules to have some, "
        "and was compiled without; do `exeunt rules` and `exeunt compile`."
    )


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (
            RuleSet((8, 9, 1), (Rule((), Modification(dx=1)),)),
            "images must be 8x9x1 for these rules, got 8x8x1: use the rules of this network",
        ),
        (
            RuleSet(SHAPE, (Rule((), Modification(filter=(0, 0, 0, 0, 1, 0, 0, 0, 0))),)),
            "rules must do without a filter in hardware, which the rule unit has not, got the "
            "filter 0 0 0 0 1 0 0 0 0: learn rules without filters",
        ),
    ],
)
def test_rules_that_no_hardware_has(tmp_path: Path, rules: RuleSet, said: str) -> None:
    with pytest.raises(InputError) as caught:
        stitch.write(dataclasses.replace(samples.accelerator(), rules=rules), tmp_path)
    assert str(caught.value) == said
