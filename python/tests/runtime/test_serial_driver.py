"""The driver over the serial line, and the RTL behind the model of the shell."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path

import numpy as np
import pytest

from exeunt import registers
from exeunt.errors import InputError
from exeunt.reference.serial_shell import SerialShell
from exeunt.registers import ALWAYS, NEVER
from exeunt.runtime import Accelerator, DeviceError, DeviceFault, DeviceTimeout
from exeunt.runtime.serial import Serial
from exeunt.simulate.dma import OVER, RECEIVED, SENT

pytestmark = pytest.mark.sim
_SPEC = importlib.util.spec_from_file_location("line", Path(__file__).with_name("line.py"))
_HERE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_HERE)
noise = _HERE.noise
CONTROL = registers.address("control")
LOOK = 2000  # cycles that pass while the host looks


class RtlCore:
    """The simulated RTL as the core behind the shell's model."""

    def __init__(self, device, beat_bytes: int) -> None:
        self.device, self.beat_bytes = device, beat_bytes
        self.stuck = False
        self._out: list[bytes] = []
        device.receive(1)

    def frame(self, data: bytes) -> None:
        while not self.device.go(LOOK, until=SENT):
            self._gather()
        self.device.send(np.frombuffer(data, np.uint8).reshape(-1, self.beat_bytes))

    def _gather(self) -> None:
        while self.device.go(LOOK, until=RECEIVED):
            self._out.append(self.device.received.tobytes())
            self.device.receive(1)

    def results(self) -> list[bytes]:
        if not self.stuck:
            self._gather()
        found, self._out = self._out, []
        return found

    def maps(self) -> list[bytes]:
        self.device.go(LOOK, until=OVER)
        return self.device.packets()

    def read(self, address: int) -> int:
        return self.device.read(address)

    def write(self, address: int, value: int) -> None:
        if address == CONTROL and value & 1:
            self.device.stop()
            self.stuck = False
        self.device.write(address, value)
        if address == CONTROL and value & 1:
            self.device.receive(1)  # the shell takes what was on offer, and forgets it
            self.device.open_maps()
            self.device.go(40, until=OVER)
            self._out.clear()
            self.device.packets()
            self.device.receive(1)


@pytest.fixture
def line(small, simulated):
    stream = small.manifest.data["input"]
    core = RtlCore(simulated.device, simulated.beat_bytes)
    frame = stream["words"] * simulated.beat_bytes
    return _HERE.Line(core, frame=frame, beat_bytes=simulated.beat_bytes)


@pytest.fixture
def device(small, line):
    with Accelerator(small.folder, Serial(line, clock=line.clock)) as found:
        yield found


def test_answers_settings_and_logits(small, line, device):
    small.agree(device.classify(small.images))
    device.order = "input"
    device.thresholds = [NEVER, ALWAYS, None]
    got = device.classify(small.images[:20])
    small.agree(got, [NEVER, ALWAYS, None], slice(20))
    assert got.ids.tolist() == list(range(120, 140))
    assert device.counters["frames_in"] == 140
    assert np.array_equal(device.logits(small.images[:3], exit=1), small.logits[1][:3])
    assert [a.class_ for a in device.stream(iter(small.images[:5]))] == (
        small.want([NEVER, ALWAYS, None], slice(5)).classes.tolist()
    )
    assert device.transport.resent == 0


def test_a_noisy_line_gives_the_same_answers(small, line, device):
    line.hurt = noise(random.Random(5), 0.00005)
    line.hurt_back = noise(random.Random(6), 0.002)
    small.agree(device.classify(small.images))
    assert device.transport.resent > 10
    assert np.array_equal(device.logits(small.images[:3], exit=2), small.logits[2][:3])


def test_interruptions_end_in_a_sentence(small, line, device):
    images = small.images[:40]
    ends = []
    for kind in ("stuck", "silent", "restarted", "reset", "unplugged"):
        line.core.stuck = kind == "stuck"
        restart = kind == "restarted"

        def once(data: bytes, kind: str = kind, left: list[int] = [2]) -> bytes:  # noqa: B006
            left[0] -= 1
            if left[0] == 0:
                if kind == "restarted":
                    line.shell.reset()
                if kind == "reset":
                    line.core.write(CONTROL, 1)
            return data

        line.hurt = once
        line.deaf = kind == "silent"
        line.unplugged = kind == "unplugged"
        with pytest.raises(DeviceError) as caught:
            device.classify(images)
        text = str(caught.value)
        assert text.count("The accelerator sample must answer and did not") == 1, text
        small_part = caught.value.indices
        small.agree(caught.value.answered, images=small_part)
        ends.append(type(caught.value))
        assert restart == ("restarted or somebody else" in text), text
        line.deaf = line.unplugged = line.core.stuck = False
        line.hurt = lambda data: data
        small.agree(device.classify(images), images=slice(40))
    assert ends[0] is DeviceTimeout
    assert ends[2] is DeviceFault


def test_another_bitstream(small, line):
    line.shell = SerialShell(_HERE.Core(), 1024, beat_bytes=line.core.beat_bytes)
    with pytest.raises(InputError) as caught:
        Accelerator(small.folder, Serial(line, clock=line.clock))
    assert "register version is" in str(caught.value)
    assert line.closed


@pytest.fixture
def mapping_line(explained, explaining):
    stream = explained.manifest.data["input"]
    core = RtlCore(explaining.device, explaining.beat_bytes)
    frame = stream["words"] * explaining.beat_bytes
    return _HERE.Line(core, frame=frame, beat_bytes=explaining.beat_bytes, maps=True)


def test_heat_maps(explained, mapping_line):
    """Through the line and over noise, by every method; others are none of it."""
    images = explained.images[:12]
    port = Serial(mapping_line, clock=mapping_line.clock)
    with Accelerator(explained.folder, port) as device:
        for method in device.explanations.methods:
            got = device.explain(images, method=method)
            explained.agree(got, slice(12))
            assert sorted(got.maps) == list(range(12))
        assert port.resent == 0
        mapping_line.hurt = noise(random.Random(3), 0.00005)
        mapping_line.hurt_back = noise(random.Random(4), 0.001)
        got = device.explain(images)
        explained.agree(got, slice(12))
        got = device.classify(images, explain=[2, 9])
        explained.agree(got, slice(12))
        assert sorted(got.maps) == [2, 9]
        assert port.resent > 3
        plain = device.classify(images)
        explained.agree(plain, slice(12))
