"""Thresholds that follow, on the RTL: the driver turns them on and off, and reads every change."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exeunt import hold, samples
from exeunt.criteria import margin
from exeunt.errors import InputError
from exeunt.hls.back import stitch
from exeunt.hold import Band, Hold
from exeunt.reference import controller, network
from exeunt.reference.golden import make
from exeunt.reference.modelled import Modelled
from exeunt.runtime import Accelerator, DeviceFault, OutsidePromise, holding
from exeunt.samples import Stage
from exeunt.simulate.simulated import Simulated

pytestmark = pytest.mark.sim
COUNT = 240
STAGES = (
    Stage(2, simd=9, pe=2, parallel=True),
    Stage(2, simd=2),
    Stage(4, pool=False, reduce=False, head_simd=4, head_pe=2),
)


class Design:
    """A small accelerator with thresholds that can follow, and images that become harder."""

    def __init__(self, folder: Path, cache: Path, **extra) -> None:
        whole = samples.accelerator(STAGES, size=8, classes=4)
        images = samples.images(COUNT, size=8, seed=2)
        scores = margin.values(network.run(whole, images).logits[0]).scores
        noise = np.random.default_rng(0).integers(0, int(scores.std()), COUNT)
        self.images = images[np.argsort(noise - scores)]
        self.logits = network.run(whole, self.images).logits
        second = margin.values(self.logits[1]).scores
        limits = [int(np.median(scores)), int(np.median(second)), None]
        asked = hold.Asked((0.5, 0.5), 16, 0.1, 0.1, 1.0)
        self.manifest = stitch.write(whole, folder, thresholds=limits, holds=asked, extra=extra)
        self.cache = cache

    def want(self, held: Hold | None) -> controller.Decisions:
        self.held = () if held is None else hold.start(held)
        return controller.decide(self.logits, self.manifest.thresholds, follows=self.held)

    def agree(self, got, held: Hold | None) -> None:
        want = self.want(held)
        for name in ("exits", "classes", "scores"):
            np.testing.assert_array_equal(getattr(got, name), getattr(want, name))

    def open(self) -> Accelerator:
        return Accelerator(self.manifest.folder, Simulated(self.manifest.folder, cache=self.cache))


@pytest.fixture(scope="module")
def design(tmp_path_factory):
    return Design(tmp_path_factory.mktemp("held"), tmp_path_factory.mktemp("held_models"))


@pytest.fixture
def device(design):
    with design.open() as found:
        yield found


def test_off_until_it_is_turned_on(design, device):
    assert not device.hold.on
    assert device.hold.held is None
    design.agree(device.classify(design.images), None)
    assert device.hold.offsets == (0, 0)
    assert device.hold.changes == ((0, 0), (0, 0))
    assert device.hold.built == design.manifest.hold


def test_rates_that_came_with_it_and_others(design, device):
    for turn in (
        dict,
        lambda: {"limits": [(0.6, 0.9), (0.1, 0.2)], "window": 20, "steps": [5, 3]},
        lambda: {"window": 32, "most": [200, 0]},
    ):
        device.reset()
        device.hold.rates(**turn())
        assert device.hold.on
        design.agree(device.classify(design.images), device.hold.held)
        assert device.hold.offsets == tuple(h.offset for h in design.held)
        assert device.hold.changes == tuple((h.raised, h.lowered) for h in design.held)
        assert sum(map(sum, device.hold.changes)) > 2
        assert device.counters["hold_changes"][0] == design.held[0].lowered << 16 | (
            design.held[0].raised
        )
    device.hold.stop()
    assert not device.hold.on
    assert device.hold.offsets == (0, 0)
    design.agree(device.classify(design.images), None)


def test_what_rates_become(device):
    device.hold.rates([(0.6, 0.9), (0.1, 0.2)], window=20, steps=[5, 3], most=[7, 9])
    assert device.hold.held == Hold(20, (Band(2, 8, 5, -7, 7), Band(16, 18, 3, -9, 9)))
    device.hold.latency(900, (0.05, 0.1), window=40)
    bands = device.hold.built.bands
    assert device.hold.held is not None
    assert device.hold.held.limit == 900
    assert [(b.low, b.high) for b in device.hold.held.bands] == [(2, 4)] * 2
    assert [b.step for b in device.hold.held.bands] == [b.step for b in bands]
    device.hold.rates()
    assert device.hold.held == device.hold.built


def test_a_latency_lowers_thresholds(design, device):
    calm = device.classify(design.images)
    limit = int(np.quantile(calm.latency, 0.5))
    device.hold.latency(limit, (0.0, 0.1), window=16)
    for _ in range(3):
        got = device.classify(design.images)
    assert all(offset < 0 for offset in device.hold.offsets)
    assert all(c.lowered and not c.raised for c in device.hold.changes)
    assert (got.latency > limit).mean() < (calm.latency > limit).mean()


def test_logits_and_resets_in_between(design, device):
    device.hold.rates()
    device.logits(design.images[:20], 0)  # in raw mode nobody decides
    assert device.hold.changes == ((0, 0), (0, 0))
    design.agree(device.classify(design.images), device.hold.built)
    device.reset()
    assert device.hold.on
    assert device.hold.offsets == (0, 0)
    assert device.hold.changes == ((0, 0), (0, 0))
    design.agree(device.classify(design.images), device.hold.built)


def test_the_selftest_pauses_it(design, device):
    device.hold.rates()
    device.classify(design.images)
    golden = make(design.manifest.folder, design.images[:60])
    assert device.selftest(golden).images == 60
    assert device.hold.on
    assert device.hold.offsets == (0, 0)
    design.agree(device.classify(design.images), device.hold.built)


def test_who_opens_it_next_finds_it_off(design):
    transport = Simulated(design.manifest.folder, cache=design.cache)
    with Accelerator(design.manifest.folder, transport) as device:
        device.hold.rates()
        device.registers["hold"] = 1
        assert device.hold.on
        assert holding.of(device._device) is not None
        assert not device.hold.on


def test_a_promise_is_left(tmp_path, design):
    certified = [[t for t in design.manifest.thresholds[:-1]]]
    promise = {
        "kind": "average", "permitted": 0.01, "holds": True, "certified": certified,
        "upward": True,
    }  # fmt: skip
    other = Design(tmp_path, design.cache, guarantee=promise)
    with other.open() as device:
        assert device.promised
        device.hold.rates([(0.0, 1.0)] * 2, most=[0, 0])
        assert device.promised
        with pytest.warns(OutsidePromise) as told:
            device.hold.rates()
        assert str(told[0].message) == (
            "Thresholds that follow may leave those for which the promise is that on average at "
            "most 1% of the images leave with a wrong answer where the last exit has the right "
            "one: until hold.stop(), nothing is promised."
        )
        assert not device.promised
        device.hold.rates()  # told once
        device.hold.stop()
        assert device.promised


@pytest.mark.parametrize(
    ("name", "given", "sentence"),
    [
        ("rates", {"limits": [(0.1, 0.2)]}, "limits must have a pair for each of 2 exits but the "
         "last, got 1; give one for each."),
        ("rates", {"limits": [(0.1, 0.2), (0.5, 0.4)]}, "limits must be a least and a largest "
         "part, from 0 to 1, got 0.5 and 0.4; give the smaller one first."),
        ("latency", {"cycles": 5, "late": (0.5, 1.5)}, "late must be a least and a largest part, "
         "from 0 to 1, got 0.5 and 1.5; give the smaller one first."),
        ("latency", {"cycles": -1}, "hold.limit must be a latency of 0 to 4294967295 cycles, got "
         "-1; lower it"),
        ("rates", {"window": 15}, "hold.window must be from 16 to 65536 events, got 15; use 256"),
        ("rates", {"steps": [1]}, "steps must have a whole number of score steps from 0 on for "
         "each of 2 exits but the last, got [1]; give one for each."),
        ("rates", {"most": [1, -2]}, "most must have a whole number of score steps from 0 on for "
         "each of 2 exits but the last, got [1, -2]; give one for each."),
    ],
)  # fmt: skip
def test_limits_that_cannot_be_held(device, name, given, sentence):
    with pytest.raises(InputError) as told:
        getattr(device.hold, name)(**given)
    assert str(told.value) == sentence
    assert not device.hold.on


def test_steps_that_the_hardware_has_no_bits_for(device):
    most = (1 << (device._device.description.held_bits - 1)) - 1
    with pytest.raises(InputError) as told:
        device.hold.rates(steps=[most + 1, 1])
    floor, ceiling = device.hold.built.bands[0].floor, device.hold.built.bands[0].ceiling
    assert str(told.value) == (
        f"hold must have a step and a ceiling from 0 to {most} and a floor from -{most} to 0 at "
        f"exit 0, got {most + 1}, {ceiling} and {floor}; use smaller ones"
    )


def test_an_accelerator_without(small, tmp_path):
    device = Accelerator(small.folder, Modelled(small.folder))
    with device, pytest.raises(InputError) as told:
        _ = device.hold
    assert str(told.value) == (
        f"The accelerator {small.manifest.data['name']} must be compiled with [compile.hold] to "
        "hold a rate, and was compiled without; set `hold = true` under [compile]."
    )


def test_the_model_holds_nothing(design):
    device = Accelerator(design.manifest.folder, Modelled(design.manifest.folder))
    with device, pytest.raises(DeviceFault) as told:
        device.hold.rates()
    assert str(told.value).startswith(
        "the model's thresholds stay; use the simulated device to hold a rate"
    )
