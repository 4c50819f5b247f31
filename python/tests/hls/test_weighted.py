"""A config with the integers of its trained network: what the compiler finds, without FINN."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from exeunt.config import tree as configuration
from exeunt.hls import compile as compiler
from exeunt.hls.optimised import Unfolded
from exeunt.hls.weighted import weighted
from exeunt.kernels.layer import Matrix
from exeunt.qonnx.exits import parts

pytestmark = pytest.mark.usefixtures("finn")

CONFIG = configuration.parse("""
name = "tiny"
[data]
dataset = "digits"
[model]
input = [8, 7, 1]
classes = 3
[[model.stages]]
blocks = [{ conv = 6, kernel = 3 }]
[[model.stages]]
blocks = [{ conv = 8, kernel = 3 }]
[compile]
target_cycles = 60
""")


@pytest.fixture(scope="module")
def network(two_exits: Callable[..., Path], tmp_path_factory: pytest.TempPathFactory) -> Any:
    path = two_exits(tmp_path_factory.mktemp("tiny"), (8, 7, 1), 6, 8)
    return compiler.read_network(path, config=CONFIG)


def matrices(source: Unfolded) -> list[Matrix]:
    lists = [*source.segments, *source.heads]
    return [layer for layers in lists for layer in layers if isinstance(layer, Matrix)]


def test_the_layers_have_the_integers_that_the_compiler_finds(network: Any) -> None:
    read = matrices(Unfolded.read(network, name="tiny"))
    bare = matrices(Unfolded.described(CONFIG.model))
    found = matrices(Unfolded.described(CONFIG.model, network.integers))
    assert len(found) == len(read) == 4
    assert not any(layer.arrays for layer in bare)
    for mine, theirs in zip(found, read, strict=True):
        assert sorted(mine.arrays) == sorted(theirs.arrays)
        for name, array in theirs.arrays.items():
            assert np.array_equal(mine.arrays[name], array), (mine.where, name)
        for name in ("accumulator", "levels", "bias", "source", "result"):
            assert getattr(mine, name) == getattr(theirs, name), (mine.where, name)


def test_constants_of_logits_are_known_too(network: Any) -> None:
    head = parts(network.integers)[1]
    layers = Unfolded.described(CONFIG.model).heads[0]
    plain = weighted(layers, head)[-1]
    matrix = dataclasses.replace(head.operations[-1], offsets=np.array([-100, 0, 300]))
    found = weighted(layers, dataclasses.replace(head, operations=(*head.operations[:-1], matrix)))
    assert found[-1].arrays["offsets"].tolist() == [-100, 0, 300]
    assert found[-1].result.max >= plain.result.max
    assert found[-1].result.min <= plain.result.min
    assert found[-1].result == found[-1].accumulator


def test_layers_of_another_network_stay_without_integers(
    network: Any, two_exits: Callable[..., Path], tmp_path: Path
) -> None:
    other = compiler.read_network(two_exits(tmp_path, (8, 7, 1), 5, 8), config=CONFIG)
    layers = Unfolded.described(CONFIG.model).segments[0]
    first, second = (parts(n.integers)[0] for n in (network, other))
    assert weighted(layers, first)[0].arrays
    assert weighted(layers, second) == layers
    assert not weighted(layers, second)[0].arrays
    twice = dataclasses.replace(first, operations=first.operations * 2)
    assert not weighted(layers, twice)[0].arrays
    (matrix, threshold) = first.operations
    for operations in ((matrix,), (matrix, dataclasses.replace(threshold, flat=True))):
        assert not weighted(layers, dataclasses.replace(first, operations=operations))[0].arrays
