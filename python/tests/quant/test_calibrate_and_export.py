"""From a trained network to integers, thresholds and one QONNX file that agree with it."""

from __future__ import annotations

import json
import re
import shutil
from collections import OrderedDict

import numpy as np
import onnx
import pytest
import torch
from torch import nn
from torch.onnx._internal.exporter._registration import onnxscript_apis

from exeunt import criteria, promise, registers
from exeunt.config import tree
from exeunt.errors import CheckFailed, InputError
from exeunt.qonnx import meaning, seen
from exeunt.quant import export as exporting
from exeunt.quant import train as training
from exeunt.quant.calibrate import calibrate
from exeunt.quant.exits import calibration
from exeunt.quant.export import export
from exeunt.quant.network import export as exporter
from exeunt.quant.network.export import to_qonnx
from exeunt.quant.network.logits import exact, grid_and_cost, integer_logits, logits
from exeunt.quant.network.model import MultiExitNetwork, cumulative_macs
from exeunt.quant.network.qonnx_graph import GraphNetwork, load_graph
from exeunt.quant.train import load_checkpoint
from exeunt.report import document, overview, store
from exeunt.report.warnings import warnings
from exeunt.splits import read_split


@pytest.fixture(scope="module")
def exported(trained, tiny, tmp_path_factory):
    folder = tmp_path_factory.mktemp("exported") / "run"
    shutil.copytree(trained, folder)
    told: list[str] = []
    calibrate(tiny, folder, progress=lambda d, n, text="": told.append(text))
    assert re.fullmatch(
        r"thresholds -?\d+; of [\d,]+ validation images [\d.]+% right with [\d.]+% of the "
        r"multiplications",
        told[-1],
    )
    export(tiny, folder, progress=lambda d, n, text="": told.append(text))
    assert re.fullmatch(r"model\.onnx: 2 exits, \d+ nodes", told[-1])
    return folder


def test_exits_json_repeats_from_the_network(exported, tiny):
    data = json.loads((exported / "exits.json").read_text())
    network = load_checkpoint(tiny, exported)
    assert isinstance(network, MultiExitNetwork)
    macs = cumulative_macs(network.costs)
    validation = read_split(exported / "splits.npz", "validation")
    found = integer_logits(network, validation.images, network.logit_scales())
    expected = calibration.calibrate_exits(
        found, validation.labels, macs=macs, drop=tiny.calibrate.drop
    )
    assert data["thresholds"] == [*expected.chosen.thresholds, None]
    assert data["macs"] == macs
    assert data["images"] == len(validation.labels)
    assert data["reach"] == list(expected.chosen.reach)
    assert data["logit_scales"] == network.logit_scales()
    assert [p["macs"] for p in data["curve"]] == [p.macs for p in expected.curve]
    assert sum(data["rates"]) == pytest.approx(1)
    left = calibration.exits(
        calibration.scores(found, validation.labels).score, expected.chosen.thresholds
    )
    assert data["sequence"] == "".join(map(str, left))


def test_a_packed_copy_runs_as_it_is(exported, tiny, tmp_path):
    export(tiny, exported, pack=str(tmp_path / "away"))
    config = tree.load(tmp_path / "away" / "tiny.toml")
    assert config.name == "tiny"
    assert config.data == tiny.data
    assert config.calibrate == tiny.calibrate
    assert config.model.file == (tmp_path / "away" / "tiny.onnx").resolve()
    images = read_split(exported / "splits.npz", "test").images
    found = exact(training.build(config.model), config)
    expected = meaning.integers(load_graph(exported / "model.onnx"))
    for want, got in zip(expected.logits(images), found.logits(images), strict=True):
        assert np.array_equal(want, got)
    sizes = [(tmp_path / "away" / "tiny.onnx").stat().st_size]
    assert sizes[0] < (exported / "model.onnx").stat().st_size


