"""Opening what a network runs on, by name: the board, a simulation of its RTL, or its model."""

from __future__ import annotations

import importlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

from exeunt import manifest as manifests
from exeunt.bench.network import load
from exeunt.errors import InputError, ToolError
from exeunt.reference.golden import make
from exeunt.runtime import Accelerator, golden
from exeunt.runtime.transport import Transport
from exeunt.splits import Labelled

BOARD = "board.json"
GOLDEN = "golden.npz"
GOLDEN_IMAGES = 64
RAW_IMAGES = 2
"""Golden images whose logits are compared too."""

ASSUMED_MHZ = 100.0
"""Clock of a design whose manifest does not say one."""

DEVICES = ("board", "simulated", "modelled")
TRANSPORTS = {
    "modelled": "exeunt.reference.modelled:Modelled",
    "pynq": "exeunt.runtime.pynq:Pynq",
    "serial": "exeunt.runtime.serial:Serial",
    "simulated": "exeunt.simulate.simulated:Simulated",
}
"""Imported when they are used: a board has neither a simulator nor its sources."""


@dataclass(frozen=True)
class Opened:
    """An opened accelerator; `board` has name, clock_mhz and sensors, `kind` is the transport."""

    folder: Path
    accelerator: Accelerator
    transport: Transport
    kind: str
    board: Mapping[str, Any]

    def golden(self) -> golden.Golden:
        """The vectors that went with a deploy package, or new ones of a run folder's images.

        Raises:
            InputError: there are neither vectors nor images.
        """
        path = self.folder / GOLDEN
        if path.is_file():
            return golden.read(path)
        found = load(self.folder)
        images = Labelled(found.images, found.labels).some(GOLDEN_IMAGES).images
        return make(self.folder, images, logits=min(RAW_IMAGES, len(images)))

    def __enter__(self) -> Opened:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.accelerator.close()


def board_of(folder: Path) -> dict[str, Any]:
    """`folder`/board.json, or only the clock of the manifest where there is none.

    Raises:
        InputError: it is not JSON, or there is no manifest.
    """
    path = folder / BOARD
    if path.is_file():
        try:
            data = json.loads(path.read_text(encoding="utf-8"))
            if isinstance(data, dict) and {"name", "clock_mhz"} <= set(data):
                return data
        except ValueError:
            pass
        raise InputError(
            f"{path} must be what `exeunt deploy` wrote, got something else: unpack it again"
        )
    return {
        "name": "",
        "flow": "",
        "clock_mhz": assumed_mhz(folder),
        "sensors": {},
        "bitstream": None,
    }


def assumed_mhz(folder: Path) -> float:
    """The clock that the design was compiled for."""
    data = manifests.read(folder, verify=False).data
    return float(data.get("clock_mhz", ASSUMED_MHZ))


def opened(
    folder: str | Path,
    device: str = "board",
    *,
    board: Mapping[str, Any] | None = None,
    port: str = "",
) -> Opened:
    """Open an accelerator with the network of a folder.

    Args:
        folder: a run folder, or network/ of a deploy package.
        device: "board": the real one; "simulated": its RTL under Verilator, which needs the whole
            run folder; "modelled": the integer and cycle references, which need NumPy alone.
        board: what board.json says, when it is not in the folder.
        port: of a board behind a serial port.

    Raises:
        InputError: no such device, no bitstream, the wrong one, or a busy board.
        ToolError: what is needed to reach the device is not installed.
    """
    folder = Path(folder)
    if device not in DEVICES:
        raise InputError(
            f"device must be one of {', '.join(DEVICES)}, got {device!r}: choose one of them"
        )
    facts = dict(board) if board is not None else board_of(folder)
    if device == "board":
        return _board(folder, facts, port)
    facts |= {"name": device, "clock_mhz": assumed_mhz(folder)}
    return _device(folder, _transport(device)(folder), device, facts)


def _transport(kind: str) -> Callable[..., Transport]:
    """The class of a transport, imported now.

    Raises:
        ToolError: what it is made of is not here.
    """
    module, _, name = TRANSPORTS[kind].partition(":")
    try:
        found: Callable[..., Transport] = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ToolError(
            f"a {kind} device must find what it is made of, got {error}: use the whole of exeunt, "
            "or the device modelled"
        ) from None
    return found


def _board(folder: Path, facts: dict[str, Any], port: str) -> Opened:
    name = facts.get("name") or "the board"
    if facts.get("flow") == "nextpnr":
        if not port:
            raise InputError(
                f"{name} must be reached through a serial port, got none: name it with --port, "
                "such as /dev/ttyUSB0"
            )
        rate = {"baud": int(facts["baud"])} if facts.get("baud") else {}
        return _device(folder, _transport("serial")(port, **rate), "serial", facts)
    bits = facts.get("bitstream")
    if not bits:
        raise InputError(
            f"{folder} must have a bitstream for {name}, got none: make one with "
            "`exeunt bitstream` and deploy again, or use the device modelled"
        )
    path = folder / str(bits)
    if not path.is_file():
        raise InputError(
            f"bitstream {path} must be there, got no such file: unpack the deploy package again"
        )
    return _device(folder, _transport("pynq")(folder, path), "pynq", facts)


def _device(folder: Path, transport: Transport, kind: str, facts: Mapping[str, Any]) -> Opened:
    accelerator = Accelerator(folder / manifests.NAME, transport)  # closes it when it fails
    return Opened(folder, accelerator, transport, kind, facts)
