"""A matrix-vector unit, `ex_mvu`: y = W x, then thresholds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import numpy.typing as npt

from exeunt.graph import IntArray, Integer, Stream
from exeunt.kernels.kind import Arrays, Effort, Fast, Kind, Product
from exeunt.kernels.layer import Fold, Levels, Style, Windows, divisors
from exeunt.kernels.layer import Matrix as MatrixLayer
from exeunt.kernels.lowering import Lowering
from exeunt.kernels.mvu.products import operands, parts, searched, unit
from exeunt.kernels.mvu.stalls import Unit, solve
from exeunt.kernels.parts import back as backwards
from exeunt.kernels.parts import levels
from exeunt.kernels.parts.fast import Floats, Matrix, Step, paired
from exeunt.kernels.parts.fifo import LONG_AGO, Cycles, spaced
from exeunt.kernels.parts.levels import narrow
from exeunt.kernels.parts.size import Size
from exeunt.kernels.parts.turns import Search
from exeunt.kernels.parts.weights import Weighted
from exeunt.kernels.registry import foldings as foldings_of
from exeunt.kernels.registry import register

PAIRED = 64  # elements of a vector from which on two frames at once take less time


@dataclass(frozen=True)
class Mvu(Weighted):
    """Matrix-vector unit: y = W x for each of the H*W vectors, SIMD = input, PE = output lanes.

    Arrays: `weights` (MH, MW), see `Weighted`; with `levels` > 0 also `thresholds` (MH, levels),
    ascending, and y = bias + #{t : acc >= t}; otherwise y = acc, with `offset` y = acc + the array
    `offsets` (MH,).

    With `groups` a pixel has so many vectors of MW elements, and vector g has rows g * MH / groups
    and on. They follow each other, `together` of them side by side: a word of input has SIMD
    elements of each, and PE = MH / groups * together.

    `multiplier` says what multiplies: "lut", "dsp", "packed" for DSPs that lanes share (not of a
    signed input), or "" for what the synthesis tool likes.
    """

    kind: ClassVar[str] = "mvu"
    accumulator: Integer = field(default=Integer(32, signed=True))
    levels: int = 0
    bias: int = 0
    offset: bool = False
    groups: int = 1
    together: int = 1
    multiplier: Style = ""

    @property
    def simd(self) -> int:
        """Elements of a vector in a word."""
        return self.input.lanes // self.together

    @property
    def search(self) -> int:
        """Lanes that search thresholds, 0 without thresholds."""
        if not self.levels:
            return 0
        return searched(pe=self.output.lanes, steps=folds(self)[1], levels=self.levels)

    @property
    def behind(self) -> Search:
        """What output words go through behind the accumulators."""
        return Search.of(self.levels, lanes=self.output.lanes, searching=self.search)


def parted(node: Mvu, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Vectors (n, groups, MW), for vectors (n, groups * MW) in the order of the stream."""
    order = x.reshape(len(x), node.groups // node.together, -1, node.together, node.simd)
    return order.transpose(0, 1, 3, 2, 4).reshape(len(x), node.groups, -1)


def product(node: Mvu, weights: IntArray, x: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """W x of vectors (n, groups * MW) in the order of the stream: (n, MH), type of x."""
    if node.groups == 1:
        return np.asarray(x @ np.ascontiguousarray(weights.T, dtype=x.dtype))
    of_groups = weights.reshape(node.groups, -1, weights.shape[1]).transpose(0, 2, 1)
    y = np.matmul(parted(node, x).transpose(1, 0, 2), of_groups.astype(x.dtype))
    return np.asarray(y.transpose(1, 0, 2).reshape(len(x), -1))


def values(node: Mvu, arrays: Arrays, x: IntArray) -> IntArray:
    """Y = W x (+ offsets) of each vector by exact BLAS; with levels, y = bias + #{t : W x >= t}.

    Args:
        node: the kernel.
        arrays: `weights`, integers (MH, MW); with levels `thresholds`, integers (MH, levels); with
            offset `offsets`, integers (MH,).
        x: integers (N, H, W, groups * MW) within `node.input.dtype`.

    Returns:
        (N, H, W, MH) in the smallest NumPy type for `node.output.dtype`.
    """
    weights, dtype = arrays["weights"], node.input.dtype
    flat = np.asarray(x).reshape(-1, node.groups * weights.shape[1])
    row = np.abs(weights.astype(np.int64)).sum(axis=1).max(initial=0)
    bound = int(row) * max(-dtype.min, dtype.max)
    exact = np.float32 if bound < 1 << 24 else np.float64
    assert bound < 1 << 53, "beyond the integers of a float64"
    y = product(node, weights, flat.astype(exact))
    if node.offset:
        y = y.astype(np.float64) + arrays["offsets"]
    if node.levels:
        y = levels.count(
            y,
            arrays["thresholds"],
            bias=node.bias,
            output=node.output.dtype,
            low=-bound,
            high=bound,
        )
    return y.astype(narrow(node.output.dtype), copy=False).reshape(-1, *node.output.shape)


def folds(node: Mvu) -> tuple[int, int]:
    """(NF, SF): output words and input words of a vector, or of the vectors side by side."""
    mw, mh = node.input.elements, node.output.elements
    rounds = vectors(node) * node.groups // node.together
    return mh // rounds // node.output.lanes, mw // rounds // node.input.lanes


def resume(
    node: Mvu, past: Cycles | None, offered: Cycles, ready: Cycles | None = None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles of `ex_mvu`; exact, also under stalls.

    Step nf * SF + sf of a vector is started in a cycle of its own: in the first pass (nf = 0) one
    cycle after input word sf was taken or later, then without a gap. An input word is taken when
    its room, that of the word 2 * SF before (2 where NF = 1), was read for the last time at least
    one cycle ago. With R = `operands` registers in front of the accumulator, output word nf is
    offered R + 1 cycles after its last step, with thresholds ceil(log2(levels + 1)) + 1 more. Where
    lanes take turns at the thresholds, the word goes through a converter to fewer lanes and one
    back, which takes T + 1 cycles more for T turns. Every register closes up behind a result that
    waits.

    Args:
        node: the kernel.
        past: what an earlier call returned as its past; None: the kernel is empty.
        offered: int64 (n,), first cycle in which input word k can be valid; whole vectors.
        ready: int64 (n / SF * NF,), first cycle in which output word m is accepted; None: always.

    Returns:
        takes int64 (n,), gives int64 (n / SF * NF,), and the past for the frames that follow.
    """
    nf, sf = folds(node)
    before = operands(node.simd, signs=node.signs)  # registers in front of the accumulator
    search = node.behind
    found = Unit(nf, sf, before, search)
    room = found.room
    offered = np.asarray(offered, np.int64)
    if past is None:
        past = np.full(3 + room + before + search.length, LONG_AGO, np.int64)
    if ready is None and (past < offered[:1]).all():
        takes, steps, gives = _free(offered.reshape(-1, sf), nf, before + 1 + search.latency)
        last = steps[-1, -1]
        read, left = past[3 : 3 + room], past[3 + room + before :]
        after = [
            [takes[-1], last, last + before + 1],
            np.concatenate([read, steps.reshape(-1)])[-room:],
            last + before - np.arange(before)[::-1],
            search.after(left, gives),
        ]
        return takes, gives, np.concatenate(after)
    return solve(found, past, offered, ready)


def _free(offered: Cycles, nf: int, latency: int) -> tuple[Cycles, Cycles, Cycles]:
    """The same from empty and without a stall: takes, steps (vectors, sf) of the last pass, gives.

    Words that wait for room never delay a step: the steps of the vector before last longer.
    """
    sf = offered.shape[1]
    early = spaced(offered.reshape(-1))
    if nf == 1:
        steps = spaced(early + 1).reshape(-1, sf)
        return early, steps, steps[:, -1] + latency
    first_pass = (early.reshape(-1, sf) + np.arange(sf, 0, -1)).max(axis=1)  # were all else idle
    period = np.arange(len(offered), dtype=np.int64) * nf * sf
    end = np.maximum.accumulate(first_pass + (nf - 1) * sf - period) + period
    earliest = offered.copy()
    earliest[2:] = np.maximum(earliest[2:], end[:-2, None] - sf + 2 + np.arange(sf))
    passes = end[:, None] - sf * np.arange(nf - 1, -1, -1)
    steps = end[:, None] - np.arange(sf - 1, -1, -1)
    return spaced(earliest.reshape(-1)), steps, passes.reshape(-1) + latency


def extremes(weights: IntArray, dtype: Integer) -> tuple[int, int]:
    """Smallest and largest W x for integers x of `dtype`."""
    positive, negative = np.maximum(weights, 0).sum(axis=1), np.minimum(weights, 0).sum(axis=1)
    low = positive * dtype.min + negative * dtype.max
    high = positive * dtype.max + negative * dtype.min
    return int(low.min()), int(high.max())


def bound(node: Mvu, arrays: Arrays) -> int:
    """No sum of products is larger, in whatever order they are added; see `Fast.bound`."""
    rows = np.abs(arrays["weights"].astype(np.int64)).sum(axis=1)
    most = int(rows.max()) * max(-node.input.dtype.min, node.input.dtype.max)
    return most + (int(np.abs(arrays["offsets"]).max()) if node.offset else 0)


def dense(node: Mvu) -> bool:
    """Whether every row sees the whole vector."""
    return node.groups == 1


class _Groups:
    """Each vector by its own rows."""

    def __init__(self, node: Mvu, weights: IntArray, dtype: np.dtype[Any]) -> None:
        self._node, self._weights = node, weights.astype(dtype)

    def __call__(self, x: Floats) -> Floats:
        """(n, elements in) -> (n, elements out)."""
        flat = x.reshape(len(x) * vectors(self._node), -1)
        return product(self._node, self._weights, flat).reshape(len(x), -1)


def steps(node: Mvu, arrays: Arrays, dtype: np.dtype[Any], front: Product | None) -> list[Step]:
    """A product and one lookup; see `Fast.steps`."""
    weights = arrays["weights"].astype(np.int64)
    if node.groups > 1:
        found: list[Step] = [_Groups(node, weights, dtype)]
    elif front is None:
        found = [Matrix(weights, node.output.elements, dtype)]
    else:
        found = [front(weights, dtype)]
    low, high = span = extremes(weights, node.input.dtype)
    if dense(node) and columns(node) >= PAIRED:
        found = [paired(found[0], dtype, most=max(-low, high), bound=bound(node, arrays))]
    if node.offset:
        offsets = np.tile(arrays["offsets"], vectors(node)).astype(dtype)
        found.append(lambda x: x + offsets)
    if node.levels:
        found.append(
            levels.step(
                arrays["thresholds"],
                node.output.elements,
                bias=node.bias,
                output=node.output.dtype,
                span=span,
                dtype=dtype,
            )
        )
    return found


def size(node: Mvu, dsp: bool) -> Size:
    """The unit of a node; see `Kind.size`."""
    return unit(
        rows=node.output.shape[2],
        columns=columns(node),
        simd=node.simd,
        pe=node.output.lanes,
        in_bits=node.input.dtype.bits,
        weight_bits=node.weight_bits,
        signs=node.signs,
        acc_bits=node.accumulator.bits,
        levels=node.levels,
        groups=node.groups,
        dsp=dsp,
        multiplier=node.multiplier,
    )


def vectors(node: Mvu) -> int:
    """Pixels of a frame, each with a vector for each group."""
    return node.output.shape[0] * node.output.shape[1]


def columns(node: Mvu) -> int:
    """MW, the elements of a vector."""
    return node.input.elements // vectors(node) // node.groups


def effort(node: Mvu) -> Effort:
    """MH * MW / (PE * SIMD) cycles a vector; see `Kind.effort`."""
    nf, sf = folds(node)
    weights = node.output.shape[2] * columns(node)
    return Effort(
        period=vectors(node) * node.groups // node.together * nf * sf,
        multiplies=weights * vectors(node),
        multipliers=node.simd * node.output.lanes,
        weight_bits=weights * node.weight_bits,
    )


def stages(node: Mvu) -> int:
    """Registers in front of the accumulator, itself, the room for the input, and the search."""
    return operands(node.simd, signs=node.signs) + 2 + node.behind.latency


def windows(layer: MatrixLayer, together: int = 1, *, parallel: bool = False) -> Windows:
    """What stands in front of the matrix of a convolution with so many groups side by side.

    A serial window gives the channels of these groups element by element, a parallel one gives
    the vectors of all groups one behind the other.
    """
    shape = (*layer.output[:2], layer.groups * layer.columns)
    return Windows(
        layer.input, layer.source, shape, layer.source, window=layer.window, finn=layer.finn[:-1],
        blocks=layer.groups if parallel else layer.groups // together,
    )  # fmt: skip


def side_by_side(layer: MatrixLayer, pe: int) -> int:
    """Groups whose rows make a word of `pe` lanes, 1 where the rows of a group are no fewer."""
    return max(1, pe * layer.groups // layer.rows)


def back(node: Mvu, arrays: Arrays) -> tuple[tuple[backwards.Part, ...], ...]:
    """The product, then the slope of the thresholds; see `Kind.back`."""
    weights = np.asarray(arrays["weights"], np.int64)
    rows, width = weights.shape
    spread = weights
    if node.groups > 1:
        seen = parted(node, np.arange(node.groups * width)[None])[0]  # columns of each group
        spread = np.zeros((rows, node.groups * width), np.int64)
        for row, values in enumerate(weights):
            spread[row, seen[row * node.groups // rows]] = values
    product = backwards.Product(spread, node.groups)
    if not node.levels:
        return ((product,),)
    dtype = node.input.dtype
    low = (np.maximum(weights, 0) * dtype.min + np.minimum(weights, 0) * dtype.max).sum(axis=1)
    high = (np.maximum(weights, 0) * dtype.max + np.minimum(weights, 0) * dtype.min).sum(axis=1)
    probe = backwards.probe(node)
    steps = backwards.Steps(arrays["thresholds"], low, high, probe, node.bias)
    return ((product, steps),)


def foldings(layer: MatrixLayer) -> Iterator[Fold]:
    """PE divides the rows and SIMD the columns; with a window each of its foldings that fits.

    Up to the channels a serial window gives SIMD lanes itself; beyond, it feeds a widening
    converter, or the parallel window gives a whole window a beat and a converter narrows it. All
    of this of each group; besides, several groups may go side by side, unfolded but for the
    elements of a window.
    """
    for pe in divisors(layer.rows // layer.groups):
        for simd in divisors(layer.columns):
            yield from _foldings(layer, pe, simd)
    rows, channels = layer.rows // layer.groups, layer.input[2] // layer.groups
    for together in divisors(layer.groups)[1:]:
        for simd in sorted({channels, layer.columns}):
            yield from _foldings(layer, rows * together, simd)


def _foldings(layer: MatrixLayer, pe: int, simd: int) -> Iterator[Fold]:
    """Those with so many lanes, SIMD of each group."""
    together = side_by_side(layer, pe)
    lanes, channels = together * simd, layer.input[2] // layer.groups
    period = layer.vectors * (layer.rows // pe) * (layer.columns // simd)
    area = 4 * pe + lanes
    if layer.window is None:
        yield Fold(lanes, pe, period=period, multipliers=pe * simd, area=area)
        return
    for parallel in (False, True):
        if parallel and (simd > channels or channels % simd):
            inside, size = int(lanes < layer.groups * layer.columns), 2 * layer.columns
        elif not parallel and (together == 1 or simd == channels):
            inside, size = 0, 0
        else:
            continue
        for front in foldings_of(windows(layer, together, parallel=parallel)):
            if front.parallel != parallel or (not parallel and lanes % front.simd):
                continue
            yield Fold(
                lanes,
                pe,
                window=front.simd,
                parallel=parallel,
                period=max(period, front.period),
                multipliers=pe * simd,
                converters=inside if parallel else int(front.simd < lanes),
                area=area + front.simd + size * layer.groups,
            )


def lower(lowering: Lowering, layer: MatrixLayer, fold: Fold) -> None:
    """The window of a convolution, the unit, and its thresholds where they are not part of it."""
    shape = (*layer.output[:2], layer.groups * layer.columns)
    finn = layer.finn[-1:]
    together = side_by_side(layer, fold.pe)
    if layer.window is not None:
        lanes = shape[2] if fold.parallel else fold.window
        front = windows(layer, together, parallel=fold.parallel)
        lowering.lower(front, Fold(fold.window, lanes, parallel=fold.parallel))
        lowering.adapt(shape, fold.simd, finn)
    alone = layer.levels > 0 and not lowering.fused
    dtype = layer.result if layer.levels and not alone else layer.accumulator
    wanted = ("weights",) if alone else ("weights", "thresholds", "offsets")
    lowering.add(
        Mvu(
            lowering.label(Mvu.kind),
            Stream(shape, layer.source, fold.simd),
            Stream(layer.output, dtype, fold.pe),
            finn=finn,
            weight_bits=layer.weight_bits,
            signs=layer.signs,
            accumulator=layer.accumulator,
            levels=0 if alone else layer.levels,
            bias=0 if alone else layer.bias,
            offset="offsets" in layer.arrays,
            groups=layer.groups,
            together=together,
            multiplier="" if layer.signs else fold.multiplier,
        ),
        {key: layer.arrays[key] for key in wanted if key in layer.arrays},
    )
    if alone:
        behind = Levels(
            layer.output, layer.accumulator, layer.output, layer.result, levels=layer.levels,
            bias=layer.bias, finn=finn, arrays={"thresholds": layer.arrays["thresholds"]},
        )  # fmt: skip
        lowering.lower(behind, Fold(fold.pe, fold.pe))


register(
    Kind(
        node=Mvu,
        values=values,
        resume=resume,
        size=size,
        layer=MatrixLayer,
        foldings=foldings,
        lower=lower,
        effort=effort,
        stages=stages,
        parts=parts,
        fast=Fast(steps=steps, bound=bound, takes_product=dense),
        back=back,
    )
)