def test_the_promise_travels(trained, tiny, tmp_path):
    """Many images for a large drop, too few for a small one; without one nothing is left of it."""
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    told: list[str] = []

    def promised(**more):
        section = tiny.calibrate.model_copy(update=more)
        config = tiny.model_copy(update={"calibrate": section})
        result = calibrate(config, folder, progress=lambda d, n, text="": told.append(text))
        exits = json.loads((folder / "exits.json").read_text())
        return result, exits, store.read(folder)["calibration"]

    images = len(read_split(folder / "splits.npz", "validation").labels)
    result, exits, report = promised(guarantee="average", drop=0.2)
    made = promise.from_json(exits["guarantee"])
    assert made == result.promise
    assert made.holds
    assert made.images == images == made.ordered + made.tested
    assert made.covers(exits["thresholds"][:-1])
    assert made.lost <= made.allowed == int(0.2 * (made.tested + 1)) - 1
    assert told[-1].endswith(f"; {made.text}")
    assert report["guarantee"]["permitted"] == 0.2
    test = read_split(folder / "splits.npz", "test")
    assert report["guarantee"]["test"]["images"] == len(test.labels)
    assert report["lost"] == report["guarantee"]["test"]["lost"] / len(test.labels)
    assert 0 < report["guarantee"]["test"]["chance"] <= 1

    result, exits, report = promised(guarantee="probability", drop=0.002)
    assert not exits["guarantee"]["holds"]
    assert exits["guarantee"]["images_needed"] == 1447
    assert report["guarantee"]["test"] is None
    assert "needs 1,447 validation images and there are" in told[-1]
    plain, exits, report = promised(guarantee="none", drop=0.002)
    assert plain.chosen == result.chosen
    assert "guarantee" not in exits
    assert (report["guarantee"]["kind"], report["guarantee"]["holds"]) == ("none", False)


def test_thresholds_of_classes_travel(trained, tiny, tmp_path, monkeypatch):
    """Into exits.json, the figures of the test images and the report; or it is said why not."""
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    told: list[str] = []
    section = tiny.calibrate.model_copy(update={"per_class": True, "drop": 0.2})
    config = tiny.model_copy(update={"calibrate": section})
    rows = ((5, 0, 2), (0, 3, 1), (0, 0, 0))
    monkeypatch.setattr(
        "exeunt.quant.exits.calibration.offsets_of",
        lambda found, macs, loss: tuple(
            tuple(np.resize(row, found.logits[0].shape[1]).tolist()) for row in rows[-len(macs) :]
        ),
    )
    result = calibrate(config, folder, progress=lambda d, n, text="": told.append(text))
    exits = json.loads((folder / "exits.json").read_text())
    assert tuple(map(tuple, exits["offsets"])) == result.offsets
    assert " more for some classes; of " in told[-1]
    test = read_split(folder / "splits.npz", "test")
    seen = exact(load_checkpoint(tiny, folder), tiny).logits(test.images)
    left = criteria.run(
        exits["criterion"], seen, exits["thresholds"], scales=exits["logit_scales"],
        offsets=exits["offsets"],
    )  # fmt: skip
    report = store.read(folder)
    assert report["accuracy"]["early_exit"] == float((left.classes == test.labels).mean())
    assert [e["rate"] for e in report["exits"]] == [
        float((left.exits == e).mean()) for e in range(len(seen))
    ]
    made = next(p for p in overview.cost(folder)["parts"] if p.get("head", ("",))[0] == "class")
    first = exits["thresholds"][0]
    assert [row[1] for row in made["rows"]][:2] == [
        registers.threshold_text(first + row) for row in exits["offsets"][0][:2]
    ]
    monkeypatch.setattr("exeunt.quant.exits.calibration.offsets_of", lambda *a: ())
    calibrate(config, folder)
    assert "offsets" not in json.loads((folder / "exits.json").read_text())
    assert store.read(folder)["calibration"]["notes"] == [
        "thresholds of classes save no multiplications on the validation images, so all classes "
        "have the exit's: leave out calibrate.per_class"
    ]


