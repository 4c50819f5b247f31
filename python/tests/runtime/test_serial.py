"""The serial transport against the shell's model, over a line that loses, damages and delays."""

from __future__ import annotations

import importlib.util
import random
import sys
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from exeunt import registers
from exeunt.errors import InputError, ToolError
from exeunt.runtime import framing
from exeunt.runtime.framing import Greeting, Packet
from exeunt.runtime.serial import Serial
from exeunt.runtime.transport import TransferError, TransferFault, TransferTimeout

_SPEC = importlib.util.spec_from_file_location("line", Path(__file__).with_name("line.py"))
_HERE = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(_HERE)
Line, noise, answer = _HERE.Line, _HERE.noise, _HERE.answer
FRAME, CONTROL = _HERE.FRAME, _HERE.CONTROL


def opened(line) -> Serial:
    """The transport, as the driver brings it up."""
    port = Serial(line, clock=line.clock)
    recover(port)
    return port


def recover(port: Serial) -> None:
    port.stop()
    port.write(CONTROL, 1)
    port.start()


def images(count: int, seed: int = 0, frame: int = FRAME) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (count, frame), np.uint8)


def expect(frames: np.ndarray, first: int = 0) -> np.ndarray:
    raw = b"".join(answer(first + k, x.tobytes()) for k, x in enumerate(frames))
    return np.frombuffer(raw, np.uint8).reshape(-1, 16)


def test_registers_and_frames():
    line = Line()
    port = opened(line)
    assert (port.unit, port.beat_bytes, port.depth) == ("s", 1, 1)
    assert port.read(registers.address("id")) == registers.ID
    port.write(0x0C0, -5)
    assert port.read(0x0C0) == 0xFFFFFFFB
    for first, count in ((0, 1), (1, 40), (41, 700)):
        frames = images(count, seed=count)
        port.submit(frames, count, 1.0)
        frames_before = frames.copy()
        frames[:] = 0  # the caller may reuse its array
        assert (port.collect(5.0) == expect(frames_before, first)).all()
    assert port.resent == 0
    port.close()
    port.close()
    assert line.closed


def test_raw_mode_has_several_records_a_frame():
    line = Line()
    port = opened(line)
    line.core.frame = lambda data: line.core.inside.extend([data[:4] * 4, data[4:8] * 4])
    frames = images(1)
    port.submit(frames, 2, 1.0)
    got = port.collect(1.0)
    assert got.tobytes() == frames[0, :4].tobytes() * 4 + frames[0, 4:8].tobytes() * 4


@pytest.mark.parametrize("way", ["hurt", "hurt_back"])
@pytest.mark.parametrize("rate", [0.002, 0.01])
def test_noise_is_mended(way, rate):
    line = Line()
    port = opened(line)
    setattr(line, way, noise(random.Random(3), rate))
    frames = images(300)
    port.submit(frames, 300, 1.0)
    assert (port.collect(300.0) == expect(frames)).all()
    assert port.resent > 5


def test_a_lost_last_result_is_asked_for():
    line = Line()
    port = opened(line)
    line.hurt_back = lambda data: b"" if len(data) > 200 else data
    line.core.delay = 19  # they leave together with the last answer
    frames = images(20)
    port.submit(frames, 20, 1.0)
    line.core.delay = 0
    line.back.clear()
    line.hurt_back = lambda data: data
    assert (port.collect(30.0) == expect(frames)).all()


def test_no_room_is_waited_for():
    line = Line()
    port = opened(line)
    line.core.stuck = True
    frames = images(30)
    port.submit(frames, 30, 1.0)
    with pytest.raises(TransferTimeout) as caught:
        port.collect(0.5)
    assert caught.value.stage == "input"
    assert str(caught.value) == (
        "30 results must come over the port within 0.5 s and 0 came, with 0 of 30 frames accepted"
    )
    with pytest.raises(TransferTimeout) as caught:
        port.ready(0.1)
    assert caught.value.stage == "input"
    assert str(caught.value) == ("30 frames must be accepted over the port within 0.1 s and 0 were")
    line.core.stuck = False
    assert (port.collect(5.0) == expect(frames)).all()


def test_a_core_that_never_answers():
    line = Line()
    port = opened(line)
    line.core.delay = 10**6
    frames = images(4)
    port.submit(frames, 4, 1.0)
    with pytest.raises(TransferTimeout) as caught:
        port.collect(3.0)
    assert caught.value.stage == "results"
    assert "0 came, with 4 of 4 frames accepted" in str(caught.value)
    port.ready(1.0)
    line.core.delay = 0
    recover(port)
    port.submit(frames, 4, 1.0)
    assert (port.collect(3.0) == expect(frames)).all()


