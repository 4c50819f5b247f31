"""What a mapped netlist is made of: LUT, FF, DSP and BRAM of every block, for each family.

Nothing is placed or routed: the counts are those after technology mapping.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

TOP = "exeunt_top"
CORE = "exeunt_core"

Counts = dict[str, int]
Block = dict[str, Any]
KINDS = ("lut", "ff", "dsp", "bram18")


@dataclass(frozen=True)
class Target:
    """A family: the Yosys command that maps to it, and what each of its cells costs.

    `effort` is how long the mapping takes beside that to xc7.
    """

    name: str
    command: str
    cells: Mapping[str, Mapping[str, int]]
    effort: float = 1.0


def _lut(count: int) -> Mapping[str, int]:
    return {"lut": count}


_XILINX: Mapping[str, Mapping[str, int]] = {  # in 7-series and UltraScale+ alike
    **{f"LUT{n}": _lut(1) for n in range(1, 7)},
    "LUT6_2": _lut(1),
    # a LUT as memory: how many a cell takes
    "RAM32X1S": _lut(1), "RAM64X1S": _lut(1), "RAM32X1D": _lut(2), "RAM64X1D": _lut(2),
    "RAM128X1S": _lut(2), "RAM256X1S": _lut(4), "RAM128X1D": _lut(4),
    "RAM32M": _lut(4), "RAM64M": _lut(4), "SRL16E": _lut(1), "SRLC32E": _lut(1),
    **{name: {"ff": 1} for name in ("FDRE", "FDSE", "FDCE", "FDPE")},
}  # fmt: skip
XC7 = Target(
    "xc7",
    "synth_xilinx -family xc7 -noiopad -noclkbuf",
    {**_XILINX, "DSP48E1": {"dsp": 1}, "RAMB18E1": {"bram18": 1}, "RAMB36E1": {"bram18": 2}},
)
XCUP = Target(
    "xcup",
    "synth_xilinx -family xcup -noiopad -noclkbuf",
    {
        **_XILINX,
        # eight LUTs share an address in a slice
        "RAM32M16": _lut(8), "RAM32X16DR8": _lut(8), "RAM64M8": _lut(8), "RAM64X8SW": _lut(8),
        "RAM512X1S": _lut(8), "RAM256X1D": _lut(8),
        "DSP48E2": {"dsp": 1},
        "RAMB18E2": {"bram18": 1},
        "RAMB36E2": {"bram18": 2},
        "URAM288": {"bram18": 16},
    },
    effort=1.2,
)  # fmt: skip
XC7_LUTS = Target("xc7_luts", f"{XC7.command} -nodsp", XC7.cells)  # multipliers in LUTs
ECP5 = Target(
    "ecp5",
    "synth_ecp5 -noflatten",
    {
        "LUT4": _lut(1),
        "CCU2C": _lut(2),  # two LUT4 with their carry
        "TRELLIS_DPR16X4": _lut(4),
        "TRELLIS_FF": {"ff": 1},
        "MULT18X18D": {"dsp": 1},
        "DP16KD": {"bram18": 1},
    },
    effort=0.7,
)
TARGETS = {target.name: target for target in (XC7, XCUP, ECP5)}


def count(netlist: Mapping[str, Any], target: Target, top: str) -> tuple[Counts, list[Block]]:
    """Resources below `top`, and those of every instance, of Yosys's JSON netlist.

    Returns:
        The total, and one entry per instance below the core and below the segments and heads in it
        (`level` 2), each with its `name`, its `module`, its `level` and its counts; what a level
        has beside its instances is in the total only.
    """
    modules = netlist["modules"]
    known: dict[str, Counts] = {}

    def total(name: str) -> Counts:
        if name not in known:
            known[name] = dict.fromkeys(KINDS, 0)
            for cell in modules[name]["cells"].values():
                kind = cell["type"]
                spent = total(kind) if inside(kind) else target.cells.get(kind, {})
                for unit, value in spent.items():
                    known[name][unit] += value
        return known[name]

    def inside(kind: str) -> bool:
        return kind in modules and not modules[kind]["attributes"].get("blackbox")

    blocks: list[Block] = []

    def walk(name: str, level: int) -> None:
        for instance, cell in sorted(modules[name]["cells"].items()):
            kind = cell["type"]
            if not inside(kind) or not any(total(kind).values()):
                continue  # a library cell, or a block of wires alone
            if kind == CORE:
                walk(kind, level)
                continue
            label = instance.removeprefix("u_")
            blocks.append({"name": label, "module": plain(kind), "level": level, **total(kind)})
            if level == 1 and not plain(kind).startswith("ex_"):
                walk(kind, 2)

    walk(top, 1)
    return total(top), blocks


def plain(module: str) -> str:
    r"""The name without Yosys's parameters: `$paramod$0123\ex_block` -> `ex_block`."""
    return module.split("\\")[1] if module.startswith("$paramod") else module
