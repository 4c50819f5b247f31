"""Kernel backend of `Sparse` nodes: `ex_sparse`, its schedule with the weights, its thresholds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

from exeunt.graph import IntArray
from exeunt.hls.back.kernels import levels, sparsity
from exeunt.hls.back.kernels.registry import Backend, Parameters, Texts, register
from exeunt.kernels import mvu
from exeunt.kernels.parts.back import Steps
from exeunt.kernels.sparse import Sparse, codebook, schedule
from exeunt.kernels.sparse.size import block_bits, word_bits

MODULES = ("ex_sparse", "ex_rom", "ex_search", "ex_term", "ex_threshold", "ex_width")
Bits = npt.NDArray[np.uint8]


def module(node: Sparse) -> str:
    """The RTL module of the node."""
    return "ex_sparse"


def parameters(node: Sparse) -> dict[str, int | str]:
    """Parameters of `ex_sparse`."""
    found: dict[str, int | str] = {
        "MW": mvu.columns(node),
        "MH": node.output.shape[2],
        "LANES": node.input.lanes,
        "SIMD": node.block,
        "PE": node.output.lanes,
        "BANKS": max(1, node.banks),
        "STEPS": node.steps,
        "QUEUE": node.queue,
        "SCHEDULED": int(node.banks > 0),
        "IN_BITS": node.input.dtype.bits,
        "IN_SIGNED": int(node.input.dtype.signed),
        "W_BITS": node.stored_bits,
        "NEGATES": int(node.negates),
        "ACC_BITS": node.accumulator.bits,
        "OUT_BITS": node.output.dtype.bits,
        "LEVELS": node.levels,
        "BIAS": node.bias,
        "SEARCH": node.search,
        "ROM_FILE": f"{node.name}_schedule.hex",
        "THRESHOLD_FILE": f"{node.name}_thresholds" if node.levels else "",
    }
    if node.centroids:
        source, book = node.input.dtype, node.centroids
        digit = codebook.digit_bits(len(book), source)
        found |= {
            "KEY_BITS": codebook.index_bits(len(book)) + digit,
            "TABLE_BITS": codebook.number_bits(book, source),
            "TABLES": codebook.tables(book, source),
        }
    return found


def memories(node: Sparse, arrays: Mapping[str, IntArray]) -> dict[str, str]:
    """The schedule with the weights of its steps, from `weights` (MH, MW), and the thresholds."""
    result = {f"{node.name}_schedule.hex": words(node, arrays["weights"])}
    if node.levels:
        result |= levels.files(
            f"{node.name}_thresholds",
            arrays["thresholds"],
            dtype=node.accumulator,
            lanes=node.search,
        )
    return result


def words(node: Sparse, weights: IntArray) -> str:
    """ROM_FILE of `ex_sparse`: a hexadecimal word a line for every step.

    Args:
        node: the kernel.
        weights: integers (MH, MW).
    """
    pe, block, banks = node.output.lanes, node.block, max(1, node.banks)
    values = np.asarray(weights, np.int64)
    visits = schedule.seen(schedule.used(values, block), pe, banks)
    if not node.banks:
        visits = np.ones_like(visits)
    rows, blocks = schedule.visited(visits)
    steps = len(rows)
    stored, signs = values, np.ones(len(values), np.int8)
    if node.centroids:
        book = codebook.of(values)
        assert book is not None, f"{node.name} has no codebook"
        stored, signs = book.indices.astype(np.int64), book.signs
    lanes = np.arange(pe)
    bank = lanes // (pe // banks)
    row = rows[:, bank] * pe + lanes  # of each step and lane
    place = np.maximum(blocks, 0)[:, bank]
    cut = stored.reshape(len(values), -1, block)[row, place]  # (steps, pe, block)
    nothing = list(node.centroids).index(0) if 0 in node.centroids else 0
    cut[(blocks < 0)[:, bank]] = nothing
    fields = [_bits(cut.reshape(steps, -1), node.stored_bits)]
    if node.negates:
        fields.append(_bits((signs[row] < 0).astype(np.int64), 1))
    if node.banks:
        ends = np.diff(rows, axis=0, append=rows[-1:] + 1) > 0
        complete = schedule.ends(visits).max(axis=1)
        done = np.isin(np.arange(steps), complete)
        inside = node.input.lanes // block
        shift = (inside - 1).bit_length()
        found = np.maximum(blocks, 0)
        address = (found // inside << shift) + found % inside
        width = block_bits(mvu.columns(node), node.input.lanes, block)
        fields += [_bits(done[:, None].astype(np.int64), 1), _bits(address, width)]
        if node.queue > 1:
            fields.append(_bits(ends.astype(np.int64), 1))
    return _hexadecimal(np.concatenate(fields, axis=1))


def _bits(values: npt.NDArray[np.int64], bits: int) -> Bits:
    """(steps, n) integers as (steps, n * bits), lowest bit first."""
    return ((values[:, :, None] >> np.arange(bits)) & 1).astype(np.uint8).reshape(len(values), -1)


def _hexadecimal(bits: Bits) -> str:
    raw = np.packbits(bits, axis=1, bitorder="little")[:, ::-1]
    digits = (bits.shape[1] + 3) // 4
    return "".join(f"{row.tobytes().hex()[-digits:]}\n" for row in raw)


def edges(
    node: Sparse, arrays: Mapping[str, IntArray], edges: IntArray
) -> tuple[Parameters, Texts] | None:
    """What `m_edge` needs, None without thresholds; see `Backend.edges`."""
    if not node.levels:
        return None
    steps = mvu.back(node, arrays)[0][-1]
    assert isinstance(steps, Steps)
    prefix = f"{node.name}_edges"
    found = levels.edge_words(node.name, steps, edges)
    files = levels.edge_files(prefix, found, dtype=node.accumulator, lanes=node.search)
    return {"EDGES": 1, "EDGE_FILE": prefix}, files


def facts(node: Sparse, arrays: Mapping[str, IntArray]) -> dict[str, Any]:
    """What the schedule leaves out, and what it stores."""
    lanes = {"simd": node.block, "pe": node.output.lanes}
    stored = word_bits(
        columns=mvu.columns(node), lanes=node.input.lanes, block=node.block, pe=node.output.lanes,
        banks=node.banks, queue=node.queue, weight_bits=node.weight_bits,
        centroids=len(node.centroids), negates=node.negates,
    )  # fmt: skip
    dense = node.output.shape[2] * mvu.columns(node) // (node.output.lanes * node.block)
    return {
        "sparsity": sparsity.pattern(arrays["weights"], **lanes),
        "steps": node.steps,
        "dense_steps": dense,
        "memory_bits": node.steps * stored,
    }


register(
    Sparse.kind, Backend(module, parameters, MODULES, memories=memories, facts=facts, edges=edges)
)