def test_registers_while_frames_are_under_way():
    line = Line()
    port = opened(line)
    line.hurt = noise(random.Random(9), 0.003)
    frames = images(200)
    port.submit(frames, 200, 1.0)
    for k in range(20):
        port.write(0x100 + 4 * k, k)
        assert port.read(0x100 + 4 * k) == k
    assert (port.collect(60.0) == expect(frames)).all()


def test_a_device_that_restarts_is_noticed():
    line = Line()
    port = opened(line)
    line.core.delay = 3
    frames = images(60)
    port.submit(frames, 60, 1.0)
    line.shell.reset()
    line.core.write(CONTROL, 1)
    with pytest.raises(TransferFault) as caught:
        port.collect(5.0)
    assert "so it was restarted or somebody else uses the port" in str(caught.value)
    assert port.read(registers.address("id")) == registers.ID
    recover(port)
    port.submit(frames, 60, 1.0)
    assert (port.collect(5.0) == expect(frames)).all()


@pytest.mark.parametrize("hello", [False, True], ids=["restarted", "greeted by another"])
def test_results_from_before_a_restart_are_no_answers(hello):
    """All frames are accepted, and the device forgets them: it has no result 2 to send again."""
    line = Line()
    port = opened(line)
    frames = images(6)
    port.submit(frames[:2], 2, 1.0)
    port.collect(1.0)
    line.core.delay = 10**6
    port.submit(frames[2:], 4, 1.0)
    port.ready(1.0)
    line.core.write(CONTROL, 1)
    line.core.delay = 0
    line.shell.reset()
    if hello:
        line.shell.feed(Packet(framing.HELLO, 0).encode())
    with pytest.raises(TransferFault) as caught:
        port.collect(5.0)
    assert str(caught.value) == (
        "the accelerator on the port must keep result 2 and does not, so it was reset or somebody "
        "else uses the port"
        if hello
        else "the accelerator on the port must know of result 2 and does not, so it was restarted "
        "or somebody else uses the port"
    )
    assert not len(caught.value.partial)
    recover(port)
    port.submit(frames, 6, 1.0)
    assert (port.collect(5.0) == expect(frames)).all()


def test_a_cable_that_is_pulled():
    line = Line()
    port = opened(line)
    port.submit(images(60), 60, 1.0)
    line.unplugged = True
    with pytest.raises(TransferFault) as caught:
        port.collect(5.0)
    assert str(caught.value) == (
        "the serial port the port must stay connected and failed: device reports readiness to "
        "read but returned no data"
    )


def test_a_device_that_falls_silent():
    line = Line()
    port = opened(line)
    line.deaf = True
    with pytest.raises(TransferTimeout) as caught:
        port.read(8)
    assert caught.value.stage == "register"
    assert "the register at 0x008 must answer within" in str(caught.value)
    with pytest.raises(TransferError) as failed:
        port.write(8, 1)
    assert "the port" in str(failed.value)
    port.submit(images(3), 3, 1.0)
    with pytest.raises(TransferFault) as fault:
        port.collect(60.0)
    assert "24 tries brought no answer" in str(fault.value)
    port.close()
    with pytest.raises(TransferFault, match="must be open and was closed"):
        port.submit(images(3), 3, 1.0)


def test_a_surplus_result_is_refused():
    line = Line()
    port = opened(line)
    port.submit(images(2), 1, 1.0)
    with pytest.raises(TransferFault, match="1 results must come over the port and 2 came"):
        port.collect(1.0)


def test_a_port_that_is_not_ours():
    silent = Line()
    silent.deaf = True
    with pytest.raises(InputError) as caught:
        Serial(silent, clock=silent.clock)
    assert silent.closed
    assert str(caught.value) == (
        "the serial port the port must lead to an Exeunt accelerator at 3000000 baud and was "
        "silent; check the port, the baud rate and that the bitstream is loaded."
    )
    modem = Line()
    modem.hurt_back = lambda data: b"OK\r\n" if data else b""
    with pytest.raises(InputError, match="sent 32 bytes that are none of its answers; check"):
        Serial(modem, clock=modem.clock)


