"""Networks that a user brings: a Python class, a QONNX file, and what is refused of either."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto, helper

from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.quant.calibrate import calibrate
from exeunt.quant.export import export
from exeunt.quant.network.qonnx_graph import Graph, GraphNetwork, checked, load_graph, logit_scales
from exeunt.quant.network.source import build
from exeunt.quant.train import train
from exeunt.report import store

EXAMPLES = Path(__file__).parents[3] / "examples"


def model(source: str, *, shape=(8, 8, 1), classes: int = 10) -> tree.Model:
    return tree.Model(source=source, input=shape, classes=classes)


def refused(sentence: str, source: str, **arguments) -> None:
    with pytest.raises(InputError) as caught:
        build(model(source, **arguments))
    assert str(caught.value) == sentence


@pytest.fixture(scope="module")
def custom(tmp_path_factory):
    """The documented example, trained briefly, calibrated and exported."""
    whole = tree.load(EXAMPLES / "custom.toml")
    whole = whole.model_copy(update={"train": whole.train.model_copy(update={"epochs": 2})})
    folder = tmp_path_factory.mktemp("custom")
    train(whole, folder, folder)
    calibrate(whole, folder)
    export(whole, folder)
    return whole, folder


def test_example_class_runs_to_the_end(custom):
    _, folder = custom
    data = json.loads((folder / "exits.json").read_text())
    assert len(data["thresholds"]) == 2
    first = 6 * 16 * 9 + 96 * 10
    assert data["macs"] == [first, first + 16 * 16 * 54 + 256 * 10]
    assert [v.name for v in onnx.load(folder / "model.onnx").graph.output] == ["exit0", "exit1"]
    assert store.read(folder)["export"]["max_difference_steps"] < 0.01


def test_its_qonnx_file_is_a_network_too(custom, tmp_path):
    whole, folder = custom
    shutil.copy(folder / "model.onnx", tmp_path / "mine.onnx")
    source = whole.model.model_copy(update={"source": f"qonnx:{tmp_path}/mine.onnx"})
    again = whole.model_copy(update={"model": source})
    run_dir = tmp_path / "run"
    train(again, run_dir, tmp_path)
    calibrate(again, run_dir)
    export(again, run_dir)
    first = json.loads((folder / "exits.json").read_text())
    second = json.loads((run_dir / "exits.json").read_text())
    assert second["thresholds"] == first["thresholds"]
    assert second["logit_scales"] == pytest.approx(first["logit_scales"])
    assert second["accuracy"] == first["accuracy"]
    assert json.loads((run_dir / "training.json").read_text())["history"] == []
    found = load_graph(run_dir / "model.onnx")
    images = torch.from_numpy(np.random.default_rng(0).integers(0, 17, (5, 1, 8, 8))).float()
    expected = GraphNetwork(load_graph(tmp_path / "mine.onnx"))(images)
    for a, b in zip(GraphNetwork(found)(images), expected, strict=True):
        assert torch.equal(a, b)


# A Python class -------------------------------------------------------------------------------


NET = """
import torch
from parts import CLASSES
class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        from later import BITS
        self.bits = BITS
        self.layer = torch.nn.Linear(64, CLASSES)
    def forward(self, x):
        y = self.layer(x.flatten(1))
        return y, y
