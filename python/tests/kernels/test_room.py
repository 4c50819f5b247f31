"""A kernel kind is one room: nothing else names it, and a new one is four files and no edit."""

from __future__ import annotations

import json
import re
from pathlib import Path
from types import ModuleType

import pytest

from exeunt.kernels import registry

ROOT = Path(__file__).resolve().parents[3]
HERE = Path(__file__).parent
ROOM = re.compile(
    r"(python/exeunt/kernels/(finn/)?|hls/back/kernels/(finn/)?|hls/(rtl|templates)/ex_(finn_)?)"
    r"(?P<kind>[a-z]+)[_./]"
)
HOMONYMS = {
    # the threshold of an exit: a register, and a field of the manifest
    "threshold": {
        "hls/back/stitch.py", "python/exeunt/manifest.py", "python/exeunt/reference/modelled.py",
        "python/exeunt/registers.py", "python/exeunt/report/overview.py",
        "python/exeunt/rules/form.py", "python/exeunt/runtime/description.py",
        "python/exeunt/runtime/device.py", "python/exeunt/simulate/bulk.py",
        "python/exeunt/simulate/run.py", "python/exeunt/report/hold.py",
        "python/exeunt/simulate/following.py",
    },
    # a layer of a config
    "pool": {
        "python/exeunt/config/layers.py", "python/exeunt/config/presets.py",
        "python/exeunt/config/sentences.py", "python/exeunt/config/tree.py",
        "python/exeunt/cost/layers.py", "python/exeunt/search/space.py",
        "quant/compress/precision.py",
    },
    # an operator of two functions of one integer
    "add": {
        "python/exeunt/qonnx/activations.py", "python/exeunt/qonnx/layers.py",
        "python/exeunt/qonnx/tables.py",
    },
    # bits of a stream's word, a field of the manifest; channels of a preset's first layer
    "width": {
        "boards/ecp5.py", "boards/vivado_project.py", "python/exeunt/config/derived.py",
        "python/exeunt/config/presets.py", "python/exeunt/config/tree.py",
        "python/exeunt/manifest.py", "python/exeunt/runtime/pynq.py",
        "python/exeunt/search/space.py", "python/exeunt/simulate/simulated.py",
        "python/exeunt/simulate/worker.py",
    },
}  # fmt: skip
INSIDE = {
    # one kind's hardware is made of another's, or the same part is in both
    "mvu": {
        "hls/back/kernels/sparse.py", "hls/rtl/ex_packed.sv",
        "python/exeunt/kernels/sparse/__init__.py", "python/exeunt/kernels/sparse/size.py",
    },
    "threshold": {
        "hls/back/kernels/levels.py", "hls/back/kernels/mvu.py", "hls/back/kernels/sparse.py",
        "hls/rtl/ex_mvu.sv", "hls/rtl/ex_search.sv", "hls/rtl/ex_sparse.sv",
        "python/exeunt/kernels/parts/levels.py",
    },
    "pool": {"hls/rtl/ex_accumulate.sv"},
    "width": {
        "hls/back/kernels/mvu.py", "hls/back/kernels/sparse.py", "hls/rtl/ex_search.sv",
    },
    "reduce": {"hls/back/kernels/pool.py", "hls/rtl/ex_accumulate.sv"},
}  # fmt: skip


def naming(name: str) -> str:
    """What matches where a kind is named as one: its module, its block, or its name in quotes."""
    return (
        rf"\bex_{name}(_\w+)?\b|\bkernels\.(finn\.)?{name}\b"
        rf"|kernels(\.finn)? import [^\n]*\b{name}\b|[\"']{name}[\"']"
    )


@pytest.mark.parametrize("name", registry.kinds())
def test_nothing_outside_its_room_names_a_kind(name: str, rooms: ModuleType) -> None:
    """What a kind is made of is not outside."""
    named = rooms.files_with(naming(name)) - HOMONYMS.get(name, set())
    outside = set()
    for file in named:
        room = ROOM.match(file)
        if room is None or room["kind"] != name:
            outside.add(file)
    assert outside == INSIDE.get(name, set())
    assert f"hls/rtl/ex_{name}.sv" in named
    assert (ROOT / "rtl_tests" / name / "corners.py").is_file()


def test_a_name_elsewhere_is_found(tmp_path: Path, rooms: ModuleType) -> None:
    (tmp_path / "hls").mkdir()
    (tmp_path / "hls" / "a.py").write_text('if node.kind == "mvu":\n    pass\n')
    (tmp_path / "hls" / "b.py").write_text("from exeunt.kernels.mvu import Mvu\n")
    (tmp_path / "hls" / "c.py").write_text("from exeunt.kernels import mvu, swg\n")
    (tmp_path / "hls" / "d.py").write_text("mvu = 3\n")
    assert rooms.files_with(naming("mvu"), tmp_path) == {"hls/a.py", "hls/b.py", "hls/c.py"}
    assert rooms.files_with(naming("swg"), tmp_path) == {"hls/c.py"}


@pytest.mark.sim
def test_a_new_kind_is_four_files(tmp_path: Path, rooms: ModuleType) -> None:
    """Added to a copy of the tree it has values, cycles and a cost, survives JSON, is compiled and
    simulated bit for bit and cycle for cycle, and stands in the report and in the table of kinds.
    """
    python = rooms.copy_with(HERE / "negate", tmp_path / "tree").python
    told = json.loads(python(str(HERE / "trial.py"), str(tmp_path / "run")).splitlines()[-1])
    assert told.pop("kinds") == sorted([*registry.kinds(), "negate"])
    assert told == {
        "round_trip": True,
        "negated": True,
        "wrong": 0,
        "error": 0.0,
        "costs_more": True,
        "multipliers": True,
        "sources": ["rtl/ex_negate.sv"],
        "report": True,
        "docs": [
            "| negate | The sign turned: y = offset - x of each element. | `ex_negate` | `LANES` "
            "`IN_BITS` `IN_SIGNED` `OUT_BITS` `OFFSET` | - |"
        ],
    }
    python("-m", "pytest", "-q", "-p", "no:cacheprovider", "rtl_tests/negate")
