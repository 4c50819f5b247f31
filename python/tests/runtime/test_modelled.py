"""The modelled device: the driver cannot tell it from RTL but by what it says it is."""

from __future__ import annotations

import dataclasses
import shutil

import numpy as np
import pytest

from exeunt import registers
from exeunt.bench.network import load
from exeunt.errors import InputError
from exeunt.reference import controller, network
from exeunt.reference.golden import make
from exeunt.reference.modelled import Modelled
from exeunt.runtime import Accelerator


@pytest.fixture(scope="module")
def known(compiled):
    found = load(compiled)
    return found, network.run(found.accelerator, found.images).logits


@pytest.fixture
def device(compiled):
    with Accelerator(compiled, Modelled(compiled)) as found:
        yield found


@pytest.mark.parametrize("order", ["arrival", "input"])
def test_answers_are_the_reference_in_both_orders(known, device, order):
    found, logits = known
    device.order = order
    for thresholds in (found.thresholds, (registers.NEVER, 0), (registers.ALWAYS, 0)):
        device.thresholds = list(thresholds)
        got = device.classify(found.images)
        want = controller.decide(logits, thresholds)
        np.testing.assert_array_equal(got.classes, want.classes)
        np.testing.assert_array_equal(got.exits, want.exits)
        np.testing.assert_array_equal(got.scores, want.scores)
        assert not got.bad.any()


def test_logits_of_every_exit(known, device):
    found, logits = known
    for i, values in enumerate(logits):
        np.testing.assert_array_equal(device.logits(found.images[:3], exit=i), values[:3])


def test_counters_and_clock(known, device):
    found, logits = known
    device.reset()
    started = device.transport.now()
    got = device.classify(found.images)
    counters = device.counters
    left = controller.decide(logits, found.thresholds).exits
    assert counters["frames_in"] == counters["frames_out"] == len(found.images)
    assert counters["taken"] == tuple(np.bincount(left, minlength=3))
    assert counters["cycles"] == device.transport.now() - started > got.latency.max() > 0
    assert device.unit == "cycles"


def test_batches_of_few_images_answer_the_same(known, device):
    found, _ = known
    whole = device.classify(found.images)
    device.batch = 7
    parts = device.classify(found.images)
    np.testing.assert_array_equal(parts.classes, whole.classes)
    np.testing.assert_array_equal(parts.exits, whole.exits)


def test_selftest_and_stream(compiled, known, device):
    found, logits = known
    tested = device.selftest(make(compiled, found.images[:20], logits=2))
    assert (tested.images, tested.logits) == (20, 6)
    answers = list(device.stream(iter(found.images[:9]), batch=4))
    want = controller.decide([x[:9] for x in logits], found.thresholds)
    assert [a.class_ for a in answers] == want.classes.tolist()


def test_golden_vectors_of_fractions_are_refused(compiled, known, device):
    """Images divided by 255, here and in vectors that somebody made himself."""
    found, _ = known
    sentence = (
        "images must be uint8 as the network was trained on, got float64; give the integers of its "
        "training data, not divided by 255."
    )
    with pytest.raises(InputError) as caught:
        make(compiled, found.images[:4] / 255)
    assert str(caught.value) == sentence
    vectors = make(compiled, found.images[:4], thresholds=[None, 3, None])
    assert vectors.thresholds.tolist() == [registers.ALWAYS, 3, registers.ALWAYS]
    before = device.thresholds
    with pytest.raises(InputError) as caught:
        device.selftest(dataclasses.replace(vectors, images=found.images[:4] / 255))
    assert str(caught.value) == sentence
    assert device.thresholds == before


@pytest.mark.sim
def test_cycles_are_those_of_the_rtl(small, simulated):
    """Latency of every frame alone and at full rate, and the time of the whole, within 1 %."""
    with (
        Accelerator(small.folder, simulated) as rtl,
        Accelerator(small.folder, Modelled(small.folder)) as model,
    ):
        times = []
        for device in (rtl, model):
            started = device.transport.now()
            full = device.classify(small.images)
            spent = device.transport.now() - started
            alone = [device.classify_one(image).latency for image in small.images[:6]]
            times.append((full.latency, spent, alone))
    (seen, spent, alone), (predicted, said, expected) = times
    assert alone == expected
    assert abs(int(seen.sum()) - int(predicted.sum())) <= 0.01 * int(seen.sum())
    assert abs(spent - said) <= 0.01 * spent


def test_parameters_changed_by_hand_are_refused(compiled, tmp_path):
    copy = tmp_path / "run"
    shutil.copytree(compiled, copy)
    path = copy / "rtl" / "params.npz"
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(InputError, match=r"params\.npz must have the sha256 .* changed by hand"):
        Modelled(copy)
    (copy / "manifest.json").unlink()
    with pytest.raises(InputError, match=r"must hold a manifest\.json and has none"):
        Modelled(copy)


def test_another_criterion_than_the_manifest_names(compiled):
    class Other(Modelled):
        def read(self, address):
            return 7 if address == registers.address("criterion") else super().read(address)

    with pytest.raises(InputError) as caught:
        Accelerator(compiled, Other(compiled))
    assert str(caught.value) == (
        "The device must decide by the exit criterion of the manifest, code 0, and its criterion "
        "register reads 7; run `exeunt compile` again and load the bitstream that is made from it."
    )
