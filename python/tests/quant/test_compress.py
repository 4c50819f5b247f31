"""Compression: structure, pruning, masks, the stored network, what is refused, what resumes."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from exeunt.config import compress as passes
from exeunt.config import layers, tree
from exeunt.errors import InputError
from exeunt.quant import compress as compression
from exeunt.quant.calibrate import calibrate
from exeunt.quant.compress import filters, step, weights
from exeunt.quant.compress.criteria import Scores, score
from exeunt.quant.compress.structure import structure_of
from exeunt.quant.compress.subject import Subject, from_blob
from exeunt.quant.compress.work import Work, weight_bits
from exeunt.quant.data.datasets import load
from exeunt.quant.network.model import MultiExitNetwork
from exeunt.quant.network.source import build
from exeunt.quant.train import load_checkpoint, train
from exeunt.report import store

FILTERS = {"kind": "filters", "criterion": "taylor", "budget": 0.6, "multiple": 2, "epochs": 1}


def with_passes(whole: tree.Config, *specs: dict, **more) -> tree.Config:
    section = passes.Compress.model_validate({"passes": specs, "images": 40, **more})
    return whole.model_copy(update={"compress": section})


@pytest.fixture
def folder(trained: Path, tmp_path: Path) -> Path:
    """A run folder of its own with the tiny trained network."""
    run = tmp_path / "run"
    shutil.copytree(trained, run)
    return run


@pytest.fixture
def work(tiny: tree.Config, trained: Path) -> Work:
    splits = load(tiny.data, trained, shape=tiny.model.input, classes=10)
    whole = with_passes(tiny, FILTERS)
    assert whole.compress is not None
    return Work(whole, whole.compress, splits)


@pytest.fixture
def subject(tiny: tree.Config, trained: Path) -> Subject:
    return Subject(load_checkpoint(tiny, trained), tiny.model)


@pytest.mark.parametrize(
    "asked",
    [{}, {"per_class": True}, {"shift": 1}, {"guarantee": "average", "drop": 0.05}],
    ids=["plain", "classes", "copies", "promise"],
)
def test_accuracy_is_by_the_thresholds_that_the_config_asks_for(
    work: Work, subject: Subject, trained: Path, tmp_path: Path, asked
):
    """As `exeunt calibrate` chooses them for the same network."""
    shutil.copytree(trained, tmp_path / "run")
    config = work.config.model_copy(update={"compress": None})
    section = config.calibrate.model_copy(update=asked)
    config = config.model_copy(update={"calibrate": section})
    calibrate(config, tmp_path / "run")
    report = store.read(tmp_path / "run")
    found = Work(config, work.section, work.splits).accuracy(subject, "test")
    assert found["early_exit"] == report["accuracy"]["early_exit"]
    assert found["rates"] == [row["rate"] for row in report["exits"]]
    if asked:
        plain = work.accuracy(subject, "test")
        assert found["rates"] != plain["rates"], "or this test shows nothing"


def test_structure_knows_who_reads_what(subject, tiny):
    found = structure_of(subject.network, tiny.model)
    assert [y.name for y in found.layers] == [
        "segments.0.0",
        "heads.0.1",
        "segments.1.0",
        "heads.1.3",
        "heads.1.6",
    ]
    first, head, second, hidden, last = found.layers
    assert (first.source, head.source, second.source) == (None, first.group, first.group)
    assert (head.repeat, hidden.repeat, last.repeat) == (16, 1, 1)
    assert found.groups[first.group].norms == ("segments.0.1",)
    assert [g.fixed for g in found.groups] == [False, True, False, False, True]
    assert found.macs() == sum(c.segment + c.head for c in subject.network.costs)
    narrow = list(found.widths)
    narrow[first.group] = 2
    expected = build(
        tiny.model.model_copy(
            update={
                "stages": (
                    tree.Stage(blocks=(layers.Conv(conv=2, stride=2, padding=1),)),
                    tiny.model.stages[1],
                )
            }
        )
    )
    assert found.macs(narrow) == sum(c.segment + c.head for c in expected.costs)


class Residual(nn.Module):
    """Two convolutions added, and a head."""

    def __init__(self) -> None:
        super().__init__()
        from exeunt.quant.network.brevitas import QuantConv2d, QuantLinear, QuantReLU

        self.a = QuantConv2d(1, 4, 3, padding=1, bias=False, weight_bit_width=4)
        self.b = QuantConv2d(4, 4, 3, padding=1, bias=True, weight_bit_width=4)
        self.norm = nn.BatchNorm2d(4)
        self.relu = QuantReLU(bit_width=4)
        self.head = QuantLinear(4 * 64, 10, bias=False, weight_bit_width=4)

    def forward(self, x):
        x = self.relu(self.a(x))
        x = self.relu(x + self.norm(self.b(x)))
        return (self.head(x.flatten(1)),)


def test_an_addition_couples_its_channels(tiny):
    model = tree.Model(source="python:net.py:Residual", input=(8, 8, 1), classes=10)
    images = torch.randint(0, 256, (3, 1, 8, 8)).float()
    network = Residual()
    network(images)  # Brevitas finds its scales
    network.eval()
    found = structure_of(network, model)
    assert [g.producers for g in found.groups] == [("a", "b"), ("head",)]
    keep = {0: torch.tensor([0, 2, 3])}
    from exeunt.quant.compress.structure import sliced
    from exeunt.quant.compress.subject import conform

    with torch.no_grad():  # channel 1 does nothing, so that taking it out changes nothing
        network.a.weight[1] = 0
        network.b.weight[1] = 0
        network.b.bias[1] = 0
        network.norm.bias[1] = network.norm.running_mean[1] = 0
        network.b.weight[:, 1] = 0  # nobody may find its scale in what goes
        network.head.weight[:, 64:128] = 0
    before = network(images)[0]
    state = sliced(network.state_dict(), found, keep)
    narrow = Residual()
    conform(narrow, state)
    narrow.load_state_dict(state)
    assert narrow.a.out_channels == 3
    assert torch.allclose(narrow.eval()(images)[0], before, atol=1e-4)


def test_pruning_dead_filters_changes_no_logit(subject, tiny):
    found = structure_of(subject.network, tiny.model)
    with torch.no_grad():
        norm, second = subject.network.segments[0][1], subject.network.segments[1][0]
        norm.weight[[1, 2]], norm.bias[[1, 2]] = 0.0, -1.0  # never above zero
        for reader in (subject.network.heads[0][1].weight[:, 16:48], second.weight[:, 1:3]):
            reader.zero_()  # so that no scale is found in what goes
    images = torch.randint(0, 256, (4, 1, 8, 8)).float()
    narrow = filters.pruned(subject, found, {0: torch.tensor([0, 3])})
    assert narrow.model.stages[0].blocks[0].conv == 2
    assert narrow.network.heads[0][1].in_features == 32
    for a, b in zip(subject.network(images), narrow.network(images), strict=True):
        assert torch.allclose(a, b, atol=1e-5)


def test_lowest_filters_go_within_the_budget(subject, tiny):
    found = structure_of(subject.network, tiny.model)
    scores = {g: torch.arange(found.groups[g].size).double() + 1 for g in found.free()}
    budget = int(0.6 * found.macs())
    keep = filters.choose(found, scores, budget=budget, multiple=2, floors=[1] * 5)
    widths = list(found.widths)
    for g, indices in keep.items():
        assert len(indices) % 2 == 0
        size = found.groups[g].size
        assert indices.tolist() == list(range(size - len(indices), size))
        widths[g] = len(indices)
    assert 0.3 * found.macs() < found.macs(widths) <= budget


def test_large_lots_come_as_near_to_the_budget_as_they_can():
    """README's small network: half the multiplies may stay, lots of four filters."""
    text = """
    name = "smaller"
    [data]
    dataset = "digits"
    [model]
    input = [8, 8, 1]
    classes = 10
    [[model.stages]]
    blocks = [{ conv = 8, kernel = 3, stride = 2, padding = 1 }]
    [[model.stages]]
    blocks = [{ conv = 16, kernel = 3, padding = 1 }]
    """
    model = tree.parse(text).model
    found = structure_of(MultiExitNetwork(model), model)
    random = torch.Generator().manual_seed(0)
    # the second layer has the lowest scores, so one lot after the other goes from it
    scores = {
        g: torch.rand(found.groups[g].size, generator=random).double() + (g == found.free()[0])
        for g in found.free()
    }
    budget = found.macs() // 2
    keep = filters.choose(found, scores, budget=budget, multiple=4, floors=[2] * 5)
    widths = list(found.widths)
    for g, indices in keep.items():
        widths[g] = len(indices)
        best = scores[g].sort(descending=True).indices[: len(indices)]
        assert sorted(indices.tolist()) == sorted(best.tolist())
    every = []
    for first in (4, 8):
        for second in (4, 8, 12, 16):
            wide = list(found.widths)
            for g, size in zip(found.free(), (first, second), strict=True):
                wide[g] = size
            every.append(found.macs(wide))
    assert found.macs(widths) == max(m for m in every if m <= budget)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"budget": 0.01},
            r"^budget of a filters pass must leave every layer its floor of filters, got \d+ "
            r"multiplies where the narrowest network has [\d,]+: raise budget or lower floor$",
        ),
        (
            {"multiple": 64},
            r"^multiple of a filters pass must leave layers something to lose, got 64 where the "
            r"widest layer has 16 filters: lower multiple or floor$",
        ),
    ],
)
def test_impossible_filters(subject, work, change, sentence):
    spec = passes.Filters.model_validate({**FILTERS, **change})
    with pytest.raises(InputError, match=sentence):
        filters.apply(spec, subject, work)


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (
            {"sparsity": 0.99},
            r"^sparsity of a weights pass must leave every row one block, got \d+ of [\d,]+ "
            r"weights where \d+ are the fewest: lower sparsity or block$",
        ),
        (
            {"group": 3},
            r"^group of a weights pass must divide the 4 outputs of segments.0.0, got 3: choose a "
            r"divisor, or 0 for all of them$",
        ),
        (
            {"kind": "blocks", "block": 30},
            r"^block of a blocks pass must fit the 9 inputs of segments.0.0, got 30: lower it$",
        ),
    ],
)
def test_impossible_weights(subject, work, change, sentence):
    values = {"kind": "weights", "criterion": "l1", "sparsity": 0.5, "group": 0, **change}
    spec = passes.TABLES[values["kind"]].model_validate(values)
    with pytest.raises(InputError, match=sentence):
        weights.apply(spec, subject, work)