"""


def test_modules_beside_the_own_file_are_found(tmp_path):
    """Each network gets those of its own folder, also when another one had some of the name."""
    before = list(sys.path)
    for folder, bits, classes in (("a", 2, 10), ("b", 3, 7)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text(NET)
        (tmp_path / folder / "parts.py").write_text(f"CLASSES = {classes}")
        (tmp_path / folder / "later.py").write_text(f"BITS = {bits}")
        network = build(model(f"python:{tmp_path}/{folder}/net.py:Net", classes=classes))
        assert network.bits == bits
    assert sys.path == before
    (tmp_path / "b" / "parts.py").write_text("CLASSES = 5")
    assert build(model(f"python:{tmp_path}/b/net.py:Net", classes=5)).layer.out_features == 5


def test_missing_python_file(tmp_path):
    refused(
        f"model.source must name a Python file, got no file {tmp_path}/no.py: check it",
        f"python:{tmp_path}/no.py:Net",
    )


def test_file_that_is_not_python(tmp_path):
    (tmp_path / "net.txt").write_text("")
    refused(
        f"model.source must name a Python file (.py), got {tmp_path}/net.txt: rename it",
        f"python:{tmp_path}/net.txt:Net",
    )


def written(tmp_path: Path, text: str) -> str:
    (tmp_path / "net.py").write_text("import torch\nfrom torch import nn\n" + text)
    return f"python:{tmp_path}/net.py:Net"


def test_file_with_an_error(tmp_path):
    source = written(tmp_path, "nonsense\n")
    refused(
        f"{tmp_path}/net.py must be imported without an error, got NameError (name 'nonsense' is "
        "not defined): correct it",
        source,
    )


def test_class_that_is_not_there(tmp_path):
    source = written(tmp_path, "Net = 5\n")
    refused(
        f"model.source must name a torch.nn.Module in {tmp_path}/net.py, got 'Net': check the "
        "class",
        source,
    )


def test_class_that_needs_arguments(tmp_path):
    source = written(
        tmp_path, "class Net(nn.Module):\n    def __init__(self, width):\n        pass\n"
    )
    refused(
        f"Net of {tmp_path}/net.py must be made without arguments, got TypeError "
        "(Net.__init__() missing 1 required positional argument: 'width'): give it defaults",
        source,
    )


def forward(tmp_path: Path, body: str) -> str:
    return written(tmp_path, f"class Net(nn.Module):\n    def forward(self, x):\n        {body}\n")


def test_class_that_cannot_take_the_images(tmp_path):
    source = forward(tmp_path, "raise ValueError('too small')")
    refused(
        f"network {source} must take images 1 x 8 x 8 (C x H x W), got ValueError (too small): "
        "change model.input or the network",
        source,
    )


def test_class_that_gives_no_tuple(tmp_path):
    source = forward(tmp_path, "return x.flatten(1)")
    refused(
        f"network {source} must give a tuple of logits for 1 to 8 exits, got Tensor: return one "
        "tensor for each exit",
        source,
    )


def test_class_with_other_classes(tmp_path):
    source = forward(tmp_path, "return (x.flatten(1), x.flatten(1))")
    refused(
        f"exit 0 of {source} must give logits of model.classes = 10, got (64,): change "
        "model.classes or the network",
        source,
    )


# A QONNX file ---------------------------------------------------------------------------------


def tensor(name: str, value: object) -> onnx.TensorProto:
    array = np.asarray(value, np.float32)
    return helper.make_tensor(name, TensorProto.FLOAT, array.shape, array.ravel().tolist())


def graph(*, outputs: int = 2, quant: str = "weights", inputs: int = 1, extra: str = "", bias=None):
    """Two linear exits on flattened 2 x 2 images; the options make it wrong in one way."""
    scale, weights = tensor("scale", 0.5), tensor("w", np.eye(4)[:, :3])
    constants = [scale, tensor("zero", 0), tensor("bits", 4), weights]
    nodes = []
    flat = "x"
    if quant == "input":
        nodes.append(helper.make_node("Quant", ["x", "scale", "zero", "bits"], ["xq"], name="q0"))
        flat = "xq"
    nodes.append(helper.make_node("Flatten", [flat], ["flat"]))
    if extra:
        nodes.append(helper.make_node(extra, ["flat"], ["more"], name="odd"))
    if quant:
        nodes.append(helper.make_node("Quant", ["w", "scale", "zero", "bits"], ["wq"]))
    for k in range(outputs):
        arguments = ["flat", "wq" if quant else "w"]
        if bias is not None:
            arguments.append("bias")
        kind = "MatMul" if bias is None else "Gemm"
        nodes.append(helper.make_node(kind, arguments, [f"y{k}"]))
    if bias is not None:
        constants.append(tensor("bias", bias))
    images = [
        helper.make_tensor_value_info(n, TensorProto.FLOAT, [1, 1, 2, 2]) for n in "xz"[:inputs]
    ]
    results = [
        helper.make_tensor_value_info(f"y{k}", TensorProto.FLOAT, [1, 3]) for k in range(outputs)
    ]
    return helper.make_model(helper.make_graph(nodes, "g", images, results, constants))


def refused_graph(sentence: str, **wrong) -> None:
    with pytest.raises(InputError) as caught:
        checked(Graph(graph(**wrong), "net.onnx"))
    assert str(caught.value) == sentence


def test_graph_by_hand():
    whole = checked(Graph(graph(), "net.onnx"))
    assert logit_scales(whole) == [0.5, 0.5]
    images = torch.tensor([[[[1.0, 2.0], [3.0, 4.0]]]])
    first, second = GraphNetwork(whole)(images)
    assert first.tolist() == [[1.0, 2.0, 3.0]]
    assert torch.equal(first, second)


def test_missing_or_foreign_qonnx_file(tmp_path):
    path = tmp_path / "net.onnx"
    refused(f"model.source must name a QONNX file, got no file {path}: check it", f"qonnx:{path}")
    for raw in (b"", b"not a graph at all"):
        path.write_bytes(raw)
        refused(
            f"{path} must be an ONNX file, got something else: export it again", f"qonnx:{path}"
        )


def test_no_quantizers():
    refused_graph(
        "net.onnx must have Quant nodes (QONNX), got an ONNX graph without quantizers: export it "
        "with brevitas.export.export_qonnx",
        quant="",
    )


@pytest.mark.parametrize("count", [1, 9])
def test_number_of_outputs(count):
    refused_graph(
        f"net.onnx must have 2 to 8 outputs, one for each exit, got {count}: export the logits of "
        "every exit",
        outputs=count,
    )


def test_several_inputs():
    refused_graph(
        "net.onnx must have one input, the images, got 2: export it again",
        inputs=2,
    )


def test_operator_that_is_not_supported():
    with pytest.raises(InputError) as caught:
        checked(Graph(graph(extra="Sin"), "net.onnx"))
    assert str(caught.value).startswith("net.onnx must be made of Add, AveragePool, ")
    assert str(caught.value).endswith(", got Sin (odd): replace it")


def test_quantizer_on_the_input():
    refused_graph(
        "net.onnx must take integers 0..255, got a quantizer (q0) on its input: remove it and "
        "fold its scale into the first layer",
        quant="input",
    )


def test_inputs_that_are_no_images():
    flat = graph()
    del flat.graph.input[0].type.tensor_type.shape.dim[:2]
    with pytest.raises(InputError) as caught:
        checked(Graph(flat, "net.onnx"))
    assert str(caught.value) == (
        "net.onnx must take images of shape (N, C, H, W), got (2, 2): export it with image inputs"
    )


def test_logits_off_any_grid():
    assert logit_scales(Graph(graph(bias=[0, 0, 0]), "net.onnx")) == [0.5, 0.5]
    with pytest.raises(InputError) as caught:
        logit_scales(Graph(graph(bias=[0, 0.3, 0]), "net.onnx"))
    assert str(caught.value) == (
        "exit 0 of net.onnx must end in a bias-free layer whose weights and inputs each have one "
        "scalar scale, got logits off any grid: use one scale for all its weights and no bias"
    )


def test_a_file_of_another_image_size(custom, tmp_path):
    _, folder = custom
    source = f"qonnx:{folder}/model.onnx"
    with pytest.raises(InputError) as caught:
        build(model(source, shape=(8, 8, 3)))
    assert str(caught.value).startswith(
        f"network {source} must take images 3 x 8 x 8 (C x H x W), got RuntimeError ("
    )
    with pytest.raises(InputError, match=r"^exit 0 of .* must give logits of model.classes = 11"):
        build(model(source, classes=11))


def test_graph_that_cannot_be_cleaned_up(tmp_path, monkeypatch):
    path = tmp_path / "net.onnx"
    path.write_bytes(graph().SerializeToString())
    assert len(load_graph(path).outputs) == 2

    def fail(wrapper):
        raise KeyError("Sinh")

    monkeypatch.setattr("exeunt.quant.network.qonnx_graph.cleanup_model", fail)
    refused(
        f"{path} must be a graph that qonnx can clean up, got KeyError ('Sinh'): export it for a "
        "fixed image size",
        f"qonnx:{path}",
    )
