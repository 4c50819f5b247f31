"""Shared weights: codebooks.npz beside the QONNX file, recorded in the accelerator graph.

The file counts the layers with weights in the order of the pipeline (segment 0, head 0, segment 1,
...): "<i>.codebook" (int8, ascending) and "<i>.indices" (uint8, shape of the layer's weight in
PyTorch). The compiled weights must be exactly what they stand for; both ways of a residual block
may come in another order.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from exeunt.errors import CheckFailed, InputError
from exeunt.graph import Accelerator, Dataflow, IntArray, Node
from exeunt.kernels.parts.weights import Weighted

NAME = "codebooks.npz"


def attach(accelerator: Accelerator, path: Path) -> Accelerator:
    """The accelerator with the codebooks in `path`; as it is when there is no such file.

    Raises:
        InputError: the file is damaged, or of a network with other layers.
        CheckFailed: the compiled weights are not those of the codebooks.
    """
    if not path.is_file():
        return accelerator
    stored = _read(path)
    matrices = [n for chain in accelerator.chains for n in chain.nodes if isinstance(n, Weighted)]
    arrays = dict(accelerator.arrays)
    changed: dict[str, Node] = {}
    for key in sorted(stored, key=lambda k: int(k)):
        book, indices = stored[key]
        if int(key) >= len(matrices):
            raise InputError(
                f"{path} must be of the compiled network with {len(matrices)} layers of weights, "
                f"got a codebook of layer {key}: export it again"
            )
        node, ordered, signs = _found(
            accelerator, [n for n in matrices if n.name not in changed], matrices[int(key)],
            book, indices, path,
        )  # fmt: skip
        changed[node.name] = dataclasses.replace(node, codebook=tuple(int(v) for v in book))
        arrays[f"{node.name}.indices"] = ordered
        if signs is not None:
            arrays[f"{node.name}.signs"] = signs

    def replaced(chain: Dataflow) -> Dataflow:
        nodes = tuple(changed.get(node.name, node) for node in chain.nodes)
        return dataclasses.replace(chain, nodes=nodes)

    return dataclasses.replace(
        accelerator,
        segments=tuple(replaced(c) for c in accelerator.segments),
        heads=tuple(replaced(c) for c in accelerator.heads),
        arrays=arrays,
    )


def summary(accelerator: Accelerator) -> dict[str, dict[str, Any]]:
    """Codebook, bits of an index and bits of all indices of every layer that shares weights."""
    found = {}
    for chain in accelerator.chains:
        for node in chain.nodes:
            if isinstance(node, Weighted) and node.codebook:
                count = int(accelerator.arrays[f"{node.name}.indices"].size)
                found[node.name] = {
                    "codebook": list(node.codebook),
                    "index_bits": node.index_bits,
                    "weight_bits": node.weight_bits,
                    "weights": count,
                }
    return found


def _read(path: Path) -> dict[str, tuple[IntArray, IntArray]]:
    try:
        with np.load(path, allow_pickle=False) as data:
            names = {name.partition(".")[0] for name in data.files}
            found = {n: (data[f"{n}.codebook"], data[f"{n}.indices"]) for n in names}
    except Exception as error:  # a damaged archive may raise anything
        raise InputError(
            f"{path} must hold a codebook and indices for each layer that shares weights, got "
            f"{type(error).__name__}: export it again"
        ) from error
    for name, (book, indices) in found.items():
        if not name.isdecimal() or not len(book) or int(indices.max(initial=0)) >= len(book):
            raise InputError(
                f"{path} must have indices below the size of each codebook, got one of {len(book)} "
                f"entries with the index {int(indices.max(initial=0))} in layer {name}: export it "
                "again"
            )
    return found


def _found(
    accelerator: Accelerator,
    left: Sequence[Weighted],
    expected: Weighted,
    book: IntArray,
    indices: IntArray,
    path: Path,
) -> tuple[Weighted, IntArray, IntArray | None]:
    """The expected node, or another one of its segment or head that has these weights."""
    (names,) = ({n.name for n in c.nodes} for c in accelerator.chains if expected in c.nodes)
    near = [node for node in left if node.name in names]
    near.sort(key=lambda node: node is not expected)
    refusal: CheckFailed | None = None
    for node in near:
        try:
            weights = accelerator.arrays[f"{node.name}.weights"]
            return node, *_matched(accelerator, node, weights, book, indices, path)
        except CheckFailed as error:
            refusal = refusal or error
    raise refusal or CheckFailed(
        f"{path} must have one codebook for each layer of {expected.name}'s part, got one more: "
        "export it again"
    )


def _matched(
    accelerator: Accelerator,
    node: Weighted,
    weights: IntArray,
    book: IntArray,
    indices: IntArray,
    path: Path,
) -> tuple[IntArray, IntArray | None]:
    """The indices in the order of the compiled weights, and the signs of the rows if any is -1.

    A batch norm with a negative factor turns the sign of its row when it becomes thresholds.
    Columns that see nothing but padding are not compiled; the others are found by their values.
    """
    wide = book.astype(np.int64)
    for ordered in _orders(accelerator, node, indices):
        if ordered.shape != weights.shape:
            continue
        values = wide[ordered]
        same, opposite = (values == weights).all(axis=1), (values == -weights).all(axis=1)
        if same.all():
            return ordered.astype(np.uint8), None
        if (same | opposite).all():
            return ordered.astype(np.uint8), np.where(same, 1, -1).astype(np.int8)
    if len(weights) == len(indices) and weights.size < indices.size:
        same, opposite = (np.isin(s * weights, wide).all(axis=1) for s in (1, -1))
        if (same | opposite).all():
            signs = np.where(same, 1, -1).astype(np.int8)
            found = np.searchsorted(wide, weights * signs[:, None]).astype(np.uint8)
            return found, None if same.all() else signs
    raise CheckFailed(
        f"{path} must stand for the compiled weights, got others for {node.name} of "
        f"{weights.shape[0]} x {weights.shape[1]} weights: export it again"
    )


def _orders(accelerator: Accelerator, node: Weighted, indices: IntArray) -> Iterator[IntArray]:
    """Indices (out, in, ky, kx) or (out, in) as rows in stream order, (ky, kx, c) innermost.

    The inputs of a linear layer are (c, y, x) of the map that was flattened, one of those in
    front of it.
    """
    rows = indices.shape[0]
    if indices.ndim == 4:
        yield indices.transpose(0, 2, 3, 1).reshape(rows, -1)
        return
    yield indices
    for shape in _shapes(accelerator, node):
        height, width, channels = shape
        if height * width > 1 and height * width * channels == indices.shape[1]:
            yield (
                indices.reshape(rows, channels, height, width)
                .transpose(0, 2, 3, 1)
                .reshape(rows, -1)
            )


def _shapes(accelerator: Accelerator, node: Weighted) -> Iterator[tuple[int, int, int]]:
    for chain in accelerator.chains:
        if node in chain.nodes:
            yield chain.input.shape
            yield from (n.output.shape for n in chain.nodes)