def test_both_counts_are_told_where_excluded_classes_cost_nothing(trained, tiny, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)

    def figures(**more):
        section = tiny.calibrate.model_copy(update=more)
        calibrate(tiny.model_copy(update={"calibrate": section}), folder)
        found = store.read(folder)["calibration"]
        return found["macs_mean"], found["macs_mean_all"], document.write(folder).read_text()

    spent, everything, page = figures(criterion="exclusion", drop=0.02)
    test = read_split(folder / "splits.npz", "test")
    network = exact(load_checkpoint(tiny, folder), tiny)
    exits = json.loads((folder / "exits.json").read_text())
    left = criteria.run("exclusion", network.logits(test.images), exits["thresholds"])
    assert everything == np.array(network.multiplies())[left.exits].mean()
    classes = network.logits(test.images[:1])[0].shape[1]
    out = (left.exits == 1) * (classes - left.wanted[1])  # of those that get to exit 1
    assert spent == pytest.approx(everything - network.per_class()[1] * out.mean())
    assert spent < everything
    assert (
        f"as a processor may compute it: {spent:,.0f} multiplications per image on the test "
        f"images. The hardware computes the logits of all classes: {everything:,.0f}, "
        f"{100 * (everything / spent - 1):.2f}% more."
    ) in page
    spent, everything, page = figures(criterion="margin", drop=0.02)
    assert spent == everything
    assert "The hardware computes the logits of all classes" not in page


def test_report_counts_the_test_images(exported, tiny):
    found = store.read(exported)
    data = json.loads((exported / "exits.json").read_text())
    test = read_split(exported / "splits.npz", "test")
    network = load_checkpoint(tiny, exported)
    integers = integer_logits(network, test.images, data["logit_scales"])
    right = 0
    for image in range(len(test.labels)):
        row = np.sort(integers[0][image])
        k = 0 if row[-1] - row[-2] >= data["thresholds"][0] else 1
        right += int(integers[k][image].argmax() == test.labels[image])
    assert found["accuracy"]["early_exit"] == pytest.approx(right / len(test.labels))
    last = (integers[1].argmax(1) == test.labels).mean()
    assert found["accuracy"]["quantized_last_exit"] == pytest.approx(last)
    assert [e["index"] for e in found["exits"]] == [0, 1]
    assert sum(e["rate"] for e in found["exits"]) == pytest.approx(1)


def test_one_file_with_one_output_per_exit(exported):
    model = onnx.load(exported / "model.onnx", load_external_data=False)
    assert [v.name for v in model.graph.output] == ["exit0", "exit1"]
    assert [v.name for v in model.graph.input] == ["images"]
    shape = [d.dim_value for d in model.graph.input[0].type.tensor_type.shape.dim]
    assert shape == [1, 1, 8, 8]
    assert all(t.data_location == onnx.TensorProto.DEFAULT for t in model.graph.initializer)
    assert not list(exported.glob("*.data"))
    kinds = {n.op_type for n in model.graph.node}
    assert "Quant" in kinds
    assert not any(n.metadata_props or n.doc_string for n in model.graph.node)


def test_file_computes_what_brevitas_computes(exported, tiny):
    test = read_split(exported / "splits.npz", "test")
    network = load_checkpoint(tiny, exported)
    graph = load_graph(exported / "model.onnx")
    scales = meaning.integers(graph).scales
    assert scales == pytest.approx(network.logit_scales(), rel=1e-6)
    expected = integer_logits(network, test.images, scales)
    found = integer_logits(GraphNetwork(graph), test.images, scales)
    exact = meaning.integers(graph).logits(test.images)
    for a, b, c in zip(expected, found, exact, strict=True):
        assert np.array_equal(a, b)
        assert np.array_equal(a, c)


def test_file_computes_the_same_in_qonnx(exported):
    """Our torch interpreter of the file against qonnx's own execution of it."""
    from qonnx.core.modelwrapper import ModelWrapper
    from qonnx.core.onnx_exec import execute_onnx

    images = read_split(exported / "splits.npz", "test").images[:4]
    wrapper = ModelWrapper(str(exported / "model.onnx"))
    ours = logits(GraphNetwork(load_graph(exported / "model.onnx")), images)
    for k in range(len(images)):
        feed = images[k : k + 1].transpose(0, 3, 1, 2).astype(np.float32)
        found = execute_onnx(wrapper, {"images": feed})
        for e in (0, 1):
            assert np.allclose(found[f"exit{e}"], ours[e][k], rtol=1e-5, atol=1e-4)


