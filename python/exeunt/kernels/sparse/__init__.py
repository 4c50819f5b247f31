"""A matrix-vector unit that a schedule drives, `ex_sparse`: zeros left out, weights shared."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from exeunt.graph import Stream
from exeunt.kernels import mvu, registry
from exeunt.kernels.kind import Effort, Fast, Kind
from exeunt.kernels.layer import Fold, Matrix, Style, divisors
from exeunt.kernels.lowering import Lowering
from exeunt.kernels.mvu.products import MIN_BITS, searched
from exeunt.kernels.parts.fifo import LONG_AGO, Cycles
from exeunt.kernels.parts.size import Size
from exeunt.kernels.parts.turns import Passing, Search
from exeunt.kernels.sparse import codebook, schedule
from exeunt.kernels.sparse.codebook import Codebook
from exeunt.kernels.sparse.size import GROUP, parts, unit

STYLES: tuple[Style, ...] = ("scheduled", "codebook")


@dataclass(frozen=True)
class Sparse(mvu.Mvu):
    """y = W x by a schedule; arrays, thresholds and values are those of a matrix-vector unit.

    Attributes:
        block: neighbours in a row that are left out together where all are zero.
        banks: of lanes side by side that see the same block; 0: no block is left out.
        lengths: steps of each word of output of a vector.
        queue: words of output that may be incomplete at once.
        centroids: numbers that the weights are indices of, none where weights are stored.
        negates: whether rows may be times -1.
    """

    kind: ClassVar[str] = "sparse"
    block: int = 1
    banks: int = 1
    lengths: tuple[int, ...] = (1,)
    queue: int = 1
    centroids: tuple[int, ...] = ()
    negates: bool = False

    @property
    def search(self) -> int:
        """Lanes that search thresholds, 0 without thresholds."""
        if not self.levels:
            return 0
        return searched(pe=self.output.lanes, steps=min(self.lengths), levels=self.levels)

    @property
    def behind(self) -> Search:
        """What output words go through behind the accumulators."""
        return Search.of(self.levels, lanes=self.output.lanes, searching=self.search)

    @property
    def steps(self) -> int:
        """Of a vector."""
        return sum(self.lengths)

    @property
    def stored_bits(self) -> int:
        """Of a weight, or of its index."""
        return codebook.index_bits(len(self.centroids)) if self.centroids else self.weight_bits


def registers(node: Sparse) -> int:
    """In front of the accumulators."""
    return 3 + (node.block > GROUP) + bool(node.centroids)


def stages(node: Sparse) -> int:
    """Registers in front of the accumulators, these, the room for the input, and the search."""
    return registers(node) + 2 + node.behind.latency


def words(node: Sparse) -> int:
    """Of a vector of input."""
    return mvu.columns(node) // node.input.lanes


def resume(
    node: Sparse, past: Cycles | None, offered: Cycles, ready: Cycles | None = None
) -> tuple[Cycles, Cycles, Cycles]:
    """Transfer cycles of `ex_sparse`; exact, also under stalls.

    A word of input is taken when its half of the room is free, that is when the last step of the
    vector before the last has left the first register; the first step of a vector is started one
    cycle after its last word was taken or later, the others in cycles of their own behind it. The
    word of output that a step completes is offered `registers` + 1 cycles after it, with thresholds
    ceil(log2(levels + 1)) + 1 more, and T + 1 more where lanes search them in T turns. Every
    register closes up behind a result that waits.

    Args:
        node: the kernel.
        past: what an earlier call returned as its past; None: the kernel is empty.
        offered: int64 (n,), first cycle in which input word k can be valid; whole vectors.
        ready: int64 (m,), first cycle in which output word m is accepted; None: always.

    Returns:
        takes int64 (n,), gives int64 (m,), and the past for the frames that follow.
    """
    size, operands = words(node), registers(node)
    search = node.behind
    offered = np.asarray(offered, np.int64)
    if past is None:
        past = np.full(5 + operands + search.length, LONG_AGO, np.int64)
    # last word taken, last step started, last result that left the accumulators; when the last two
    # halves were free; when the last steps went into the accumulators; those of results
    ends, halves, enter, left = np.split(past, (3, 5, 5 + operands))
    if ready is None and (past < offered[:1]).all():
        takes, starts, gives = _free(node, offered.reshape(-1, size), operands + 1 + search.latency)
        last = int(starts[-1]) + node.steps - 1
        after = [
            np.array([takes[-1], last, last + operands + 1], np.int64),
            np.concatenate([halves, starts + node.steps])[-2:],
            last + operands - np.arange(operands)[::-1],
            search.after(left, gives),
        ]
        return takes, gives, np.concatenate(after)
    taken, last, leave = ends.tolist()
    free, entered = halves.tolist(), enter.tolist()
    passing = Passing(search, left.tolist())
    leaves: list[int] = []
    offers = offered.tolist()
    count = len(offers) // size
    accepts = (
        [int(LONG_AGO)] * (count * len(node.lengths))
        if ready is None
        else np.asarray(ready).tolist()
    )
    entries: list[int] = []
    for vector in range(count):
        for word in range(size):
            taken = max(offers[vector * size + word], taken + 1, free[vector] + 1)
            entries.append(taken)
        last = max(last, taken)
        for length in node.lengths:
            for step in range(min(length, operands)):
                last = max(last + 1, entered[-operands])
                enters = max(last + operands, entered[-1] + 1)
                entered.append(enters if step else max(enters, leave))
            if length > operands:  # the steps that are left follow without a gap
                rest = length - operands
                enters = entered[-1]
                entered.extend(range(enters + max(1, rest - operands + 1), enters + rest + 1))
                last = enters + rest - operands
            leave = max(entered[-1] + 1, leave + 1)
            leave, given = passing.word(leave, accepts[len(leaves)])
            leaves.append(given)
            del entered[:-operands]
        free.append(max(last + 1, entered[-operands]))
    state = np.array([taken, last, leave, *free[-2:], *entered, *passing.state()], np.int64)
    return np.array(entries, np.int64), np.array(leaves, np.int64), state


def _free(node: Sparse, offered: Cycles, latency: int) -> tuple[Cycles, Cycles, Cycles]:
    """The same from empty and without a stall: takes, first step of each vector, gives."""
    size, steps = offered.shape[1], node.steps
    earliest = offered - np.arange(size)
    whole = (earliest.max(axis=1) + size - 1).tolist()  # were all else idle
    begins, starts = [], []
    taken = start = int(LONG_AGO)
    free = [taken, taken]
    for vector, last in enumerate(whole):
        begins.append(max(taken, free[vector]) + 1)
        taken = max(last, begins[-1] + size - 1)
        start = max(taken + 1, start + steps)
        starts.append(start)
        free.append(start + steps)
    first = np.maximum(earliest, np.array(begins, np.int64)[:, None])
    takes = np.maximum.accumulate(first, axis=1) + np.arange(size)
    found = np.array(starts, np.int64)
    gives = found[:, None] + np.cumsum(node.lengths) - 1 + latency
    return takes.reshape(-1), found, gives.reshape(-1)


def period(steps: int, size: int, vectors: int) -> int:
    """Cycles from frame to frame: by steps, words and how long a half of the room is taken."""
    return max(vectors * max(steps, size), -(-vectors * (steps + size + 1) // 2))


def effort(node: Sparse) -> Effort:
    """The schedule of each vector; see `Kind.effort`."""
    count = mvu.vectors(node)
    weights = node.steps * node.output.lanes * node.block
    return Effort(
        period=period(node.steps, words(node), count),
        multiplies=weights * count,
        multipliers=node.output.lanes * node.block,
        weight_bits=weights * node.stored_bits,
    )


def size(node: Sparse, dsp: bool) -> Size:
    """The unit of a node; see `Kind.size`."""
    return unit(**_shape(node), levels=node.levels, search=node.search, dsp=dsp)


def foldings(layer: Matrix) -> Iterator[Fold]:
    """Those of a matrix whose weights are known, with blocks left out and with shared weights.

    Words of input are as narrow as keeps up with the schedule.
    """
    if layer.groups > 1 or "offsets" in layer.arrays or "weights" not in layer.arrays:
        return
    weights = np.asarray(layer.arrays["weights"])
    book = codebook.of(weights)
    dense: dict[tuple[int, int], list[Fold]] = {}
    for fold in registry.foldings(layer):
        dense.setdefault((fold.pe, fold.simd), []).append(fold)
    fronts = _fronts(layer)
    for block in divisors(layer.columns):
        blocks = schedule.used(weights, block)
        lanes_in = [n * block for n in divisors(layer.columns // block)]
        for pe in divisors(layer.rows):
            for banks in sorted({1, pe}):
                steps = schedule.lengths(schedule.seen(blocks, pe, banks)).steps
                if steps >= layer.rows // pe * blocks.shape[1]:
                    continue
                lanes = next((n for n in lanes_in if layer.columns // n < steps), layer.columns)
                yield from _folds(layer, dense[pe, lanes], fronts, steps, block, banks, book)
            if book is not None:
                steps = layer.rows // pe * blocks.shape[1]
                yield from _folds(layer, dense[pe, block], fronts, steps, block, 0, book)


def _fronts(layer: Matrix) -> dict[tuple[int, bool], int]:
    """Cycles a frame of each window that may stand in front, by its lanes and being parallel."""
    if layer.window is None:
        return {(0, False): 0}
    return {
        (front.simd, front.parallel): front.period
        for parallel in (False, True)
        for front in registry.foldings(mvu.windows(layer, parallel=parallel))
        if front.parallel == parallel
    }


def _folds(
    layer: Matrix,
    dense: list[Fold],
    fronts: dict[tuple[int, bool], int],
    steps: int,
    block: int,
    banks: int,
    book: Codebook | None,
) -> Iterator[Fold]:
    for fold in dense:
        cycles = period(steps, layer.columns // fold.simd, layer.vectors)
        same = dataclasses.replace(
            fold,
            block=block,
            banks=banks,
            period=max(cycles, fronts[fold.window, fold.parallel]),
            multipliers=block * fold.pe,
        )
        if banks and layer.weight_bits >= MIN_BITS:
            yield dataclasses.replace(same, multiplier="scheduled")
        if book is not None:
            yield dataclasses.replace(same, multiplier="codebook")


def lower(lowering: Lowering, layer: Matrix, fold: Fold) -> None:
    """The window of a convolution, the unit, and its thresholds."""
    shape = (*layer.output[:2], layer.columns)
    finn = layer.finn[-1:]
    if layer.window is not None:
        lanes = shape[2] if fold.parallel else fold.window
        front = mvu.windows(layer, parallel=fold.parallel)
        lowering.lower(front, Fold(fold.window, lanes, parallel=fold.parallel))
        lowering.adapt(shape, fold.simd, finn)
    names = ("weights", "thresholds")
    lowering.add(
        built(lowering.label(Sparse.kind), layer, fold, finn),
        {key: layer.arrays[key] for key in names if key in layer.arrays},
    )


def built(name: str, layer: Matrix, fold: Fold, finn: tuple[str, ...] = ()) -> Sparse:
    """The node of a folded layer."""
    weights = np.asarray(layer.arrays["weights"])
    found = schedule.Lengths((layer.columns // fold.block,) * (layer.rows // fold.pe), 1)
    if fold.banks:
        visits = schedule.seen(schedule.used(weights, fold.block), fold.pe, fold.banks)
        found = schedule.lengths(visits)
    book = codebook.of(weights) if fold.multiplier == "codebook" else None
    return Sparse(
        name,
        Stream((*layer.output[:2], layer.columns), layer.source, fold.simd),
        Stream(layer.output, layer.result if layer.levels else layer.accumulator, fold.pe),
        finn=finn,
        weight_bits=max(layer.weight_bits, MIN_BITS),
        accumulator=layer.accumulator,
        levels=layer.levels,
        bias=layer.bias,
        block=fold.block,
        banks=fold.banks,
        lengths=found.words,
        queue=found.queue,
        centroids=() if book is None else book.numbers,
        negates=book is not None and book.negates,
    )


def _shape(node: Sparse) -> dict[str, Any]:
    """What its size depends on, but for its thresholds."""
    return {
        "rows": node.output.shape[2],
        "columns": mvu.columns(node),
        "lanes": node.input.lanes,
        "block": node.block,
        "pe": node.output.lanes,
        "banks": node.banks,
        "steps": node.steps,
        "queue": node.queue,
        "in_bits": node.input.dtype.bits,
        "weight_bits": node.weight_bits,
        "acc_bits": node.accumulator.bits,
        "centroids": len(node.centroids),
        "negates": node.negates,
    }


registry.register(
    Kind(
        node=Sparse,
        values=mvu.values,
        resume=resume,
        size=size,
        effort=effort,
        stages=stages,
        parts=parts,
        layer=Matrix,
        styles=STYLES,
        foldings=foldings,
        lower=lower,
        fast=Fast(steps=mvu.steps, bound=mvu.bound, takes_product=mvu.dense),
        back=mvu.back,
    )
)
