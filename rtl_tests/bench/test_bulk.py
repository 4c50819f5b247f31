"""Bulk simulation against cocotb: same design, same images, cycles a second of processor."""

import json

import numpy as np
import pytest
from lib.bench import build_and_test
from system.design import memories, prepare

from exeunt.reference import network
from exeunt.simulate import answers, verilator

RATIO = 30
ROUNDS = 50


@pytest.mark.sim
@pytest.mark.bench
def test_bulk_is_faster_than_cocotb() -> None:
    manifest, case, sources = prepare()
    build_and_test(
        "bench",
        sources,
        block="system",
        test_module="system.system_cocotb",
        memories=memories(case),
        data=case,
        env={"COCOTB_TEST_FILTER": "answers"},
    )
    found = json.loads((case.folder.parents[1] / "cocotb_speed.json").read_text())
    images = np.concatenate([case.images] * ROUNDS)
    logits = network.run(manifest.accelerator(), images).logits
    model = verilator.build(manifest)
    bulk = answers.answer(manifest, model, images, logits)
    assert not len(bulk.wrong)
    part = bulk.slices[0]
    speed = part.trace.cycles / part.processor
    ratio = speed / found["cycles_per_second"]
    print(
        f"\nbulk {speed / 1e6:.2f} M cycles/s, cocotb {found['cycles_per_second'] / 1e3:.1f} k "
        f"cycles/s: {ratio:.0f} times"
    )
    assert ratio >= RATIO, f"bulk must be {RATIO} times as fast as cocotb, is {ratio:.1f} times"
