"""An accelerator on a serial port: the host end of `exeunt.runtime.framing`.

Whatever the line loses or damages is sent again, in both directions, so every frame enters exactly
once and every result comes back exactly once; what cannot be mended in time ends in an error.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable

import numpy as np

from exeunt.errors import InputError
from exeunt.runtime import framing
from exeunt.runtime.framing import Greeting, Packet, Parser
from exeunt.runtime.pieces import Pieces
from exeunt.runtime.ports import POLL, Port, open_port
from exeunt.runtime.transport import NOTHING, Bytes, TransferFault, TransferTimeout, alone

BAUD = 3_000_000
WINDOW = 16
WINDOW_BYTES = 8192
FRAMES = 1024
SLACK = 0.05
"""Seconds that the computer and its USB adapter may take on top of the line."""
TRIES = 8
"""Times that a register is asked before it is said not to answer."""
RESENDS = 24
"""Times in a row that a packet is sent again before the line is given up."""
PAUSE = 0.005
"""Seconds before a frame that found no room is sent again."""
CLOCK_HZ = 10e6
"""A core that is slower than this needs a timeout from its user."""


class Serial:
    """The transport of `exeunt.runtime.Accelerator` over a serial port.

    Args:
        port: its name ("/dev/ttyUSB0", "COM3", a pyserial URL), or an open port.
        baud: bits a second, the board's clock divided by the shell's divisor.
        clock: seconds, for ports with a time of their own.

    Raises:
        InputError: the port cannot be opened, or nothing there speaks the protocol.
        ToolError: pyserial is not installed.
    """

    unit = "s"
    depth = 1

    def __init__(
        self,
        port: str | Port,
        *,
        baud: int = BAUD,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._name = port if isinstance(port, str) else str(getattr(port, "name", "the port"))
        self._port: Port = open_port(port, baud) if isinstance(port, str) else port
        self._baud = baud
        self._clock = clock
        self._parser = Parser(framing.FROM_DEVICE)
        self._closed = False
        self._gone = ""
        self._base = 0  # seq of the first packet in `_window`
        self._window: deque[tuple[int, bytes]] = deque()  # kind and bytes, accepted from the left
        self._at = 0  # packets of `_window` that were sent since the last go-back
        self._most = 2  # of `_window`, until the size of a frame is known
        self._burst = self._most
        self._frames = np.zeros((0, 1), np.uint8)
        self._next = 0  # frame to be put into `_window`
        self._wanted = 0  # records of the transfer under way
        self._records: list[bytes] = []
        self._running = False
        self._result = 0  # number of the next result
        self._asked: float | None = None  # when the next result was asked for again
        self._pieces = Pieces(clock())
        self._tag = 0
        self._request = b""  # the READ or HELLO that waits for an answer
        self._answer: Packet | None = None
        self._accepts = 0  # packets accepted so far
        self._progress = 0  # changes with everything that brings a transfer on
        self._heard = clock()  # when the last byte came
        self._pause = self._heard  # until when nothing is sent
        self._resent = 0
        try:
            told = self._hello()
        except TransferTimeout:
            heard = self._parser.skipped + self._parser.pending
            self.close()
            seen = f"sent {heard} bytes that are none of its answers" if heard else "was silent"
            raise InputError(
                f"the serial port {self._name} must lead to an Exeunt accelerator at {baud} baud "
                f"and {seen}; check the port, the baud rate and that the bitstream is loaded."
            ) from None
        except BaseException:
            self.close()
            raise
        if told.version != framing.VERSION:
            self.close()
            raise InputError(
                f"the accelerator on {self._name} must speak version {framing.VERSION} of the "
                f"serial protocol and speaks {told.version}; load a bitstream made by this version "
                "of exeunt."
            )
        self._frame_bytes = told.image_bytes
        self.beat_bytes = told.beat_bytes
        self.capacity = FRAMES * told.image_bytes
        self._most = max(2, min(WINDOW, WINDOW_BYTES // (told.image_bytes + framing.OVERHEAD)))
        self._burst = self._most

    @property
    def resent(self) -> int:
        """Times so far that something was sent again."""
        return self._resent

    @property
    def damaged(self) -> int:
        """Bytes from the device so far that were part of no packet."""
        return self._parser.skipped

    # ------------------------------------------------------------------ registers

    def read(self, address: int) -> int:
        """The 32-bit register at a byte address."""
        answer = self._ask(framing.READ, address.to_bytes(2, "little"))
        if answer is None:
            raise self._dead(f"the register at {address:#05x} must answer within", "register")
        return framing.split_register(answer.payload)[1]

    def write(self, address: int, value: int) -> None:
        """Write a 32-bit register; everything submitted before it is accepted first."""
        self._alive()
        self._append(framing.WRITE, framing.register(address, value & 0xFFFFFFFF))
        goal = self._accepts + len(self._window)
        if not self._pump(lambda: self._accepts >= goal, TRIES * self._patience()):
            raise self._dead(f"the register at {address:#05x} must take a write within", "register")

    # ------------------------------------------------------------------ transfers

    def ready(self, timeout: float, between: Callable[[], None] = alone) -> None:
        """Wait until every frame is accepted; see `exeunt.runtime.transport.Transport`."""
        if not self._pump(lambda: self._sent() == len(self._frames), timeout, between):
            raise TransferTimeout(
                f"{len(self._frames)} frames must be accepted over {self._name} within "
                f"{timeout:g} s and {self._sent()} were",
                "input",
                self._partial(),
            )

    def submit(self, frames: Bytes, records: int, timeout: float) -> None:
        """Start to send whole frames; see `exeunt.runtime.transport.Transport`."""
        self._alive()
        if self._records:
            raise TransferFault(
                f"no result may come over {self._name} while nothing is under way and "
                f"{len(self._records)} came"
            )
        assert self._running, "start() first"
        assert not self._wanted, "collect() first"
        assert frames.ndim == 2
        assert frames.shape[1] == self._frame_bytes
        self._frames = np.ascontiguousarray(frames, np.uint8).copy()
        self._next = 0
        self._wanted = records
        self._fill()
        self._send()

    def collect(self, timeout: float, between: Callable[[], None] = alone) -> Bytes:
        """All records of the transfer under way; see `exeunt.runtime.transport.Transport`."""
        self._alive()
        if not self._pump(lambda: len(self._records) >= self._wanted, timeout, between):
            sent = self._sent()
            stage = "input" if sent < len(self._frames) else "results"
            raise TransferTimeout(
                f"{self._wanted} results must come over {self._name} within {timeout:g} s and "
                f"{len(self._records)} came, with {sent} of {len(self._frames)} frames accepted",
                stage,
                self._partial(),
            )
        if len(self._records) > self._wanted:
            raise TransferFault(
                f"{self._wanted} results must come over {self._name} and {len(self._records)} came",
                self._partial(),
            )
        found = self._partial()
        self._frames = self._frames[:0]
        self._next, self._wanted, self._records = 0, 0, []
        return found

    def map(self, timeout: float, between: Callable[[], None] = alone) -> bytes | None:
        """The oldest packet of a heat map; see `exeunt.runtime.transport.Transport`."""
        self._alive()
        pieces, end = self._pieces, self._clock() + timeout
        while not pieces.packets and self._clock() < end:
            wait = pieces.asked + self._patience() - self._clock()
            if wait <= 0:  # the last ones may be lost
                self._ask_pieces()
                continue
            wait = min(wait, end - self._clock())
            self._pump(lambda: bool(pieces.packets), wait, between, resend=False)
            self._alive()
        return pieces.packets.popleft() if pieces.packets else None

    def stop(self) -> None:
        """Forget everything under way; register accesses still work."""
        self._frames = self._frames[:0]
        self._next, self._wanted, self._records = 0, 0, []
        self._running = False
        self._hello()

    def drain(self) -> None:
        """Nothing is needed: the shell takes what its core has on offer."""

    def start(self) -> None:
        """Be ready for transfers; the accelerator is empty."""
        self._result = self._hello().next_result
        self._asked = None
        self._pieces = Pieces(self._clock())
        self._running = True

    def patience(self, frames: int, cycles: int) -> float:
        """Seconds that a transfer of `frames` frames may take with every packet sent four times."""
        line = frames * (self._frame_bytes + 2 * framing.OVERHEAD) * 10 / self._baud
        return 4 * line + cycles / CLOCK_HZ + TRIES * self._patience()

    def now(self) -> float:
        """Seconds of the computer's monotonic clock."""
        return self._clock()

    def close(self) -> None:
        """Give the port back; a second call does nothing."""
        if not self._closed:
            self._closed = True
            with contextlib.suppress(Exception):
                self._port.close()

    # ------------------------------------------------------------------ inside

    def _patience(self) -> float:
        """Seconds to wait for an answer: the window on the line, and the device's own patience."""
        line = (WINDOW_BYTES + 2 * framing.IDLE_BITS / 10) * 10 / self._baud
        return line + SLACK

    def _sent(self) -> int:
        """Frames that the device has accepted."""
        return self._next - sum(kind == framing.IMAGE for kind, _ in self._window)

    def _partial(self) -> Bytes:
        if not self._records:
            return NOTHING
        return np.frombuffer(b"".join(self._records), np.uint8).reshape(-1, framing.RESULT_BYTES)

    def _alive(self) -> None:
        if self._closed:
            raise TransferFault(f"the serial port {self._name} must be open and was closed")
        if self._gone:
            raise TransferFault(self._gone, self._partial())

    def _dead(self, rule: str, stage: str) -> TransferTimeout:
        waited = TRIES * self._patience()
        return TransferTimeout(
            f"{rule} {waited:.1f} s over {self._name} and {TRIES} tries brought nothing",
            stage,
            self._partial(),
        )

    def _ask(self, kind: int, payload: bytes = b"") -> Packet | None:
        """The answer to a READ or HELLO, sent until it comes; None after as many tries as are due.

        Every try has a seq of its own, so a late answer to an earlier one is not taken.
        """
        for k in range(TRIES):
            self._resent += k > 0
            self._tag = (self._tag + 1) % 256
            self._answer = None
            self._request = Packet(kind, self._tag, payload).encode()
            self._write(self._request)
            self._pump(lambda: self._answer is not None, self._patience(), resend=False)
            self._request = b""
            if self._answer is not None:
                return self._answer
        return None

    def _hello(self) -> Greeting:
        """Begin anew: nothing is under way, the next packet's seq is agreed on."""
        self._window.clear()
        self._at = 0
        self._gone = ""
        self._burst = self._most
        answer = self._ask(framing.HELLO)
        if answer is None:
            raise self._dead("a HELLO must be answered within", "register")
        self._base = (answer.seq + 1) % 256
        return Greeting.decode(answer.payload)

    def _append(self, kind: int, payload: bytes) -> None:
        seq = (self._base + len(self._window)) % 256
        self._window.append((kind, Packet(kind, seq, payload).encode()))

    def _fill(self) -> None:
        """Put frames into the window, as many as may be under way."""
        frames = len(self._frames)
        if self._next >= frames:
            return
        each = -(-self._wanted // frames)
        most = max(1, framing.KEPT // each - 1)
        answered = len(self._records) // each
        while (
            self._next < frames and len(self._window) < self._most and self._next - answered < most
        ):
            self._append(framing.IMAGE, self._frames[self._next].tobytes())
            self._next += 1

    def _send(self) -> None:
        """Send what of the window was not sent yet."""
        due = min(len(self._window), self._burst)
        if self._at < due and self._clock() >= self._pause:
            self._write(b"".join(self._window[k][1] for k in range(self._at, due)))
            self._at = due

    def _write(self, data: bytes) -> None:
        try:
            self._port.write(data)
        except OSError as error:
            raise self._broke(error) from None

    def _broke(self, error: OSError) -> TransferFault:
        return TransferFault(
            f"the serial port {self._name} must stay connected and failed: "
            f"{str(error).rstrip('.')}",
            self._partial(),
        )

    def _listen(self, wait: float) -> list[Packet]:
        """The packets that come within `wait` seconds; returns as soon as a byte came."""
        try:
            if self._port.timeout != wait:
                self._port.timeout = wait
            data = self._port.read(max(1, int(getattr(self._port, "in_waiting", 0) or 0)))
        except OSError as error:
            raise self._broke(error) from None
        now = self._clock()
        if data:
            self._heard = now
            return self._parser.feed(data)
        if now - self._heard > framing.IDLE_BITS / self._baud + SLACK:
            return self._parser.idle()
        return []

    def _pump(
        self,
        done: Callable[[], bool],
        timeout: float,
        between: Callable[[], None] = alone,
        *,
        resend: bool = True,
    ) -> bool:
        """Send, listen and mend until `done()` or `timeout` seconds have passed.

        Args:
            done: what is waited for.
            timeout: in seconds.
            between: called before every look at the line.
            resend: mend what is under way, and fail if that does not help.

        Raises:
            TransferFault: the port failed, or the device cannot be brought on.
        """
        wait = self._patience()
        now = self._clock()
        end, due, tries = now + timeout, now + wait, 0
        while not done():
            before = self._progress
            between()  # others listen meanwhile, so silence is not counted
            due += self._clock() - now
            now = self._clock()
            if resend:
                self._alive()
            self._fill()
            self._send()
            pause = self._pause - now if self._pause > now else POLL
            for packet in self._listen(max(0.0, min(due - now, end - now, pause, POLL))):
                self._take(packet)
            now = self._clock()
            if before != self._progress:
                due, tries = now + wait, 0
            elif now >= due:
                if resend:
                    tries += 1
                    self._again(tries)
                due = now + wait
            if now >= end:
                return done()
        return True

    def _again(self, tries: int) -> None:
        """Nothing came for a while: send again what was not accepted, ask for what is missing."""
        if tries > RESENDS and self._window:
            self._gone = (
                f"the accelerator on {self._name} must accept packet {self._base} and "
                f"{RESENDS} tries brought no answer"
            )
            return
        self._resent += 1
        self._at = 0
        self._burst = 1
        if self._running and len(self._records) < self._wanted:
            self._ask_again()

    def _ask_again(self) -> None:
        self._asked = self._clock()
        self._write(Packet(framing.AGAIN, self._result).encode())

    def _take(self, packet: Packet) -> None:
        if packet.kind in (framing.DATA, framing.HI):
            kind = framing.READ if packet.kind == framing.DATA else framing.HELLO
            if self._request[1:3] == bytes((kind, packet.seq)):
                self._answer = packet
        elif packet.kind == framing.ACK:
            self._accepted((packet.seq + 1 - self._base) % 256)
        elif packet.kind == framing.RESULT:
            self._came(packet)
        elif packet.kind in (framing.MAP, framing.MAP_END):
            if self._running and self._pieces.come(packet, self._clock()):
                self._ask_pieces()
            if self._pieces.due:
                self._write(self._pieces.confirmed().encode())
        else:
            self._refused(packet)

    def _accepted(self, count: int) -> bool:
        """The first `count` packets of the window are accepted, if there are that many."""
        if count > len(self._window):
            return False
        for _ in range(count):
            self._window.popleft()
        self._base = (self._base + count) % 256
        self._accepts += count
        self._progress += count
        self._at = max(0, self._at - count)
        self._burst = min(self._most, self._burst + count)
        return True

    def _refused(self, packet: Packet) -> None:
        """A NAK: what came before it is accepted, the rest goes again."""
        reason = packet.payload[0]
        waiting = self._running and len(self._records) < self._wanted
        if reason == framing.NO_RESULT and waiting:
            self._gone = (
                f"the accelerator on {self._name} must keep result {self._result} and does not, so "
                "it was reset or somebody else uses the port"
            )
            return
        if reason == framing.NO_MAP and self._running:
            self._gone = (
                f"the accelerator on {self._name} must keep piece {self._pieces.next} of its heat "
                "maps and does not, so it was reset or somebody else uses the port"
            )
            return
        if reason == framing.NO_HELLO or not self._accepted((packet.seq - self._base) % 256):
            if reason == framing.NO_HELLO and waiting and not self._window:
                self._gone = (
                    f"the accelerator on {self._name} must know of result {self._result} and does "
                    "not, so it was restarted or somebody else uses the port"
                )
            if self._window:
                self._gone = (
                    f"the accelerator on {self._name} must know of packet {self._base} and "
                    "does not, so it was restarted or somebody else uses the port"
                )
            return
        if self._request:  # which may be what was damaged
            self._write(self._request)
        if self._window and self._at:
            self._resent += 1
            self._at = 0
            if reason == framing.ROOM:  # it is alive, and has to wait for its results to leave
                self._progress += 1
                self._burst = 1
                self._pause = self._clock() + PAUSE

    def _came(self, packet: Packet) -> None:
        """A result: kept if it is the next one, asked for again if some before it are missing."""
        if not self._running:
            return
        ahead = (packet.seq - self._result) % 256
        if ahead == 0:
            self._result = (self._result + 1) % 256
            self._records.append(packet.payload)
            self._asked = None
            self._progress += 1
        elif ahead < 128 and (
            self._asked is None or self._clock() - self._asked > self._patience()
        ):
            self._resent += 1
            self._ask_again()

    def _ask_pieces(self) -> None:
        """Have the pieces of maps sent again from the next one on; those before it have come."""
        self._resent += 1
        self._write(self._pieces.missing(self._clock()).encode())