def test_a_device_of_another_version():
    line = Line()
    told = Greeting(framing.VERSION + 1, 2, FRAME, 0, 1)
    line.shell.feed = lambda data: Packet(framing.HI, data[2], told.encode()).encode()
    with pytest.raises(InputError) as caught:
        Serial(line, clock=line.clock)
    assert line.closed
    assert str(caught.value) == (
        "the accelerator on the port must speak version 1 of the serial protocol and speaks 2; "
        "load a bitstream made by this version of exeunt."
    )


def test_a_host_that_follows_one_that_was_killed():
    line = Line()
    port = opened(line)
    port.submit(images(40), 40, 1.0)
    half = Packet(framing.IMAGE, 77, bytes(FRAME)).encode()[:9]
    line.write(half)
    port = opened(line)
    frames = images(10, seed=4)
    port.submit(frames, 10, 1.0)
    assert (port.collect(5.0) == expect(frames)).all()


def test_a_port_that_is_absent_or_busy(tmp_path):
    name = str(tmp_path / "no-such-port")
    with pytest.raises(InputError) as caught:
        Serial(name)
    text = str(caught.value)
    assert text.startswith(f"the serial port {name} must be there and free at 3000000 baud and")
    assert text.endswith("; check its name and close other programs that use it.")


def test_without_pyserial(monkeypatch):
    monkeypatch.setitem(sys.modules, "serial", None)
    with pytest.raises(ToolError) as caught:
        Serial("/dev/ttyUSB0")
    assert str(caught.value) == (
        "a serial port such as /dev/ttyUSB0 needs pyserial, which is not installed: "
        'pip install "exeunt[serial]"'
    )


def test_a_thousand_interruptions():
    """Each ends in the right results or in an error, and a reset brings the line back."""
    rng = random.Random(11)
    line = Line()
    port = opened(line)
    ends: Counter[str] = Counter()
    said: set[str] = set()
    first = 0
    for k in range(1000):
        frames = images(rng.randrange(1, 30), seed=k)
        kind = rng.choice(
            ["to device", "from device", "both", "stuck", "slow", "restart", "silence", "cut"]
        )
        before = line.time
        if kind in ("to device", "both"):
            line.hurt = noise(random.Random(k), rng.choice([0.002, 0.01, 0.03]))
        if kind in ("from device", "both"):
            line.hurt_back = noise(random.Random(-k), rng.choice([0.002, 0.01, 0.03]))
        if kind == "silence":
            line.hurt_back = lambda data: b""
        if kind == "slow":
            line.core.delay = rng.randrange(40)
        try:
            if kind == "cut":
                half = rng.randrange(1, FRAME + framing.OVERHEAD)
                line.write(Packet(framing.IMAGE, rng.randrange(256), bytes(FRAME)).encode()[:half])
            port.submit(frames, len(frames), 1.0)
            line.core.stuck = kind == "stuck"
            if kind == "restart":
                line.shell.reset()
                line.core.write(CONTROL, 1)
                if rng.random() < 0.5:  # somebody else, even
                    line.shell.feed(Packet(framing.HELLO, rng.randrange(256)).encode())
            got = port.collect(4.0)
            assert (got == expect(frames, first)).all(), f"{k}, {kind}: a wrong answer"
            first += len(frames)
            ends[f"{kind}: recovered"] += 1
            failed = False
        except TransferError as error:
            said.add(str(error))
            ends[f"{kind}: error"] += 1
            failed = True
        assert line.time - before < 60, f"{k}, {kind}: it took {line.time - before} s"
        line.hurt = line.hurt_back = lambda data: data
        line.core.delay, line.core.stuck = 0, False
        if failed:
            recover(port)
            first = 0
    for kind in ("to device", "from device", "both", "slow", "cut"):
        assert ends[f"{kind}: recovered"] > 30, ends
    assert ends["stuck: error"] > 50
    assert ends["silence: error"] > 50
    assert ends["restart: error"] > 50
    assert sum(ends.values()) == 1000
    assert all("the port" in text for text in said)


def test_time_in_which_others_use_the_line_is_no_silence():
    """Results that come late are not asked for again because a thread polls registers."""
    line = Line()
    port = opened(line)
    frames, turns, plain = images(20), [], line.core.results
    line.core.results = lambda: plain() if len(turns) > 100 else []
    port.submit(frames, 20, 1.0)

    def between() -> None:
        turns.append(1)
        line.time += 1.0
        assert port.read(registers.address("id")) == registers.ID

    assert np.array_equal(port.collect(1000.0, between), expect(frames))
    assert len(turns) > 100
    assert port.resent < 50  # for the silence between two of the thread's turns
