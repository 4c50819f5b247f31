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
from exeunt.qonnx import file, meaning, operators, quantizer, seen
from exeunt.quant.calibrate import calibrate
from exeunt.quant.export import export
from exeunt.quant.network.export import first_graph, integers_of
from exeunt.quant.network.qonnx_graph import OPERATORS, ROUNDING, GraphNetwork, load_graph
from exeunt.quant.network.source import build
from exeunt.quant.train import load_checkpoint, train
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
    told = []
    train(again, run_dir, tmp_path, progress=lambda d, t, text="": told.append((d, t, text)))
    assert told == [(1, 1, "network and weights as in mine.onnx, only images split")]
    said = store.read(run_dir)
    assert said["training"]["source"] == "mine.onnx"
    assert said["data"]["notes"] == [
        "pixels of dataset digits are 0 to 16 of 0..255: see that mine.onnx is for such pixels"
    ]
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


def test_gradients_pass_a_files_quantizers(custom):
    """A file is explained as the network that it was exported from."""
    whole, folder = custom
    images = torch.from_numpy(np.random.default_rng(1).integers(0, 17, (6, 1, 8, 8))).float()
    found = []
    for network in (
        load_checkpoint(whole, folder),
        GraphNetwork(load_graph(folder / "model.onnx")),
    ):
        at = images.clone().requires_grad_()
        logits = network(at)[-1]
        assert torch.allclose(logits, network(images)[-1])
        found.append(torch.autograd.grad(logits[:, 3].sum(), at)[0])
    assert (found[0] != 0).float().mean() > 0.5
    assert torch.allclose(found[1], found[0], rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("operator", "x", "value", "slope"),
    [("Round", 1.4, 1.0, 1.0), ("Floor", 1.4, 1.0, 1.0), ("Ceil", 1.4, 2.0, 1.0),
     ("Sign", 0.4, 1.0, 1.0), ("Sign", 1.4, 1.0, 0.0), ("BipolarQuant", -0.4, -1.0, 1.0),
     ("BipolarQuant", -1.4, -1.0, 0.0)],
)  # fmt: skip
def test_a_rounding_has_a_gradient(operator, x, value, slope):
    at = torch.tensor([x], requires_grad=True)
    out = OPERATORS[operator]([at, torch.ones(1)], {})
    assert out.item() == value
    assert torch.autograd.grad(out.sum(), at)[0].item() == slope


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


def test_modules_beside_the_own_file_are_found(tmp_path, monkeypatch):
    """Each network gets those of its own folder, also when another one had some of the name."""
    monkeypatch.setattr(sys, "dont_write_bytecode", False)  # whatever the machine says
    before = list(sys.path)
    for folder, bits, classes in (("a", 2, 10), ("b", 3, 7)):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "net.py").write_text(NET)
        (tmp_path / folder / "parts.py").write_text(f"CLASSES = {classes}")
        (tmp_path / folder / "later.py").write_text(f"BITS = {bits}")
        network = build(model(f"python:{tmp_path}/{folder}/net.py:Net", classes=classes))
        assert network.bits == bits
    assert sys.path == before
    assert not sys.dont_write_bytecode
    assert not list(tmp_path.rglob("__pycache__"))
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


def test_file_that_leaves(tmp_path):
    source = written(tmp_path, "import sys\nsys.exit(3)\n")
    refused(
        f"{tmp_path}/net.py must be imported without an error, got SystemExit (3): correct it",
        source,
    )


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


def test_class_that_does_not_flatten(tmp_path):
    source = forward(tmp_path, "return torch.nn.Linear(4, 10)(torch.zeros(2, 4, 1, 1))")
    refused(
        f"network {source} must take images 1 x 8 x 8 (C x H x W), got RuntimeError (mat1 and mat2 "
        "shapes cannot be multiplied (8x1 and 4x10)): flatten in front of the linear layer, or "
        "change model.input",
        source,
    )


def test_class_that_gives_no_tuple(tmp_path):
    source = forward(tmp_path, "return {'exit': x.flatten(1)}")
    refused(
        f"network {source} must give a tuple of logits for 1 to 8 exits, got dict: return one "
        "tensor for each exit",
        source,
    )


SINGLE = """
import brevitas.nn as qnn
class Part(nn.Module):
    def __init__(self):
        super().__init__()
        self.relu = qnn.QuantReLU(bit_width=4)
    def forward(self, x):
        x = self.relu(x)
        EXTRA
        return x
class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.body = nn.Sequential(Part())
        self.last = qnn.QuantLinear(64, 10, bias=False, weight_bit_width=4)
    def forward(self, x):
        return self.last(self.body(x).flatten(1))
"""


def test_class_that_gives_one_tensor_has_one_exit(tmp_path):
    """As with a tuple of one: what it gives, and what its graph means."""
    found = model(written(tmp_path, SINGLE.replace("EXTRA", "pass")))
    network = build(found)
    images = torch.randint(0, 256, (3, 1, 8, 8)).float()
    (logits,) = network(images)
    assert logits.shape == (3, 10)
    first_graph(network, found)
    (integer,) = integers_of(network, shape=(1, 8, 8)).exits
    assert integer.scale > 0


