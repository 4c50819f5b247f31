"""`exeunt deploy` and `exeunt bench` from the command line, in a run folder."""

from __future__ import annotations

import json
import shutil
import zipfile

import numpy as np
import pytest

from exeunt.bench import processor
from exeunt.command import cli, run
from exeunt.report import store

QONNX = "qonnx.custom_op.general"
CONFIG = """
name = "small"
[data]
dataset = "digits"
[model]
source = "qonnx:model.onnx"
input = [8, 8, 1]
classes = 10
"""


def call(*arguments: object) -> int:
    with pytest.raises(SystemExit) as caught:
        cli.main([str(a) for a in arguments])
    return int(caught.value.code or 0)


def answer(capsys) -> list[str]:
    """What is printed behind the progress of the step."""
    lines = capsys.readouterr().out.splitlines()
    return [line for line in lines if not line.startswith(("deploy:", "bench:"))]


@pytest.fixture
def folder(compiled, tmp_path):
    """The run folder and the config of a network whose steps before were done by hand."""
    from onnx import TensorProto, helper, numpy_helper

    copy = tmp_path / "run"
    shutil.copytree(compiled, copy)
    run.State(copy).save()
    value = helper.make_tensor_value_info
    random = np.random.default_rng(0)
    constants = {
        "weights": 0.1 * random.integers(-7, 8, (64, 10)),
        "scale": np.array(0.1),
        "zero": np.array(0),
        "bits": np.array(4),
    }
    settings = {"signed": 1, "narrow": 1, "rounding_mode": "ROUND"}
    graph = helper.make_graph(
        [
            helper.make_node(
                "Quant", list(constants), ["integers"], domain=QONNX, name="quant", **settings
            ),
            helper.make_node("Flatten", ["images"], ["flat"]),
            helper.make_node("MatMul", ["flat", "integers"], ["exit0"]),
        ],
        "one_layer",
        [value("images", TensorProto.FLOAT, [1, 1, 8, 8])],
        [value("exit0", TensorProto.FLOAT, [1, 10])],
        [numpy_helper.from_array(v.astype(np.float32), k) for k, v in constants.items()],
    )
    versions = [helper.make_opsetid("", 20), helper.make_opsetid(QONNX, 1)]
    model = helper.make_model(graph, opset_imports=versions, ir_version=10)
    (copy / "model.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "model.onnx").write_bytes(model.SerializeToString())
    (tmp_path / "small.toml").write_text(CONFIG)
    return copy


def test_deploy_and_what_a_new_compile_makes_of_it(folder, tmp_path, capsys):
    config = tmp_path / "small.toml"
    assert call("deploy", config, "--board", "pynq-z2", "--out", folder) == 0
    said = answer(capsys)
    archive = folder / "deploy" / "small-pynq-z2.zip"
    assert said[0] == str(archive)
    assert said[1].startswith("there is no bitstream in it: `exeunt bitstream --board pynq-z2`")
    with zipfile.ZipFile(archive) as found:
        assert "small-pynq-z2/network/onnx/kept-0.onnx" in found.namelist()
    assert store.read(folder)["deploy"][0]["onnxruntime"] is True
    assert "deploy:pynq-z2" in run.State(folder).steps
    assert call("deploy", config, "--board", "pynq", "--out", folder) == 2
    assert "got 'pynq': did you mean 'pynq-z2'?" in capsys.readouterr().err
    (folder / "manifest.json").unlink()
    assert call("deploy", config, "--board", "pynq-z2", "--out", folder) == 2
    assert "`exeunt deploy` must find manifest.json in" in capsys.readouterr().err


def test_bench(folder, tmp_path, capsys, monkeypatch):
    monkeypatch.setattr(processor, "SECONDS", 0.002)
    monkeypatch.setattr(processor, "engines", lambda a, f, **k: ([processor.Reference(a)], "none"))
    config = tmp_path / "small.toml"
    given = ("--modelled", "--no-sweep", "--images", 6, "--out", folder)
    assert call("bench", config, *given) == 0
    said = answer(capsys)
    assert said[0].startswith("sample on modelled (modelled): 6 images, 0 mismatches, accuracy ")
    assert said[-1] == str(folder / "report.html")
    assert "Benchmark: modelled" in (folder / "report.html").read_text()
    assert json.loads((folder / "bench" / "modelled.json").read_text())["images"] == 6
    assert call("bench", config, "--out", folder) == 2
    assert "bench must be told one of --board, --simulated and" in capsys.readouterr().err
    assert call("bench", config, "--board", "pynq-z2", "--energy", "--out", folder) == 2
    assert "board pynq-z2 must have power sensors to measure energy" in capsys.readouterr().err
    assert store.read(folder)["bench"]["board"] == "modelled"  # another board's failure is its own
    assert call("bench", config, *given, "--watts", 1) == 2
    assert store.read(folder)["bench"]["board"] == "modelled"  # a refused step leaves what there is
