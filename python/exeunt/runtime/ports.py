"""Serial ports: what the transport needs of one, and how one of this computer is opened."""

from __future__ import annotations

import contextlib
from typing import Any, Protocol

from exeunt.errors import InputError, ToolError

POLL = 0.02
"""Seconds that one read of a port waits at most."""


class Port(Protocol):
    """What is used of a serial port: pyserial's, or anything like it."""

    timeout: float | None

    def read(self, size: int = 1) -> bytes:
        """Up to `size` bytes; fewer once `timeout` seconds have passed."""
        ...

    def write(self, data: bytes) -> int | None:
        """Send all of `data`."""
        ...

    def close(self) -> None:
        """Give the port back."""
        ...


def open_port(name: str, baud: int) -> Port:
    """A serial port of the computer, for this program alone.

    Raises:
        InputError: there is no such port, it is in use, or it cannot do this rate.
        ToolError: pyserial is not installed.
    """
    try:
        import serial
    except ImportError:
        raise ToolError(
            f"a serial port such as {name} needs pyserial, which is not installed: "
            'pip install "exeunt[serial]"'
        ) from None
    try:
        port: Any = serial.serial_for_url(
            name, baudrate=baud, timeout=POLL, write_timeout=10, do_not_open=True
        )
        with contextlib.suppress(AttributeError, ValueError, NotImplementedError):
            port.exclusive = True
        port.open()
    except (OSError, ValueError) as error:
        raise InputError(
            f"the serial port {name} must be there and free at {baud} baud and cannot be opened: "
            f"{str(error).rstrip('.')}; check its name and close other programs that use it."
        ) from None
    with contextlib.suppress(Exception):  # an adapter that can wait less; others stay as they are
        port.set_low_latency_mode(True)
    with contextlib.suppress(Exception):  # nor does every port keep what came before
        port.reset_input_buffer()
    return port
