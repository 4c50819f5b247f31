"""FINN's own flow up to where AMD's tools begin, which stand-ins take the place of here."""

from __future__ import annotations

import dataclasses
import json
import re
import stat
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt.command import untrained
from exeunt.config import tree as configuration
from exeunt.errors import InputError, ToolError
from exeunt.hls import compile as compiler
from exeunt.hls.front import finn_env
from exeunt.report import store

CONFIG = """
name = "tiny"
[data]
dataset = "digits"
[model]
input = [6, 6, 1]
classes = 3
[[model.stages]]
blocks = [{ conv = 4, kernel = 3 }]
[[model.stages]]
blocks = [{ conv = 4, kernel = 3 }]
[compile]
target_cycles = 100
kernels = "vitis"
baseline = false
"""


@pytest.fixture(scope="module")
def vitis() -> Any:
    finn_env.prepare()
    with finn_env.quiet():
        from exeunt.hls.back import vitis
    return vitis


@pytest.fixture
def run_dir(builder: type, tmp_path: Path) -> Path:
    b = builder((6, 6, 1))
    x = b.conv("image", 4)
    b.exit(b.linear(x, 3))
    b.exit(b.linear(b.conv(x, 4), 3))
    b.save(tmp_path / "model.onnx")
    (tmp_path / "exits.json").write_text('{"thresholds": [7, null], "reach": [1.0, 0.5]}')
    images = np.random.default_rng(0).integers(0, 256, (4, 6, 6, 1)).astype(np.uint8)
    labels = {"validation_labels": np.arange(4) % 3, "classes": np.array(["a", "b", "c"])}
    np.savez(tmp_path / "splits.npz", validation_images=images, **labels)
    return tmp_path