def test_codebooks_come_last(subject, work):
    subject.extras["sharing"] = {}
    for kind, module in (("filters", filters), ("weights", weights)):
        spec = passes.TABLES[kind].model_validate({"kind": kind})
        with pytest.raises(InputError, match=rf'^passes of kind "{kind}" must come before sharing'):
            module.apply(spec, subject, work)


@pytest.mark.parametrize("criterion", ["taylor", "gradient", "l1", "random"])
def test_criteria_score_every_filter_and_weight(subject, work, criterion):
    state = {k: v.clone() for k, v in subject.network.state_dict().items()}
    data = work.scored
    assert np.bincount(data.labels).tolist() == [4] * 10
    found = score(
        criterion, subject.network, data.images, data.labels, exit_weights=[0.5, 0.5], seed=3
    )
    for name, module in subject.network.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            assert found.filters[name].shape == (len(module.weight),)
            assert found.weights[name].shape == module.weight.shape
            assert (found.filters[name] >= 0).all()
            assert found.filters[name].max() > 0
    for name, value in subject.network.state_dict().items():
        assert torch.equal(state[name], value), name
    assert not subject.network.training


def test_taylor_ignores_a_filter_that_never_fires(subject, work):
    with torch.no_grad():
        norm = subject.network.segments[0][1]
        norm.weight[1], norm.bias[1] = 0.0, -1.0
    data = work.scored
    found = score("taylor", subject.network, data.images, data.labels, exit_weights=[1, 1])
    assert found.filters["segments.0.0"][1] == 0
    assert found.filters["segments.0.0"][0] > 0