def test_same_network_same_bytes(exported, tiny, tmp_path, monkeypatch):
    monkeypatch.setattr(exporter, "_kept", OrderedDict())  # or the first export would be told again
    again = tmp_path / "again"
    shutil.copytree(exported, again)
    export(tiny, again)
    assert (again / "model.onnx").read_bytes() == (exported / "model.onnx").read_bytes()


@pytest.fixture
def exports(monkeypatch):
    """How often a network went through the exporter, of which nothing is kept before."""
    made, plain = [], exporter.export_qonnx
    monkeypatch.setattr(exporter, "_kept", OrderedDict())
    monkeypatch.setattr(
        exporter, "export_qonnx", lambda *given, **more: made.append(1) or plain(*given, **more)
    )
    return made


def test_a_network_is_exported_once_whoever_asks(trained, tiny, exports, monkeypatch):
    """The graph that is kept is the exporter's, and a change of anything makes another one."""
    first = to_qonnx(load_checkpoint(tiny, trained), shape=(1, 8, 8))
    second = to_qonnx(load_checkpoint(tiny, trained), shape=(1, 8, 8))
    assert len(exports) == 1
    assert second is not first
    images = read_split(trained / "splits.npz", "test").images[:20]
    both = [meaning.integers(graph).logits(images) for graph in (first, second)]
    assert all(np.array_equal(a, b) for a, b in zip(*both, strict=True))

    monkeypatch.setattr(exporter, "KEPT", 1)
    changed = load_checkpoint(tiny, trained)
    with torch.no_grad():
        list(changed.parameters())[-1].add_(0.01)
    to_qonnx(changed, shape=(1, 8, 8))
    assert len(exports) == 2
    (kept,) = exporter._kept

    monkeypatch.setattr(exporter, "SMALL", 0)
    wider = load_checkpoint(tiny, trained)
    said = wider.state_dict()
    silent = (b for name, b in wider.named_buffers() if "bit_width" in name and name not in said)
    next(silent).add_(1)
    to_qonnx(wider, shape=(1, 8, 8))
    assert len(exports) == 3
    assert [*exporter._kept] == [kept]
    operators = onnxscript_apis.get_torchlib_ops.cache_info()
    assert (operators.misses, operators.hits > 1) == (1, True)


def test_costs_of_graph_and_layers_agree(exported, tiny):
    network = load_checkpoint(tiny, exported)
    graph = load_graph(exported / "model.onnx")
    assert meaning.integers(graph).multiplies() == cumulative_macs(network.costs)
    last = [[m for m in h.modules() if isinstance(m, nn.Linear)][-1] for h in network.heads]
    assert meaning.integers(graph).per_class() == [layer.in_features for layer in last]