@pytest.fixture
def tools(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Programs called vivado and vitis_hls, which nothing here runs."""
    folder = tmp_path / "bin"
    folder.mkdir()
    for name in ("vivado", "vitis_hls"):
        (folder / name).write_text("#!/bin/sh\nexit 1\n")
        (folder / name).chmod(stat.S_IRWXU)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("XILINX_VIVADO", str(folder))
    return folder


class _Step:
    """Stands in for a step of FINN that calls AMD's tools; `log` says what it was given."""

    log: list[tuple[str, tuple[Any, ...]]] = []  # noqa: RUF012 - emptied by every test
    fails = ""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        self.arguments = (*arguments, *more.values())

    def apply(self, model: Any) -> tuple[Any, bool]:
        name = type(self).__name__
        _Step.log.append((name, self.arguments))
        if name == _Step.fails:
            raise RuntimeError("HLS IP Generation failed. Logs and sources are in /there\nmore")
        if name == "CreateStitchedIP":
            kinds = [n.op_type for n in model.graph.node]
            folder = Path(_Step.folder) / self.arguments[-1]
            (folder / "ip").mkdir(parents=True)
            (folder / "kinds.json").write_text(json.dumps(kinds))
            model.set_metadata_prop("vivado_stitch_proj", str(folder))
        return model, False

    folder = ""


@pytest.fixture
def steps(vitis: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> type[_Step]:
    for name in ("PrepareIP", "HLSSynthIP", "ReplaceVerilogRelPaths", "CreateStitchedIP"):
        monkeypatch.setattr(vitis, name, type(name, (_Step,), {}))
    _Step.log, _Step.fails, _Step.folder = [], "", str(tmp_path / "finn_build")
    return _Step


def test_without_the_tools(run_dir: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PATH", str(tmp_path / "nothing"))
    with pytest.raises(ToolError) as error:
        compiler.compile(configuration.parse(CONFIG), run_dir)
    assert str(error.value) == (
        'compile.kernels = "vitis" must find vivado on the PATH and vitis_hls on the PATH and the '
        "folder that XILINX_VIVADO names, got none: source settings64.sh of Vitis, or set "
        'compile.kernels = "exeunt" or "finn"'
    )
    assert not (run_dir / "manifest.json").exists()


def test_every_part_goes_through_finns_steps(run_dir: Path, tools: Path, steps: Any) -> None:
    compiler.compile(configuration.parse(CONFIG), run_dir)
    found = store.read(run_dir)["compile"]["finn"]
    parts = ["seg0", "head0", "seg1", "head1"]
    assert found == {name: f"finn/{name}/ip" for name in parts}
    done = ["PrepareIP", "HLSSynthIP", "ReplaceVerilogRelPaths", "CreateStitchedIP"]
    assert [name for name, _ in steps.log] == done * 4
    assert steps.log[0][1] == ("xc7z020clg400-1", 10.0)
    for name in parts:
        kinds = json.loads((run_dir / "finn" / name / "kinds.json").read_text())
        assert "MVAU_hls" in kinds
        assert all(kind.endswith(("_hls", "_rtl")) for kind in kinds), kinds
        assert (run_dir / "finn" / name / "model.onnx").exists()
    # our own RTL is what everything after it works with
    backends = {
        k["backend"] for k in json.loads((run_dir / "manifest.json").read_text())["kernels"]
    }
    assert backends == {"exeunt"}


def test_failure_of_a_tool_is_told(run_dir: Path, tools: Path, steps: Any) -> None:
    steps.fails = "HLSSynthIP"
    with pytest.raises(ToolError) as error:
        compiler.compile(configuration.parse(CONFIG), run_dir)
    assert str(error.value).startswith(
        "FINN must build seg0 with Vitis HLS and Vivado, got 'HLS IP Generation failed. Logs and "
        "sources are in /there': see "
    )


def test_finn_folds_for_the_target(vitis: Any, run_dir: Path) -> None:
    config = configuration.parse(CONFIG.replace('"vitis"', '"exeunt"'))
    network = compiler.read_network(run_dir / "model.onnx", config=config)
    from qonnx.custom_op.registry import getCustomOp

    lanes = []
    for target in (10_000, 50):
        with finn_env.quiet():
            model = vitis.specialised(
                network.parts[0], fpga_part="xc7z020clg400-1", target_cycles=target
            )
        nodes = [getCustomOp(n) for n in model.graph.node if n.op_type.startswith("MVAU")]
        lanes.append([n.get_nodeattr("PE") * n.get_nodeattr("SIMD") for n in nodes])
    assert lanes[1][0] > lanes[0][0]
    assert dataclasses.is_dataclass(network.parts[0])


def joined(b: Any) -> Any:
    x = b.conv("image", 4, pad=1)
    x = b.quant(b.node("Add", b.conv(x, 4, pad=1), x, shape=b.shapes[x]))
    b.exit(b.linear(x, 3))
    return b


def biased(b: Any) -> Any:
    y = b.linear(b.conv("image", 4), 3)
    constant = b.constant(np.float32(0.02 * 4.0 / 16) * np.array([[3, -5, 2]]))
    b.exit(b.node("Add", y, constant, shape=(1, 3)))
    return b


@pytest.mark.parametrize(
    ("made", "sentence"),
    [
        (joined, r"seg0 must have one row of layers for FINN's own IPs but streams meet at Add "
                 r"\(node Add_\d+\); take compile\.kernels = \"exeunt\""),
        (biased, r"head0 must have no bias behind its last layer for FINN's own IPs but Gemm "
                 r"\(node Gemm_\d+\) has one; take compile\.kernels = \"exeunt\""),
    ],
)  # fmt: skip
def test_what_finns_own_ips_cannot_do_is_known_from_the_file(
    made: Any, sentence: str, builder: type, tools: Path, tmp_path: Path
) -> None:
    """FINN's FIFOs are two words there, with which all words would stand still."""
    path = made(builder((8, 8, 1))).save(tmp_path / "model.onnx")
    config = configuration.parse(
        f'name = "n"\n[data]\ndataset = "digits"\n[model]\nsource = "qonnx:{path}"\n'
        'input = [8, 8, 1]\nclasses = 3\n[compile]\ntarget_cycles = 5000\nkernels = "vitis"\n'
    )
    (tmp_path / "exits.json").write_text('{"thresholds": [null]}')
    for step in (untrained.check, lambda c: compiler.compile(c, tmp_path)):
        with pytest.raises(InputError) as error:
            step(config)
        assert re.fullmatch(sentence, str(error.value)), error.value