@pytest.mark.parametrize(
    ("extra", "line"),
    [("if x.sum() > 0: x = x * 2", 11), ("for _ in range(int(x.max())): x = x + 1", 11)],
)
def test_class_with_control_flow(extra, line, tmp_path, capfd):
    """The sentence names the module and the line; nothing else is printed."""
    found = model(written(tmp_path, SINGLE.replace("EXTRA", extra)))
    network = build(found)
    with pytest.raises(InputError) as refusal:
        first_graph(network, found)
    assert str(refusal.value) == (
        f"{found.source} must do the same for every image, got an if, a loop or a number that "
        f"depends on what a tensor holds in network.body.0, Part (net.py:{line}): compute it with "
        "tensors, or leave it to the exits"
    )
    assert capfd.readouterr() == ("", "")


def test_class_that_cannot_be_exported(tmp_path):
    """Two modules of one class, of which no name says which it was."""
    text = SINGLE.replace("EXTRA", "assert not torch.compiler.is_exporting(), 'never: '")
    found = model(
        written(tmp_path, text.replace("Sequential(Part())", "Sequential(Part(), Part())"))
    )
    network = build(found)
    with pytest.raises(InputError) as refusal:
        first_graph(network, found)
    assert str(refusal.value) == (
        f"{found.source} must be one that Brevitas can export to QONNX, got AssertionError (never) "
        "in Part (net.py:11): use layers of brevitas.nn and no control flow"
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


def graph(bias=None) -> onnx.ModelProto:
    """Two linear exits on 2 x 2 images, the second behind a layer of its own."""
    constants = [tensor("scale", 0.5), tensor("zero", 0), tensor("bits", 4)]
    constants += [tensor("one", 1.0), tensor("eight", 8), tensor("w", np.eye(4)[:, :3])]
    constants += [tensor("v", np.eye(4) / 2)]
    nodes = [
        helper.make_node("Flatten", ["x"], ["flat"]),
        helper.make_node("Quant", ["v", "scale", "zero", "bits"], ["vq"]),
        helper.make_node("Quant", ["w", "scale", "zero", "bits"], ["wq"]),
    ]
    feature = "flat"
    for k in range(2):
        nodes += [
            helper.make_node("MatMul", [feature, "vq"], [f"m{k}"]),
            helper.make_node("Quant", [f"m{k}", "one", "zero", "eight"], [f"q{k}"], signed=0),
            helper.make_node("MatMul" if bias is None else "Gemm",
                             [f"q{k}", "wq", *([] if bias is None else ["bias"])], [f"y{k}"]),
        ]  # fmt: skip
        feature = f"q{k}"
    if bias is not None:
        constants.append(tensor("bias", bias))
    images = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 1, 2, 2])]
    results = [helper.make_tensor_value_info(f"y{k}", TensorProto.FLOAT, [1, 3]) for k in range(2)]
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("qonnx.custom_op.general", 1)]
    made = helper.make_graph(nodes, "g", images, results, constants)
    return helper.make_model(made, opset_imports=opsets)


def test_graph_by_hand():
    whole = file.read(graph(), "net.onnx")
    assert meaning.integers(whole).scales == [0.5, 0.5]
    images = torch.tensor([[[[2.0, 4.0], [6.0, 8.0]]]])
    first, second = GraphNetwork(whole)(images)
    assert first.tolist() == [[1.0, 2.0, 3.0]]
    assert second.tolist() == [[0.0, 1.0, 2.0]]  # 0.5 and 1.5 round to the even integers


def test_missing_or_foreign_qonnx_file(tmp_path):
    path = tmp_path / "net.onnx"
    refused(f"{path}: no such file; export the network first or give another path", f"qonnx:{path}")
    path.write_bytes(b"not a graph at all")
    with pytest.raises(InputError, match=r": an ONNX model was expected but it cannot be read"):
        build(model(f"qonnx:{path}"))
    path.write_bytes(b"")
    refused(
        f"{path}: an ONNX model was expected but the file holds no graph; export it again",
        f"qonnx:{path}",
    )


def test_logits_off_any_grid(tmp_path):
    path = tmp_path / "net.onnx"
    onnx.save(graph(bias=[0, 0, 0]), path)
    assert len(load_graph(path).outputs) == 2
    onnx.save(graph(bias=[0, 0.3, 0]), path)
    with pytest.raises(InputError, match=r": exit 0 must end on the grid of its integer logits"):
        load_graph(path)


def test_a_file_of_another_image_size(custom, tmp_path):
    _, folder = custom
    source = f"qonnx:{folder}/model.onnx"
    refused(
        f"{folder}/model.onnx: the network takes images of (8, 8, 1) (H, W, C) but the "
        "configuration says (8, 8, 3); change model.input or the file",
        source,
        shape=(8, 8, 3),
    )
    with pytest.raises(InputError, match=r"^exit 0 of .* must give logits of model.classes = 11"):
        build(model(source, classes=11))