def test_a_criterion_of_neighbours_wants_a_recording(trained, tiny, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    section = tiny.calibrate.model_copy(update={"criterion": "temporal"})
    calibrate(tiny.model_copy(update={"calibrate": section}), folder)
    found = store.read(folder)
    (told,) = found["calibration"]["notes"]
    assert re.fullmatch(
        r"\d+% of the validation images are of the class of the one before, as in random order, "
        r"and temporal goes by neighbours: set data\.shuffle = false for the frames of a "
        r"recording, or change calibrate\.criterion",
        told,
    )
    assert told in warnings(found, "calibrate")
    calibrate(tiny, folder)
    assert store.read(folder)["calibration"]["notes"] == []


def test_a_network_trained_for_another_criterion_is_told_of(trained, tiny, tmp_path):
    folder = tmp_path / "run"
    shutil.copytree(trained, folder)
    train = tiny.train.model_copy(update={"loss": "binary"})
    binary = tiny.model_copy(update={"train": train})
    state = torch.load(folder / "checkpoint.pt", weights_only=True)
    torch.save({**state, "hash": training.fingerprint(binary)}, folder / "checkpoint.pt")
    calibrate(binary, folder)
    found = store.read(folder)
    sentence = (
        'the network was trained with train.loss = "binary", which is made for exclusion, and its '
        "exits go by margin: leave out train.loss, or set calibrate.criterion = "
        '"exclusion"'
    )
    assert found["calibration"]["notes"] == [sentence]
    assert sentence in warnings(found, "calibrate")
    section = tiny.calibrate.model_copy(update={"criterion": "exclusion"})
    calibrate(binary.model_copy(update={"calibrate": section}), folder)
    assert store.read(folder)["calibration"]["notes"] == []


def test_file_that_differs_is_found(exported, tiny):
    network = load_checkpoint(tiny, exported)
    graph = load_graph(exported / "model.onnx")
    images = read_split(exported / "splits.npz", "validation").images
    with torch.no_grad():
        network.heads[1][-1].weight.neg_()
    with pytest.raises(CheckFailed, match=r"^exported exit 1 must give the network's logits, got"):
        exporting.compare(graph, network, images)


def test_calibration_keeps_what_it_saw(exported, tiny):
    network = exact(load_checkpoint(tiny, exported), tiny)
    validation = read_split(exported / "splits.npz", "validation")
    kept = seen.read(exported / "calibration.npz")
    assert len(kept.numbers) == 128 < len(validation.labels)
    assert np.array_equal(kept.images, validation.images[kept.numbers])
    for a, b in zip(kept.logits, network.logits(kept.images), strict=True):
        assert np.array_equal(a, b)


def test_calibrate_and_export_need_a_checkpoint(tiny, tmp_path):
    for step in (calibrate, export):
        with pytest.raises(InputError, match=r"checkpoint\.pt must exist, got no such file"):
            step(tiny, tmp_path)


def test_network_that_cannot_be_exported():
    class Plain(torch.nn.Module):
        def forward(self, x):
            raise RuntimeError("no way")

    with pytest.raises(InputError, match=r"^Plain must be one that Brevitas can export to QONNX"):
        to_qonnx(Plain(), shape=(1, 4, 4))


STAGES = """
name = "x"
[data]
dataset = "digits"
[model]
input = [9, 9, 2]
classes = 4
[[model.stages]]
blocks = [{ pool = "max", size = 2, stride = 1 }, { conv = 3, kernel = 4, stride = 2, padding = 1 }]
head = [{ pool = "max", size = "global" }]
[[model.stages]]
blocks = [{ conv = 4, kernel = 1 }, { pool = "average", size = 2 }]
head = [{ linear = 5 }, { linear = 4 }]
[[model.stages]]
blocks = [{ pool = "max", size = 2 }]
head = [{ pool = "average", size = "global" }]
"""


def test_every_layer_survives_the_export():
    torch.manual_seed(3)
    network = MultiExitNetwork(tree.parse(STAGES).model)
    images = np.random.default_rng(0).integers(0, 256, (16, 9, 9, 2)).astype(np.uint8)
    network.train()
    for _ in range(3):  # batch statistics that are not the initial ones
        network(torch.from_numpy(images.transpose(0, 3, 1, 2).astype(np.float32)))
    graph = to_qonnx(network, shape=(2, 9, 9))
    assert len(graph.outputs) == 3
    found = meaning.integers(graph)
    assert exporting.compare(graph, network, images) < 0.01
    assert found.multiplies() == cumulative_macs(network.costs)


def test_grid_and_cost_of_both_kinds_of_network(exported, tiny):
    network = load_checkpoint(tiny, exported)
    first = grid_and_cost(network, tiny)
    graph = GraphNetwork(load_graph(exported / "model.onnx"))
    second = grid_and_cost(graph, tiny)
    assert first[0] == pytest.approx(second[0], rel=1e-6)
    assert first[1] == second[1]