def test_unknown_criterion(subject, work):
    sentence = r"^criterion must be one of deeplift, .*, random, got 'magic': change it$"
    with pytest.raises(InputError, match=sentence):
        score("magic", subject.network, work.scored.images, work.scored.labels, exit_weights=[1, 1])


@pytest.mark.parametrize("group", [0, 2])
@pytest.mark.parametrize("block", [1, 4])
def test_every_row_of_a_group_keeps_equally_many(subject, tiny, group, block):
    found = structure_of(subject.network, tiny.model)
    values = {"kind": "blocks", "sparsity": 0.6, "group": group, "block": block}
    spec = passes.Blocks.model_validate(values)
    random = score("random", subject.network, None, None, exit_weights=[]).weights
    masks = weights.choose(found, random, spec, share=0.4, before={})
    kept = sum(int(m.sum()) for m in masks.values())
    total = sum(m.numel() for m in masks.values())
    assert 0.37 * total < kept <= 0.4 * total
    for layer in found.layers:
        matrix = weights.rows(masks[f"{layer.name}.weight"], layer)
        width = matrix.shape[1]
        whole = matrix[:, : width // block * block].unflatten(1, (-1, block))
        assert (whole.all(-1) == whole.any(-1)).all()  # blocks go as a whole
        padded = torch.cat([whole.any(-1), matrix[:, width // block * block :].any(1, True)], 1)
        counts = padded.sum(1).unflatten(0, (-1, group or len(matrix)))
        if width % block == 0:
            assert (counts == counts[:, :1]).all()
        assert counts.min() >= 1


def test_scale_says_how_layers_compare(subject, tiny):
    found = structure_of(subject.network, tiny.model)
    first = found.layers[0].name
    scores = score("random", subject.network, None, None, exit_weights=[]).weights
    scores = {n: s * (100.0 if n == first else 1.0) for n, s in scores.items()}

    def left(scale: str) -> float:
        spec = passes.Weights(kind="weights", scale=scale)
        mask = weights.choose(found, scores, spec, share=0.3, before={})[f"{first}.weight"]
        return float(mask.float().mean())

    assert left("none") == 1.0  # nothing of it goes before the rest
    assert left("rms") < left("root") <= 1.0
    doubled = {n: s * (7.0 if n == first else 1.0) for n, s in scores.items()}
    spec = passes.Weights(kind="weights", scale="rms")
    one, other = (weights.choose(found, s, spec, share=0.3, before={}) for s in (scores, doubled))
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_rows_are_in_the_order_of_the_hardware(subject, tiny):
    found = structure_of(subject.network, tiny.model)
    conv, head = found.layers[2], found.layers[1]
    weight = torch.arange(2 * 3 * 2 * 2).view(2, 3, 2, 2)  # (out, c, ky, kx)
    assert weights.rows(weight, conv)[0].tolist() == [0, 4, 8, 1, 5, 9, 2, 6, 10, 3, 7, 11]
    assert torch.equal(weights.from_rows(weights.rows(weight, conv), weight, conv), weight)
    flat = torch.arange(32)[None]  # two channels of 16 pixels
    assert weights.rows(flat, head)[0, :4].tolist() == [0, 16, 1, 17]
    assert torch.equal(weights.from_rows(weights.rows(flat, head), flat, head), flat)


def test_masks_survive_fine_tuning_storage_and_export(tiny, folder):
    whole = with_passes(
        tiny,
        {**FILTERS, "epochs": 0},
        {"kind": "weights", "criterion": "l1", "sparsity": 0.5, "group": 0, "epochs": 1},
    )
    network = step.compress(whole, folder, folder)
    data = torch.load(folder / "compressed.pt", weights_only=True)
    assert {len(s["blocks"]) for s in data["model"]["stages"]} == {1}
    loaded = compression.load(folder / "compressed.pt")
    assert type(loaded) is MultiExitNetwork
    masked = 0
    for name, mask in data["masks"].items():
        module = loaded.get_submodule(name.removesuffix(".weight"))
        integers = module.quant_weight().int()
        assert (integers[~mask] == 0).all()
        masked += int((~mask).sum())
        assert torch.equal(module.weight, network.get_parameter(name))
    total = sum(m.numel() for m in data["masks"].values())
    assert masked / total == pytest.approx(0.5, abs=0.02)
    found = json.loads((folder / "compression.json").read_text())
    first, second = found["passes"]
    assert first["macs"] <= 0.6 * first["macs_before"]
    assert [y["name"] for y in first["layers"]] == ["segments.0.0", "segments.1.0", "heads.1.3"]
    assert found["compressed"]["macs"] == first["macs"]
    assert second["macs"] == found["compressed"]["macs_effective"]
    places = {"segments.0.0": 16, "segments.1.0": 16}  # pixels of the output; 1 of a linear layer
    lost = sum(
        int((~mask).sum()) * places.get(name.removesuffix(".weight"), 1)
        for name, mask in data["masks"].items()
    )
    assert second["macs"] == first["macs"] - lost
    assert found["compressed"]["weight_bits"] < found["original"]["weight_bits"] / 2
    assert store.read(folder)["compression"]["chosen"]["passes"] == ["filters", "weights"]
    assert not (folder / ".compress").exists()

    from exeunt.quant.calibrate import calibrate
    from exeunt.quant.export import export

    calibrate(whole, folder)
    graph = export(whole, folder)
    zeros = {
        int((graph.constants[n.inputs[0]] == 0).sum())
        for n in graph.nodes
        if n.operator == "Quant" and n.inputs[0] in graph.constants
    }
    for mask in data["masks"].values():
        assert any(count >= int((~mask).sum()) for count in zeros)


def test_interrupted_fine_tuning_goes_on(tiny, folder, tmp_path, monkeypatch):
    whole = with_passes(tiny, {**FILTERS, "epochs": 2})
    other = tmp_path / "other"
    shutil.copytree(folder, other)
    step.compress(whole, other, other)

    from exeunt.quant.compress import work as work_module

    keep = work_module._Tuning._keep

    def interrupt(self) -> None:
        keep(self)
        raise KeyboardInterrupt

    monkeypatch.setattr(work_module._Tuning, "_keep", interrupt)
    with pytest.raises(KeyboardInterrupt):
        step.compress(whole, folder, folder)
    assert (folder / ".compress" / "0-filters-round-1.pt").is_file()
    epochs = []

    def note(self) -> None:
        epochs.append(self.epoch)
        keep(self)

    monkeypatch.setattr(work_module._Tuning, "_keep", note)
    step.compress(whole, folder, folder)
    assert epochs == [2]
    a, b = (torch.load(f / "compressed.pt", weights_only=True)["state"] for f in (folder, other))
    for name, value in a.items():
        assert torch.equal(value, b[name]), name


def test_rounds_end_at_the_budget(subject, work):
    spec = passes.Filters.model_validate({**FILTERS, "rounds": 2, "epochs": 0, "floor": 0.0})
    narrow, data = filters.apply(spec, subject, work)
    assert data["macs"] <= 0.6 * data["macs_before"]
    for entry in data["layers"]:
        assert entry["filters"] == len(entry["kept"]) == len(set(entry["kept"]))
        assert max(entry["kept"]) < entry["filters_before"]
    assert weight_bits(narrow.network) < weight_bits(subject.network)


def test_a_blob_is_the_subject(subject):
    subject.masks["segments.0.0.weight"] = torch.ones(4, 1, 3, 3, dtype=torch.bool)
    again = from_blob(subject.blob())
    assert again.masks.keys() == subject.masks.keys()
    for name, value in subject.network.state_dict().items():
        assert torch.equal(value, again.network.state_dict()[name])


def test_refusals_of_the_stored_network(tiny, folder):
    whole = with_passes(tiny, {**FILTERS, "epochs": 0})
    with pytest.raises(InputError, match=r"^compressed network .* must exist, got no such"):
        compression.load_network(whole, folder)
    step.compress(whole, folder, folder)
    assert isinstance(compression.load_network(whole, folder), MultiExitNetwork)
    other = with_passes(tiny, {**FILTERS, "epochs": 0, "budget": 0.5})
    with pytest.raises(InputError, match=r"^compressed network .* must be from this config"):
        compression.load_network(other, folder)
    (folder / "compressed.pt").write_bytes(b"x")
    with pytest.raises(InputError, match=r"^compressed network .* must be a whole one of schema 1"):
        compression.load_network(whole, folder)


def test_nothing_to_do_without_the_section(tiny, folder):
    with pytest.raises(InputError, match=r"^config tiny must have a section \[compress\] to be"):
        step.compress(tiny, folder, folder)


def test_scores_are_empty_tables_by_default():
    assert Scores().filters == {}


OWN = """
import torch
from brevitas.nn import QuantConv2d, QuantLinear, QuantReLU
from brevitas.quant import Int8WeightPerChannelFloat, Uint8ActPerTensorFloat


class Own(torch.nn.Module):
    def __init__(self):
        super().__init__()
        act = dict(act_quant=Uint8ActPerTensorFloat, bit_width=4)
        conv = dict(bias=False, weight_bit_width=4, weight_quant=Int8WeightPerChannelFloat)
        self.first = QuantConv2d(1, 4, 3, stride=2, padding=1, **conv)
        self.norm = torch.nn.BatchNorm2d(4)
        self.relu = QuantReLU(**act)
        self.second = QuantConv2d(4, 6, 3, padding=1, **conv)
        self.relu2 = QuantReLU(**act)
        self.heads = torch.nn.ModuleList(
            QuantLinear(n * 16, 10, bias=False, weight_bit_width=4) for n in (4, 6)
        )

    def forward(self, x):
        x = self.relu(self.norm(self.first(x)))
        y = self.relu2(self.second(x))
        return self.heads[0](x.flatten(1)), self.heads[1](torch.flatten(y, 1))
"""


def test_a_network_of_ones_own_gets_narrower(tiny, tmp_path):
    path = tmp_path / "net.py"
    path.write_text(OWN)
    model = tree.Model(source=f"python:{path}:Own", input=(8, 8, 1), classes=10)
    training = tiny.train.model_copy(update={"epochs": 1})
    whole = tiny.model_copy(update={"model": model, "train": training})
    whole = with_passes(whole, {**FILTERS, "criterion": "l1", "epochs": 0, "budget": 0.7})
    train(whole, tmp_path / "run", tmp_path)
    told: list[str] = []
    network = step.compress(
        whole, tmp_path / "run", tmp_path, progress=lambda d, n, text="": told.append(text)
    )
    assert re.fullmatch(
        r"\d\d% of the multiplications left, \d\d% of the weight bits left, [\d.]+% before and "
        r"[\d.]+% after of the validation images right",
        told[-1],
    )
    loaded = compression.load(tmp_path / "run" / "compressed.pt")
    shapes = {k: tuple(v.shape) for k, v in loaded.state_dict().items() if k.endswith("weight")}
    kept = shapes["norm.weight"][0], shapes["second.weight"][0]
    assert kept < (4, 6)
    assert shapes["second.weight"] == (kept[1], kept[0], 3, 3)
    assert shapes["heads.1.weight"] == (10, 16 * kept[1])
    images = torch.randint(0, 256, (3, 1, 8, 8)).float()
    for a, b in zip(network(images), loaded(images), strict=True):
        assert torch.equal(a, b)


def test_fine_tuning_is_on_the_device_of_the_training(work, tiny, monkeypatch):
    def device(name: str) -> str:
        train = tiny.train.model_copy(update={"device": name})
        return Work(tiny.model_copy(update={"train": train}), work.section, work.splits).device.type

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert [device(name) for name in ("auto", "cuda", "cpu")] == ["cuda", "cuda", "cpu"]
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert device("auto") == "cpu"
    with pytest.raises(
        InputError, match=r'^train\.device "cuda" must find a GPU that torch can use'
    ):
        device("cuda")
