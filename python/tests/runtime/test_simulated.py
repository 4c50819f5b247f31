"""The driver on the RTL: every answer is the reference's, at the full rate of the streams."""

from __future__ import annotations

import numpy as np
import pytest

from exeunt.errors import CheckFailed, InputError
from exeunt.reference.golden import make
from exeunt.registers import ALWAYS, NEVER
from exeunt.runtime import Accelerator, DeviceFault, golden
from exeunt.simulate import bulk, verilator
from exeunt.simulate.dma import RECEIVED, SENT
from exeunt.simulate.library import decode
from exeunt.simulate.simulated import Simulated

pytestmark = pytest.mark.sim
REGISTER_CYCLES = 40  # of the accesses around the transfers


def test_every_answer_at_full_rate(small, simulated, device):
    start = simulated.now()
    got = device.classify(small.images)
    cycles = simulated.now() - start
    small.agree(got)
    assert [(got.exits == e).sum() > 15 for e in range(3)] == [True] * 3
    assert got.latency.max() > 5 * got.latency.min()  # so that images overtake others
    assert got.ids.tolist() == list(range(len(small.images)))
    library = verilator.build(small.manifest, cache=small.cache)
    (part,) = bulk.run(small.manifest, library, small.images)
    alone = int(part.trace.result_cycles.max() - part.trace.accepts[0]) + 1
    assert alone <= cycles <= alone + REGISTER_CYCLES
    table = decode(part.trace.results)
    assert np.array_equal(got.latency[table["id"]], table["latency"])


@pytest.mark.parametrize("batch", [1, 7, 16, 40, 119])
@pytest.mark.parametrize("order", ["arrival", "input"])
def test_split_into_transfers(small, device, batch, order):
    device.batch = batch
    device.order = order
    assert device.order == order
    for _ in range(2):
        small.agree(device.classify(small.images))
    if order == "input":
        ids = device.classify(small.images[:5]).ids
        assert ids.tolist() == list(range(2 * len(small.images), 2 * len(small.images) + 5))


def test_full_transfers_follow_each_other(small, simulated, device):
    start = simulated.now()
    device.classify(small.images)
    whole = simulated.now() - start
    device.batch = 20
    start = simulated.now()
    device.classify(small.images)
    assert simulated.now() - start <= whole + REGISTER_CYCLES


def test_what_a_transfer_carries(small):
    with pytest.raises(InputError) as caught:
        Simulated(small.folder, cache=small.cache, capacity=60)
    assert str(caught.value) == (
        "capacity must be at least one frame of 64 bytes, got 60; raise it."
    )
    transport = Simulated(small.folder, cache=small.cache, capacity=64 * 9 + 60)
    with Accelerator(small.folder, transport) as device:
        assert device.batch == 9
        small.agree(device.classify(small.images))


def test_one_image(small, device):
    want = small.want()
    for i in range(5):
        answer = device.classify_one(small.images[i])
        assert (answer.class_, answer.exit, answer.score) == (
            want.classes[i], want.exits[i], want.scores[i],
        )  # fmt: skip
        assert answer.image == 0
        assert answer.id == i


def test_no_image(device):
    assert len(device.classify(np.zeros((0, 8, 8, 1), np.uint8))) == 0


@pytest.mark.parametrize("exit", [0, 1, 2])
def test_logits(small, device, exit):
    small.agree(device.classify(small.images[:3]), images=slice(3))
    got = device.logits(small.images[:12], exit=exit)
    assert got.dtype == np.int32
    assert np.array_equal(got, small.logits[exit][:12])
    small.agree(device.classify(small.images[:3]), images=slice(3))


def test_thresholds(small, device):
    assert device.thresholds == (*small.thresholds[:2], None)
    for limits in ([None, 5], [NEVER, NEVER, ALWAYS], [small.thresholds[0], 1, None]):
        device.thresholds = limits
        full = [None if t == ALWAYS else t for t in limits[:2]] + [None]
        assert device.thresholds == tuple(full)
        small.agree(device.classify(small.images), full)


