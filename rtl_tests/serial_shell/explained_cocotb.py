"""cocotb test: the driver at the serial pins of an accelerator that explains its images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cocotb
import numpy as np
from cocotb.task import bridge
from cocotb.utils import get_sim_time
from lib.bench import bench_data
from serial_shell.design import IDLE_BITS
from serial_shell.pins import BIT_PS, Host, Wire

from exeunt import manifest as manifests
from exeunt.explain import hardware
from exeunt.explain.choice import Request
from exeunt.explain.program import METHODS
from exeunt.runtime import Accelerator, Results, framing, maps, serial
from exeunt.runtime.serial import Serial
from exeunt.simulate.maps import Reference


@cocotb.test(timeout_time=900, timeout_unit="ms")
async def driver_at_the_pins(dut: Any) -> None:
    """Answers and maps of every image, again after a reset in the middle of a map."""
    framing.IDLE_BITS = IDLE_BITS  # as the device at this bench; the rest in its time scale
    serial.SLACK, serial.POLL, serial.PAUSE, serial.WINDOW_BYTES = 2e-5, 1e-5, 1e-5, 512
    _, (folder, images) = bench_data()
    host = Host(dut)
    await host.reset()
    wire = Wire(host, 0.0)

    def drive() -> tuple[Results, Results, int]:
        port = Serial(wire, baud=round(1e12 / BIT_PS), clock=lambda: get_sim_time("sec"))
        with Accelerator(Path(folder), port) as device:
            first = device.explain(images, timeout=1.0)
            device.registers["explain_every"] = 1
            device.classify(images[:2], timeout=1.0)
            device.reset()  # while a map is on its way
            wire.rate = 0.0005
            second = device.explain(images, timeout=1.0)
            return first, second, port.resent

    first, second, resent = await bridge(drive)()
    assert resent > 0, "the line has lost nothing"
    made = manifests.read(Path(folder))
    accelerator = made.accelerator()
    explained = hardware.from_json(accelerator, made.data["explain"])
    for got in (first, second):
        assert sorted(got.maps) == list(range(len(images)))
        reference = Reference(accelerator, explained, images, got.classes.astype(np.int64))
        for image, found in got.maps.items():
            answer = got[image]
            method = METHODS.index(found.method)
            packet = reference.packet(Request(image, answer.class_, answer.exit, method, 0))
            right = maps.decode(packet, explained.engine.shapes)
            np.testing.assert_array_equal(found.values, right.values)
    assert len(set(first.exits.tolist())) > 1, first.exits
