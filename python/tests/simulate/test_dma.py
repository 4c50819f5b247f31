"""The compiled model's DMA: maps come whole and in order, whatever waits."""

from __future__ import annotations

import shutil
from pathlib import Path

import numpy as np
import pytest

from exeunt.manifest import Manifest
from exeunt.simulate import verilator
from exeunt.simulate.dma import MAP_WORDS, MAPPED, OVER, RECEIVED, DmaModel

CORE = Path(__file__).with_name("mapping_core.sv")

pytestmark = pytest.mark.sim


@pytest.fixture(scope="module")
def library(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("mapping")
    shutil.copyfile(CORE, folder / "exeunt_core.sv")
    data = {"sources": ["exeunt_core.sv"], "files": {"exeunt_core.sv": ""}, "explain": {}}
    return verilator.build(Manifest(folder, data), options=verilator.Options(quick=True))


@pytest.fixture
def device(library):
    with DmaModel(library, width=8) as model:
        model.reset()
        yield model


def packet(number: int) -> bytes:
    words = number * 16 + np.arange(number % 5 + 1)
    return words.astype("<u4").tobytes()


def send(device: DmaModel, count: int) -> None:
    device.send(np.zeros((count, 1), np.uint8))
    device.receive(count)


@pytest.mark.parametrize(("stall", "maps"), [(0.0, 0.0), (0.7, 0.0), (0.0, 0.7), (0.4, 0.4)])
def test_packets_come_whole(device, stall, maps):
    send(device, 200)
    device.random(stall=stall, maps=maps, seed=3)
    device.open_maps()
    found = []
    while len(found) < 200:
        device.go(37, until=OVER)
        found += device.packets()
        assert device.cycle < 20_000
    assert found == [packet(n) for n in range(200)]
    assert device.go(1000, until=RECEIVED)
    assert device.packets() == []


def test_nobody_takes_maps(device):
    """Results come meanwhile, as far as the core goes on; later maps are all there."""
    send(device, 200)
    assert not device.go(5000, until=MAPPED)
    assert len(device.received) == 64
    device.open_maps()
    before = device.progress
    assert device.go(100, until=MAPPED)
    assert device.progress > before
    assert device.packets() == [packet(0)]
    device.hold(maps=500)
    assert not device.go(499, until=MAPPED)
    assert device.go(5, until=MAPPED)


def test_maps_wait_for_room(device):
    """What is not fetched holds the stream up and is not lost."""
    count = MAP_WORDS // 3 + 200
    send(device, count)
    device.open_maps()
    assert not device.go(3 * MAP_WORDS, until=RECEIVED)
    found = device.packets()
    assert len(b"".join(found)) // 4 <= MAP_WORDS
    device.go(3 * MAP_WORDS, until=RECEIVED)
    device.go(1000, until=OVER)
    found += device.packets()
    assert found == [packet(n) for n in range(count)]


def test_stop_forgets_maps(device):
    """Half a packet that was taken is forgotten too; none is taken until they are open again."""
    send(device, 5)
    device.open_maps()
    device.go(14, until=OVER)
    device.stop()
    assert not device.go(50, until=MAPPED)
    device.open_maps()
    device.go(50, until=OVER)
    (first, *_) = found = device.packets()
    assert len(first) < 20
    assert b"".join(packet(n) for n in range(5)).endswith(b"".join(found))
