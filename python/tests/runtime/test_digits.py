"""The whole digits test set through the driver, wherever `make demo` has been run."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from exeunt import manifest
from exeunt.errors import InputError
from exeunt.reference import controller, network
from exeunt.runtime import Accelerator
from exeunt.simulate import bulk, verilator
from exeunt.simulate.simulated import Simulated

FOLDER = Path(__file__).parents[3] / "build" / "digits"
REGISTER_CYCLES = 40


@pytest.mark.sim
@pytest.mark.parametrize("order", ["arrival", "input"])
def test_every_digit_at_full_rate(order):
    if not (FOLDER / "splits.npz").is_file() or not (FOLDER / manifest.NAME).is_file():
        pytest.skip("needs build/digits: run `make demo`")
    found = manifest.read(FOLDER)
    images = np.load(FOLDER / "splits.npz")["test_images"]
    want = controller.decide(network.run(found.accelerator(), images).logits, found.thresholds)
    settings = bulk.Settings(order=["arrival", "input"].index(order))
    (part,) = bulk.run(found, verilator.build(found), images, settings=settings)
    alone = int(part.trace.result_cycles.max() - part.trace.accepts[0]) + 1
    try:
        device = Accelerator(FOLDER, Simulated(FOLDER))
    except InputError as error:
        pytest.skip(f"build/digits is of an older version: {error}")
    with device:
        device.order = order
        for batch in (len(images), 50):
            device.batch = batch
            start = device.transport.now()
            got = device.classify(images)
            cycles = device.transport.now() - start
            assert np.array_equal(got.classes, want.classes)
            assert np.array_equal(got.exits, want.exits)
            assert np.array_equal(got.scores, want.scores)
            if batch == len(images):
                assert alone <= cycles <= alone + REGISTER_CYCLES
            else:  # the last transfer is a shorter one and waits until those before have left
                assert cycles <= 1.1 * alone
