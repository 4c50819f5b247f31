"""Yosys on FINN's kernels: its own front end refuses them, read_slang takes all but one."""

from __future__ import annotations

from pathlib import Path

import pytest
from lib.bench import BUILD, Corner, flat_wrapper
from lib.finn import finn_corner, finn_sources
from lib.yosys import END, SYNTH, yosys

from exeunt.graph import Integer, Node, Stream
from exeunt.kernels.mvu import Mvu
from exeunt.kernels.swg import Swg
from exeunt.kernels.threshold import Threshold
from exeunt.kernels.width import Width

pytestmark = pytest.mark.synth

U4, S12 = Integer(4), Integer(12, signed=True)
MVU = Mvu("m", Stream((2, 2, 18), U4, 9), Stream((2, 2, 4), S12, 2), accumulator=S12)
SWG = Swg("s", Stream((5, 5, 4), U4, 2), Stream((5, 5, 36), U4, 2),
          kernel=(3, 3), pad=(1, 1, 1, 1))  # fmt: skip
WIDTH = Width("w", Stream((2, 2, 8), U4, 8), Stream((2, 2, 8), U4, 2))
THRESHOLD = Threshold("t", Stream((2, 2, 4), S12, 2), Stream((2, 2, 4), U4, 2), levels=15)
SLANG = "read_slang --threads 1 --compat vcs --allow-use-before-declare --top bench"


def corner(node: Node) -> Corner:
    arrays = {
        "mvu": {"weights": [[1] * 18] * 4},
        "threshold": {"thresholds": [list(range(15))] * 4},
    }
    return finn_corner(node, arrays.get(node.kind))


def mapped(folder: Path, nodes: list[Node], reader: str, mapping: str = SYNTH["xc7"]) -> str:
    """The log of reading and mapping kernels side by side."""
    made = [corner(node) for node in nodes]
    sources = finn_sources(made, folder)
    (folder / "bench.sv").write_text(flat_wrapper(made))
    for name, text in [item for c in made for item in c.memories.items()]:
        (folder / name).write_text(text)
    names = " ".join([*(p.name for p in sources), "bench.sv"])
    script = f"{reader} {names}\n{mapping}\nstat\nlog {END}\n"
    (folder / "bench.ys").write_text(script)
    done = yosys("-q", "-l", "yosys.log", "bench.ys", folder=folder)
    return (folder / "yosys.log").read_text() + done.stdout + done.stderr


def test_read_slang_takes_finns_kernels() -> None:
    """Up to registers and memories; what maps them is the same for every design."""
    log = mapped(BUILD / "synth_finn", [MVU, SWG, WIDTH], SLANG, "proc\nopt_clean\ncheck -assert")
    assert END in log, log[-1500:]


@pytest.mark.slow
@pytest.mark.parametrize("node", [MVU, SWG, WIDTH], ids=lambda n: n.kind)
def test_finns_kernel_maps_to_7_series(node: Node) -> None:
    log = mapped(BUILD / f"synth_finn_{node.kind}", [node], SLANG)
    assert END in log, log[-1500:]


def test_read_slang_refuses_finns_thresholding() -> None:
    log = mapped(BUILD / "synth_finn_threshold", [THRESHOLD], SLANG)
    assert "ERROR: unsynthesizable feature" in log, "it is taken now: say so in the README"
    assert END not in log


def test_yosys_own_front_end_refuses_finns_kernels() -> None:
    log = mapped(BUILD / "synth_finn_own", [WIDTH], "read_verilog -sv")
    assert "ERROR" in log
    assert END not in log
