"""Boards as data: `boards/<board>/board.toml`, one folder a board, checked when it is read.

A board outside the package is a folder with a board.toml in it, or the path of that file.
"""

from __future__ import annotations

import difflib
import tomllib
from importlib import resources
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from exeunt.errors import InputError

FILE = "board.toml"
Positive = Annotated[int, Field(ge=1)]
Megahertz = Annotated[float, Field(gt=0.0, le=1000.0)]
Text = Annotated[str, Field(min_length=1)]


class _Table(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)


class Resources(_Table):
    """What the device has: `lut` and `ff` as its data sheet counts them, `bram18` of 18 kbit."""

    lut: Positive
    ff: Positive
    dsp: Positive
    bram18: Positive


class Vivado(_Table):
    """The processing system and its ports on a Zynq.

    Attributes:
        preset: Tcl file in the board's folder that sets the processing system's properties.
        port_bits: width of the memory port that the DMA reads and writes through.
        address_bits: width of the DMA's addresses.
        high_memory: there is memory at 32 GB too, 2 GB of it, which the DMA must reach.
    """

    preset: Text = "preset.tcl"
    port_bits: Literal[32, 64, 128]
    address_bits: Annotated[int, Field(ge=32, le=64)]
    high_memory: bool = False


class Nextpnr(_Table):
    """What yosys, nextpnr-ecp5 and ecppack need to know.

    Attributes:
        device: nextpnr's option without dashes, such as "85k".
        package: as nextpnr-ecp5 spells it.
        speed: speed grade.
        oscillator_mhz: clock on the board that feeds the PLL.
        constraints: LPF file in the board's folder.
        shell: SystemVerilog file in the board's folder, whose module has the same name.
        dsp: products may go to multiplier blocks; false keeps them in LUTs.
        idcode: other JTAG code for ecppack, "" for the device's own.
    """

    device: Literal["12k", "25k", "45k", "85k", "um-25k", "um-45k", "um-85k"]
    package: Text
    speed: Literal[6, 7, 8]
    oscillator_mhz: Megahertz
    constraints: Text
    shell: Text
    dsp: bool = True
    idcode: str = ""


class Sensors(_Table):
    """Power rails that the board measures itself; none: energy needs an external meter.

    Attributes:
        total: rail of the whole board, as `pynq.get_rails()` names it, "" when there is none.
        rails: the others worth watching, such as the logic's core supply.
    """

    total: str = ""
    rails: tuple[Text, ...] = ()


class Pynq(_Table):
    """The PYNQ release whose image the board runs and the Python in it."""

    image: Text
    python: Text


class Board(_Table):
    """One board: its device, its clock, and what its flow needs.

    Attributes:
        name: name of its folder.
        folder: where its files are.
        title: name for people.
        flow: which tools make its bitstream.
        family: "xc7", "xcup" or "ecp5", as `exeunt synth` names them.
        part: the device with package, speed and temperature grade.
        clock_mhz: clock of the accelerator.
        seed: of placement, where the flow has one.
    """

    name: Text
    folder: Path
    title: Text
    flow: Literal["vivado", "nextpnr"]
    family: Literal["xc7", "xcup", "ecp5"]
    part: Text
    clock_mhz: Megahertz
    seed: Annotated[int, Field(ge=0)] = 1
    resources: Resources
    vivado: Vivado | None = None
    nextpnr: Nextpnr | None = None
    sensors: Sensors = Sensors()
    pynq: Pynq | None = None

    @model_validator(mode="after")
    def _check(self) -> Board:
        if getattr(self, self.flow) is None:
            raise ValueError(f"flow {self.flow!r} must have a table [{self.flow}], got none")
        if (self.family == "ecp5") != (self.flow == "nextpnr"):
            wanted = '"nextpnr"' if self.family == "ecp5" else '"vivado"'
            raise ValueError(f'flow of family "{self.family}" must be {wanted}, got "{self.flow}"')
        return self

    def file(self, name: str) -> Path:
        """A file in the board's folder.

        Raises:
            InputError: it is not there.
        """
        path = self.folder / name
        if not path.is_file():
            raise InputError(
                f"board {self.name} must have {name} in {self.folder}, got no such file: "
                f"write it or correct {FILE}"
            )
        return path


def _packaged() -> Path:
    return Path(str(resources.files("exeunt.boards")))


def names() -> tuple[str, ...]:
    """Boards that come with the package, sorted."""
    return tuple(sorted(p.parent.name for p in _packaged().glob(f"*/{FILE}")))


def load(name_or_path: str | Path) -> Board:
    """The board of that shipped name, or in that folder or board.toml.

    Raises:
        InputError: no such board, not TOML, an unknown key or an impossible value.
    """
    text = str(name_or_path)
    path = _packaged() / text if text in names() else Path(name_or_path)
    path = path / FILE if path.is_dir() else path
    if not path.is_file():
        near = difflib.get_close_matches(text, names(), n=1, cutoff=0.5)
        hint = f"did you mean {near[0]!r}?" if near else "see exeunt bitstream --help"
        raise InputError(
            f"board must be one of {', '.join(names())} or a folder with a {FILE}, "
            f"got {text!r}: {hint}"
        )
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise InputError(
            f"board {path} must be valid TOML, got {' '.join(str(error).split())}: correct it"
        ) from None
    for key in ("name", "folder"):
        if key in raw:
            raise InputError(
                f"board {path}: {key} must be that of its folder, got a key for it: remove the key"
            )
    folder = path.resolve().parent
    try:
        return Board.model_validate(_tuples({**raw, "name": folder.name, "folder": folder}))
    except ValidationError as error:
        raise InputError(f"board {path}: {_complaint(error)}") from None


def _tuples(value: Any) -> Any:
    if isinstance(value, list):
        return tuple(_tuples(v) for v in value)
    return {k: _tuples(v) for k, v in value.items()} if isinstance(value, dict) else value


def _complaint(error: ValidationError) -> str:
    """The first complaint, an unknown key before others, without the head of the sentence."""
    found = error.errors(include_url=False)
    first = next((e for e in found if e["type"] == "extra_forbidden"), found[0])
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "extra_forbidden":
        tables: dict[str, type[BaseModel]] = {
            "resources": Resources,
            "vivado": Vivado,
            "nextpnr": Nextpnr,
            "sensors": Sensors,
            "pynq": Pynq,
        }
        table = tables[str(first["loc"][0])] if len(first["loc"]) > 1 else Board
        known = [name for name in table.model_fields if name not in ("name", "folder")]
        near = difflib.get_close_matches(str(first["loc"][-1]), known, n=1, cutoff=0.0)
        hint = f"did you mean {near[0]!r}?" if near else "remove it"
        return f"key {key!r} must be a known one, got {first['loc'][-1]!r}: {hint}"
    if first["type"] == "missing":
        return f"key {key!r} must be given, got nothing: add it"
    if first["type"] == "value_error":
        return f"{first['ctx']['error']}: change it"
    rule = str(first["msg"]).removeprefix("Input should be ").replace("'", '"')
    return f"{key} must be {rule}, got {first['input']!r}: change it"
