"""Preprocessing, chosen outputs, and logits with one offset: what a config says beside a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt.config import tree
from exeunt.errors import InputError
from exeunt.hls.front import finn_env, limits, shadow
from exeunt.qonnx import file, meaning
from exeunt.quant.network.qonnx_graph import GraphNetwork, load_graph
from exeunt.quant.network.source import Preprocessed

SHAPE = (6, 6, 2)
IMAGES = np.random.default_rng(3).integers(0, 256, (5, *SHAPE)).astype(np.uint8)
TABLE = "preprocess = { scale = 0.00392156862745098, mean = [0.4, 0.55], std = [0.25] }"


def model(text: str, source: str = "qonnx:x.onnx") -> tree.Model:
    return tree.parse(
        f'name = "n"\n[data]\ndataset = "digits"\n[model]\nsource = "{source}"\n'
        f"input = [6, 6, 2]\nclasses = 3\n{text}\n"
    ).model


def executed(path: Path, images: np.ndarray) -> dict[str, np.ndarray]:
    """What QONNX gives for float images (N, H, W, C), by output."""
    with finn_env.quiet():
        from qonnx.core.modelwrapper import ModelWrapper
        from qonnx.core.onnx_exec import execute_onnx
        from qonnx.transformation.infer_shapes import InferShapes

        found = ModelWrapper(str(path)).transform(InferShapes())
        runs = [execute_onnx(found, {"image": x.transpose(2, 0, 1)[None].astype(np.float32)})
                for x in images]  # fmt: skip
    return {o.name: np.concatenate([r[o.name] for r in runs]) for o in found.graph.output}


def normalised(b: Any, zero: float = 0.0) -> Any:
    """Images of mean 0 and spread 1, a quantizer on them, padding behind it, a shift at the end."""
    b.variance["image"] = 1.0
    x = b.quant("image", 5, signed=True, scale=0.125, zero=zero)
    x = b.conv(x, 4, pad=1)
    b.exit(b.linear(x, 3))
    y = b.linear(b.conv(x, 4), 3)
    b.exit(b.node("Add", y, b.constant(0.3), shape=b.shapes[y]))
    return b


@pytest.mark.parametrize("zero", [0.0, 7.0])
def test_normalised_images_mean_what_the_file_says(
    zero: float, builder: type, tmp_path: Path
) -> None:
    path = normalised(builder(SHAPE), zero).save(tmp_path / "model.onnx")
    table = model(TABLE).preprocess
    graph = file.load(path, preprocess=table)
    network = meaning.integers(graph)
    limits.parts(network)
    floats = (IMAGES * np.float32(1 / 255) - np.array([0.4, 0.55], np.float32)) / 0.25
    for e, got, want in zip(
        network.exits, network.logits(IMAGES), executed(path, floats).values(), strict=True
    ):
        assert np.abs(got * e.scale + e.offset - want).max() < 0.01 * e.scale
        assert np.ptp(got, axis=0).any()
    assert [round(e.offset, 6) for e in network.exits] == [0.0, 0.3]
    shadow.check(graph, network, network.tensors(IMAGES))
    # written with the preprocessing inside, it takes 0..255 and needs none
    again = file.read(file.to_model(graph), "again")
    for a, b in zip(network.logits(IMAGES), meaning.integers(again).logits(IMAGES), strict=True):
        assert np.array_equal(a, b)


def test_the_torch_network_has_it_too(builder: type, tmp_path: Path) -> None:
    import torch

    path = normalised(builder(SHAPE)).save(tmp_path / "model.onnx")
    table = model(TABLE).preprocess
    images = torch.from_numpy(IMAGES.transpose(0, 3, 1, 2).astype(np.float32))
    plain = GraphNetwork(file.load(path))
    found = GraphNetwork(load_graph(path, preprocess=table))(images)
    behind = Preprocessed(plain, table, channels=2)(images)
    floats = (IMAGES * np.float32(1 / 255) - np.array([0.4, 0.55], np.float32)) / 0.25
    for a, b, c in zip(found, behind, executed(path, floats).values(), strict=True):
        assert np.abs(a.numpy() - c).max() < 1e-4
        assert np.abs(b.numpy() - c).max() < 1e-4


def test_outputs_are_chosen_and_ordered_by_name(builder: type, tmp_path: Path) -> None:
    import onnx

    b = builder(SHAPE)
    x = b.conv("image", 4, pad=1)
    for _ in range(3):
        b.exit(b.linear(x, 3))
        x = b.conv(x, 4, pad=1)
    path = b.save(tmp_path / "model.onnx")
    found = onnx.load(path)
    for index, name in enumerate(("early", "late", "middle")):
        old = f"exit{(0, 2, 1)[index]}"
        for node in found.graph.node:
            node.output[:] = [name if n == old else n for n in node.output]
        next(o for o in found.graph.output if o.name == old).name = name
    onnx.save(found, path)
    network = meaning.integers(file.load(path, exits=("early", "late")))
    assert [e.output for e in network.exits] == ["early", "late"]
    with pytest.raises(InputError) as error:
        file.load(path, exits=("early", "last"))
    assert str(error.value) == (
        f"{path}: model.exits must name outputs of the file, early, middle, late, got last: "
        "change it"
    )
    with pytest.raises(InputError) as error:
        meaning.integers(file.load(path, exits=("late", "early")))
    assert str(error.value) == (
        f"{path}: the exits must be ordered by depth but exit 1 can answer before exit 0; "
        "give its logits first"
    )


@pytest.mark.parametrize(
    ("text", "source", "sentence"),
    [
        (TABLE, "config", 'model.preprocess must be absent when source is "config", whose network'),
        (
            "preprocess = { mean = [1.0, 2.0, 3.0] }",
            "qonnx:x.onnx",
            "model.preprocess.mean must have one entry or one for each of 2 channels, got 3",
        ),
        (
            "preprocess = { std = [0.0] }",
            "qonnx:x.onnx",
            "model.preprocess.std[0] must be at least 0.000000001, got 0.0: change it",
        ),
        (
            "preprocess = { scales = 1.0 }",
            "qonnx:x.onnx",
            "key 'model.preprocess.scales' must be a known one, got 'scales': did you mean 'scale'",
        ),
        (
            'exits = ["a", "a"]',
            "qonnx:x.onnx",
            "model.exits must name each output once, got ['a', 'a']",
        ),
        (
            'exits = ["a"]',
            "python:x.py:Net",
            'model.exits must be absent unless source is "qonnx:...", got 1 names',
        ),
    ],
)
def test_what_a_config_may_not_say(text: str, source: str, sentence: str) -> None:
    stages = "[[model.stages]]\nblocks = [{ conv = 4 }]" if source == "config" else ""
    with pytest.raises(InputError) as error:
        model(f"{text}\n{stages}", source)
    assert sentence in str(error.value)