def test_every_operator_of_the_list_runs_in_torch():
    """What the reader keeps of the list is what torch must run."""
    read_away = {
        "Identity",
        "Dropout",
        "Cast",
        "Flatten",
        "Squeeze",
        "Unsqueeze",
        "Pad",
        "IntQuant",
        "Sum",
        "QuantizeLinear",
        "DequantizeLinear",
        "Trunc",
    }
    read_away |= {"GlobalMaxPool", "GlobalAveragePool", "Softmax", "LogSoftmax"}
    read_away |= {"ReduceMean", "ReduceMax", "ReduceSum"}
    assert set(OPERATORS) == operators.NAMES - read_away
    assert set(ROUNDING) == set(quantizer.ROUNDING) - {"ROUND_TO_ZERO"}


CHOICES = {"Shrink": {"lambd": 0.5, "bias": 0.25}, "ThresholdedRelu": {"alpha": 0.75}}
CHOICES |= {name: {} for name in ("And", "Or", "Not", "Max", "Min", "Where")}
CHOICES |= {name: {} for name in ("Greater", "GreaterOrEqual", "Less", "LessOrEqual")}


@pytest.mark.parametrize("operator", CHOICES)
def test_choices_are_alike_in_torch(operator):
    from onnx import TensorProto, ValueInfoProto, helper
    from onnx.reference import ReferenceEvaluator

    x, y = np.meshgrid(*[np.linspace(-1, 1, 9, dtype=np.float32)] * 2)
    truths = [x > 0.1, y > -0.3]
    given = {"And": truths, "Or": truths, "Not": truths[:1], "Where": [truths[0], x, y]}
    values = given.get(operator, [x] if CHOICES[operator] else [x, y])
    names = [f"i{k}" for k in range(len(values))]
    kinds = [TensorProto.BOOL if v.dtype == bool else TensorProto.FLOAT for v in values]
    taken = [
        helper.make_tensor_value_info(n, k, x.shape) for n, k in zip(names, kinds, strict=True)
    ]
    node = helper.make_node(operator, names, ["o"], **CHOICES[operator])
    graph = helper.make_graph([node], "one", taken, [ValueInfoProto(name="o")])
    evaluator = ReferenceEvaluator(helper.make_model(graph))
    (want,) = evaluator.run(None, dict(zip(names, values, strict=True)))
    got = OPERATORS[operator]([torch.from_numpy(v) for v in values], CHOICES[operator])
    assert np.array_equal(got.numpy(), want)
    assert 0 < np.mean(want != want[0, 0]) < 1


@pytest.mark.parametrize("mode", ROUNDING)
def test_quantizers_round_alike_in_torch(mode):
    x = np.linspace(-4, 4, 65, dtype=np.float32)
    found = quantizer.Quantizer(np.float32(0.25), np.float32(0), -8, 7, mode)
    given = [torch.from_numpy(x), torch.tensor(0.25), torch.tensor(0.0), torch.tensor(4.0)]
    attributes = {"signed": 1, "narrow": 0, "rounding_mode": mode}
    assert np.array_equal(OPERATORS["Quant"](given, attributes), found.constants(x) * 0.25)


def test_a_file_full_of_ties_goes_all_the_way(builder, tmp_path):
    """Scales in the ratio 1 to 20: float32 falls to either side of a half, integers do not."""
    b = builder((8, 8, 1))
    x = b.quant("image", 8, scale=1.0)
    for _ in range(2):
        w = b.integers(b.random.integers(-7, 8, (4, b.shapes[x][1], 3, 3)), 4, scale=0.05)
        y = b.node("Conv", x, w, shape=(1, 4, 8, 8), pads=[1] * 4)
        x = b.quant(b.node("Relu", y, shape=(1, 4, 8, 8)), 4, scale=0.73)
        w = b.integers(b.random.integers(-7, 8, (256, 10)), 4, scale=0.05)
        logits = b.node("MatMul", b.flatten(x), w, shape=(1, 10))
        b.exit(b.quant(logits, 8, signed=True, scale=0.1))
    b.save(tmp_path / "net.onnx")
    text = (
        'name = "n"\n[data]\ndataset = "digits"\n[model]\n'
        f'source = "qonnx:{tmp_path}/net.onnx"\ninput = [8, 8, 1]\nclasses = 10\n'
    )
    whole = tree.parse(text)
    run_dir = tmp_path / "run"
    train(whole, run_dir, tmp_path)
    calibrate(whole, run_dir)
    export(whole, run_dir)
    kept = seen.read(run_dir / seen.NAME)
    again = meaning.integers(file.load(run_dir / "model.onnx")).logits(kept.images)
    for got, want in zip(again, kept.logits, strict=True):
        assert np.array_equal(got, want)