def test_counters_and_registers(small, device):
    got = device.classify(small.images)
    counters = device.counters
    assert counters["frames_in"] == counters["frames_out"] == len(small.images)
    assert counters["taken"] == tuple(int((got.exits == e).sum()) for e in range(3))
    assert counters["bad"] == counters["in_flight"] == 0
    named = {n for n, r in small.manifest.data["registers"].items() if r["counter"]}
    assert set(counters) == named
    assert device.registers["taken", 2] == counters["taken"][2]
    device.registers["raw.exit"] = 1
    assert device.registers["raw"] == 1
    assert device.registers["status.in_flight"] == 0
    assert device.info.hash == small.manifest.data["design_hash"]
    assert device.info.shape == (8, 8, 1)
    assert device.unit == device.info.unit == "cycles"


def test_selftest(small, device, tmp_path):
    limits = (small.thresholds[0], NEVER, ALWAYS)
    vectors = make(small.folder, small.images[:30], thresholds=limits)
    golden.write(tmp_path / "a.npz", vectors)
    golden.write(tmp_path / "b.npz", golden.read(tmp_path / "a.npz"))
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()
    found = device.selftest(tmp_path / "a.npz")
    assert found.images == 30
    assert sum(found.exits) == 30
    assert found.exits[1] == 0
    assert found.logits == 12
    assert found.duration >= 30 * 64
    assert device.thresholds == (*small.thresholds[:2], None)

    vectors.scores[17] += 1
    with pytest.raises(CheckFailed) as caught:
        device.selftest(vectors)
    assert str(caught.value) == (
        "The device must answer 30 golden images as the reference does and differs in scores for 1 "
        f"of them, first image 17: expected {vectors.scores[17]}, got {vectors.scores[17] - 1}; "
        "check clock, supply and timing of the bitstream."
    )
    assert device.thresholds == (*small.thresholds[:2], None)
    vectors.scores[17] -= 1
    vectors.logits[1, 2, 3] += 1
    with pytest.raises(CheckFailed, match=r"differs at exit 1 for image 2: expected \["):
        device.selftest(vectors)


@pytest.mark.parametrize("raw", [False, True])
def test_a_reset_with_a_result_on_offer(small, simulated, device, raw):
    """The reset waits until it is taken, and it is no answer of the next call."""
    if raw:
        device.registers["raw"] = 1 << 31
    simulated.submit(np.zeros((3, 64), np.uint8), 12, 0)
    simulated.hold(output=1 << 40)
    simulated.device.go(3000, until=SENT)
    simulated.device.go(3000, until=RECEIVED)
    assert simulated.device.received.size == 0
    before = simulated.device.progress
    device.reset()
    assert device.registers["status.resetting"] == 0
    assert simulated.device.progress == (0, 0, 0) != before
    got = device.classify(small.images)
    small.agree(got)
    assert got.ids.tolist() == list(range(len(small.images)))


def test_a_result_that_nobody_takes(small, simulated, device, monkeypatch):
    monkeypatch.setattr(simulated, "drain", lambda: None)
    simulated.submit(np.zeros((3, 64), np.uint8), 3, 0)
    simulated.hold(output=1 << 40)
    simulated.device.go(3000, until=RECEIVED)
    start = simulated.now()
    with pytest.raises(DeviceFault) as caught:
        device.reset()
    assert str(caught.value) == (
        "The accelerator sample must come back from a reset and does not: its soft reset must end "
        "within 20300 cycles and does not, as it does while nobody takes the result that is on its "
        "output; power-cycle the board or load the bitstream again."
    )
    assert simulated.now() - start < 25_000
    monkeypatch.undo()
    small.agree(device.classify(small.images))


def test_idle_and_stalled_cycles(small, simulated, device):
    simulated.random(idle=0.3, stall=0.6, seed=5)
    small.agree(device.classify(small.images))
