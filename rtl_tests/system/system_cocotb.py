"""cocotb tests of the whole accelerator: answers, banks in flight, resets between frames."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from controller.controller_cocotb import Device, start
from lib.bench import bench_data
from lib.patterns import always, bernoulli
from system.design import Case

from exeunt.reference import controller

LIMIT = 400_000
SPEED = "cocotb_speed.json"


def send(device: Device, case: Case, frames: Sequence[int]) -> None:
    """Offer these images, TLAST with the last beat."""
    beats = case.images[list(frames)].reshape(-1).tolist()
    device.source.send((b, int(k + 1 == len(beats))) for k, b in enumerate(beats))


def check(
    what: str,
    case: Case,
    got: np.ndarray,
    frames: Sequence[int],
    sets: Sequence[int],
    *,
    first_id: int = 0,
) -> None:
    """Every id once, with the answer of the threshold set that was in force for it."""
    assert sorted(got["id"].tolist()) == list(range(first_id, first_id + len(frames))), what
    table = got[np.argsort(got["id"], kind="stable")]
    logits = [x[list(frames)] for x in case.logits]
    want = controller.decide(logits, case.thresholds, banks=np.array(sets))
    for name, column in (("exit", want.exits), ("class", want.classes), ("score", want.scores)):
        wrong = np.flatnonzero(table[name] != column)
        assert not len(wrong), (
            f"{what}: id {table['id'][wrong[0]]}: {name} is {table[name][wrong[0]]}, "
            f"expected {column[wrong[0]]}"
        )


@cocotb.test()
async def answers(dut: Any) -> None:
    """All images, continuous and with random idles and stalls."""
    case: Case = bench_data()
    device = await start(dut, *case.thresholds[0])
    frames = range(len(case.images))
    first = 0
    for idle, stall in ((None, None), (0.5, None), (None, 0.8), (0.3, 0.3)):
        device.source.idle = bernoulli(1 - idle, 1) if idle else always()
        device.sink.stall = bernoulli(1 - stall, 2) if stall else always()
        device.sink.clear()
        began, cycle = time.process_time(), device.cycles.now
        send(device, case, frames)
        got = await device.results(len(frames), LIMIT, f"idle {idle}, stall {stall}")
        assert int(dut.m_axis_tkeep.value) == 0xFFFF, "a result is sixteen bytes"
        if idle is None and stall is None:
            speed = (device.cycles.now - cycle) / (time.process_time() - began)
            Path(SPEED).write_text(json.dumps({"cycles_per_second": speed}))
            exits = np.bincount(got["exit"], minlength=3)
            assert (exits > 3).all(), f"an exit is hardly used: {exits}"
        check(f"idle {idle}, stall {stall}", case, got, frames, [0] * len(frames), first_id=first)
        first += len(frames)


@cocotb.test()
async def thresholds_in_flight(dut: Any) -> None:
    """Thresholds committed while frames are inside: each frame is judged by one set throughout."""
    case: Case = bench_data()
    device = await start(dut, *case.thresholds[0])
    frames = range(len(case.images))
    send(device, case, frames)
    for change, after in ((1, 8), (2, 20)):
        await device.cycles.until(
            lambda after=after: len(device.sink.words) >= after, LIMIT, f"result {after}"
        )
        await device.thresholds(*case.thresholds[change])
        while await device.status("commit_pending"):
            pass
    got = await device.results(len(frames), LIMIT, "thresholds in flight")
    table = got[np.argsort(got["id"], kind="stable")]
    banks = (table["flags"] & controller.FLAG_BANK) != 0
    sets = np.concatenate([[0], np.cumsum(banks[1:] != banks[:-1])])
    assert sets[-1] == 2, f"the banks in force were {banks.astype(int).tolist()}"
    check("thresholds in flight", case, got, frames, sets.tolist())


@cocotb.test()
async def reset_between_frames(dut: Any) -> None:
    """A soft and a hard reset with frames inside: nothing of them comes out, ids begin again."""
    case: Case = bench_data()
    device = await start(dut, *case.thresholds[0])
    for hard in (False, True):
        send(device, case, range(12))
        await device.cycles.until(lambda: len(device.sink.words) >= 3, LIMIT, "three results")
        if hard:
            device.source.flush()
            await device.cycles.reset(3)
            device.sink.clear()
            await device.thresholds(*case.thresholds[0])
            await device.settle()
        else:
            device.sink.stall = iter([False] * 10**6)  # the receiver takes nothing more
            await device.cycles.wait(2)
            await device.cycles.until(lambda: bool(int(dut.m_axis_tvalid.value)), LIMIT, "a result")
            assert await device.soft_reset(), "the result on offer is gone"
            device.sink.stall = always()
        counts = await device.snapshot()
        assert counts["frames_in"] == counts["frames_out"] == 0, f"counters say {counts}"
        frames = range(12, 24)
        send(device, case, frames)
        got = await device.results(
            len(frames), LIMIT, f"after a {'hard' if hard else 'soft'} reset"
        )
        check("after a reset", case, got, frames, [0] * len(frames))
        device.sink.clear()
        await device.soft_reset()
