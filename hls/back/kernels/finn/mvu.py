"""FINN's matrix-vector unit (MVAU_rtl: mvu_vvu_axi with its DSP core) as a backend.

Results that are on the way when the sink stops must fit FINN's output queue. The unit stops
issuing two cycles after a result first waits behind another: the core, PIPELINE_DEPTH stages
deep, then still delivers one result for every column fold that ends. While it runs, the queue
holds at most one result; it gets at most one more in the cycle that stops it and PIPELINE_DEPTH
more after that, so PIPELINE_DEPTH + 2 places are enough, and with one column fold (MW = SIMD:
every step ends a result) they are all used. FINN has PIPELINE_DEPTH + 1 of them or, unless SIMD
is a power of two, PIPELINE_DEPTH: results are then lost without a word, and the stream stops.
Our build-time copy has the places it needs.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from exeunt.graph import IntArray
from exeunt.hls.back.kernels.finn.library import Edit, bundle, require
from exeunt.hls.back.kernels.registry import Backend, register
from exeunt.kernels.mvu import Mvu

MODULE = "ex_finn_mvu"
DSP_VERSION = 1
MAX_WEIGHT_BITS = 8
MAX_ACTIVATION_BITS = 8

QUEUE = Edit(
    "output queue as deep as the pipeline needs",
    """\t\t\t/* else */    3 + $clog2(SIMD+1) + (SIMD == 1);

\t\t// This is conservative and could be divided by a guaranteed minimum output interval, e.g. MW/SIMD.
\t\tlocalparam int unsigned  MAX_IN_FLIGHT = CORE_PIPELINE_DEPTH;
""",  # noqa: E501 - FINN's own line
    """\t\t\t/* else */    3 + $clog2(SIMD) + (SIMD == 1) + 1;
\t\tlocalparam int unsigned  MAX_IN_FLIGHT = CORE_PIPELINE_DEPTH + 1;
""",
)
WATCHDOG = Edit(
    "no start-up watchdog, so no delays",
    """\t\tinitial begin
\t\t\t#100ns;
\t\t\tDirty <= 0;
\t\tend

\t\talways_ff""",
    """\t\tinitial Dirty = 0;

\t\talways_ff""",
)
_LOADS = """\t\t// Compute the count of decendents for all nodes in the reduction trees.
\t\ttypedef int unsigned  leaf_load_t[2*N-1];
\t\tfunction leaf_load_t init_leaf_loads();
\t\t\tautomatic leaf_load_t  res;
\t\t\tfor(int unsigned  i = 2*N-1; i-- > N-1;)  res[i] = 1;
\t\t\tfor(int unsigned  i =   N-1; i-- >   0;)  res[i] = res[2*i+1] + res[2*i+2];
\t\t\treturn  res;
\t\tendfunction : init_leaf_loads
\t\tlocalparam leaf_load_t   LEAF_LOAD = init_leaf_loads();

"""
_TREE = """\tuwire [SUM_WIDTH-1:0]  sum0;
\tif(L < 1) begin : genTrivial
"""
CONSTANT_OUT = Edit("constant function at module scope (taken out)", _LOADS, "")
CONSTANT_IN = Edit("constant function at module scope (put back)", _TREE, _LOADS + _TREE)
COPIES: tuple[tuple[str, tuple[Edit, ...]], ...] = (
    ("mvu/mvu_pkg.sv", ()),
    ("mvu/add_multi.sv", (CONSTANT_OUT, CONSTANT_IN)),
    ("mvu/replay_buffer.sv", ()),
    ("mvu/mvu.sv", (WATCHDOG,)),
    ("mvu/mvu_vvu_8sx9_dsp58.sv", ()),
    ("mvu/mvu_vvu_axi.sv", (QUEUE,)),
)


def unsupported(node: Mvu) -> str | None:
    """Why FINN's unit cannot implement `node`, as the end of a sentence; None when it can."""
    if node.groups > 1:
        return f"FINN's RTL MVAU shows every row the whole vector, not one of {node.groups} groups"
    if node.levels:
        return f"FINN's RTL MVAU has no fused thresholds, levels must be 0, is {node.levels}"
    if node.offset:
        return "FINN's RTL MVAU adds no constants to its sums"
    if weight_bits(node) > MAX_WEIGHT_BITS:
        return f"FINN's RTL MVAU needs weights of 2 to 8 bits, has {node.weight_bits}"
    if not 2 <= node.input.dtype.bits <= MAX_ACTIVATION_BITS:
        return f"FINN's RTL MVAU needs activations of 2 to 8 bits, has {node.input.dtype.bits}"
    return None


def weight_bits(node: Mvu) -> int:
    """Bits of a weight in two's complement, where -1 and 1 have two."""
    return max(2, node.weight_bits)


def accumulator_bits(node: Mvu) -> int:
    """Bits of FINN's accumulator: the node's, but never fewer than one product has."""
    kept = node.accumulator.bits + (not node.accumulator.signed)
    product = weight_bits(node) + node.input.dtype.bits - node.input.dtype.signed
    return max(kept, product, node.output.dtype.bits)


def module(node: Mvu) -> str:
    """Name of the RTL module.

    Raises:
        InputError: FINN's unit cannot implement this node.
    """
    require(node.name, unsupported(node))
    return MODULE


def parameters(node: Mvu) -> dict[str, int | str]:
    """Verilog parameters of `node`'s instance."""
    return {
        "MW": node.input.shape[2],
        "MH": node.output.shape[2],
        "SIMD": node.input.lanes,
        "PE": node.output.lanes,
        "IN_BITS": node.input.dtype.bits,
        "IN_SIGNED": int(node.input.dtype.signed),
        "W_BITS": weight_bits(node),
        "ACC_BITS": accumulator_bits(node),
        "OUT_BITS": node.output.dtype.bits,
        "DSP_VERSION": DSP_VERSION,
        "WEIGHT_FILE": f"{node.name}_weights.hex",
    }


def memories(node: Mvu, arrays: Mapping[str, IntArray]) -> dict[str, str]:
    """Memory-init files of `node`: its weights, a word for each multiply step.

    Args:
        node: MH x MW, folded PE x SIMD.
        arrays: `weights` (MH, MW), signed, `weight_bits(node)` wide.
    """
    weights = np.asarray(arrays["weights"]).astype(np.int64)
    pe, simd, bits = node.output.lanes, node.input.lanes, weight_bits(node)
    rows, columns = weights.shape
    folds = weights.reshape(rows // pe, pe, columns // simd, simd).transpose(0, 2, 1, 3)
    digits = -(-pe * simd * bits // 4)
    mask = (1 << bits) - 1
    lines = []
    for fold in folds.reshape(-1, pe * simd):
        word = sum((int(w) & mask) << (i * bits) for i, w in enumerate(fold))
        lines.append(f"{word:0{digits}x}\n")
    return {f"{node.name}_weights.hex": "".join(lines)}


def sources(node: Mvu, arrays: Mapping[str, IntArray]) -> dict[str, str]:
    """SystemVerilog of the kernel: file name -> text; the same for every node of this kind.

    Raises:
        ToolError: finn-rtllib is missing or not the one our edits were made for.
    """
    require(node.name, unsupported(node))
    return bundle(MODULE, COPIES)


register(
    Mvu.kind,
    Backend(module, parameters, memories=memories, sources=sources, unsupported=unsupported),
    name="finn",
)
