"""FINN's padding and sliding window (FMPadding_rtl, ConvolutionInputGenerator_rtl) as a backend.

The window is FINN's "default" style, a line buffer that is read word by word. FINN's compiler
fills its template with numbers; here they become parameters, worked out as
`ConvolutionInputGenerator_rtl.prepare_codegen_default` does (dilation 1, not depthwise), but for
the rows and columns behind the last window: FINN takes a remainder (`h % covered`), which is wrong
when that is more than the windows cover, and the kernel then loses its place between frames.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from exeunt.errors import ToolError
from exeunt.graph import IntArray
from exeunt.hls.back.kernels.finn.library import VERSION, Edit, bundle, require
from exeunt.hls.back.kernels.registry import Backend, register
from exeunt.kernels.finn.swg import line_buffer, padded
from exeunt.kernels.swg import Swg

MODULE = "ex_finn_swg"
_IMPL = "ex_finn_swg_window"
_INNER = {"simd": 1, "kw": 2, "kh": 3}

_HOLES = {
    "LAST_READ_ELEM": "1",
    "LAST_WRITE_ELEM": "1",
    "BUF_ELEM_TOTAL": "2",
    "ELEM_PER_WINDOW": "2",
    "RAM_STYLE": '"auto"',
    "LOOP_H_ITERATIONS": "LOOP_H",
    "LOOP_W_ITERATIONS": "LOOP_W",
    "LOOP_KH_ITERATIONS": "LOOP_KH",
    "LOOP_KW_ITERATIONS": "LOOP_KW",
    "LOOP_SIMD_ITERATIONS": "LOOP_SIMD",
    "HEAD_INCR_SIMD": "HEAD_SIMD",
    "HEAD_INCR_KW": "HEAD_KW",
    "HEAD_INCR_KH": "HEAD_KH",
    "HEAD_INCR_W": "HEAD_W",
    "HEAD_INCR_H": "HEAD_H",
    "TAIL_INCR_W": "TAIL_W",
    "TAIL_INCR_H": "TAIL_H",
}
_PARAMETERS = ("LOOP_H", "LOOP_W", "LOOP_KH", "LOOP_KW", "LOOP_SIMD", "HEAD_SIMD", "HEAD_KW",
               "HEAD_KH", "HEAD_W", "HEAD_H", "TAIL_W", "TAIL_H", "TAIL_LAST", "INNER")  # fmt: skip

EDITS = (
    Edit("module name (head)", "module $TOP_MODULE_NAME$_impl #(", f"module {_IMPL} #("),
    Edit("module name (end)", "endmodule : $TOP_MODULE_NAME$_impl", f"endmodule : {_IMPL}"),
    Edit(
        "numbers of the window as parameters",
        "    int  INCR_BITWIDTH = $INCR_BITWIDTH$\n",
        ",\n".join(["    int  INCR_BITWIDTH = 2", *[f"    int  {p} = 1" for p in _PARAMETERS]])
        + "\n",
    ),
    Edit("step width", ".INCR_BITWIDTH($INCR_BITWIDTH$)", ".INCR_BITWIDTH(INCR_BITWIDTH)"),
    Edit("last tail step", ".TAIL_INCR_LAST($TAIL_INCR_LAST$)", ".TAIL_INCR_LAST(TAIL_LAST)"),
    Edit("tail counter", "LAST_READ_ELEM+$TAIL_INCR_LAST$+1", "LAST_READ_ELEM+TAIL_LAST+1"),
    Edit("not depthwise", "$IS_DEPTHWISE$", "1'b0"),
    Edit("innermost loop", "swg::$INNERMOST_STATE$", "swg::state_e'(INNER)"),
    *(Edit(hole.lower(), f"${hole}$", text) for hole, text in _HOLES.items()),
)


def steps(node: Swg) -> dict[str, int]:
    """Address steps at the end of each loop, in words."""
    (_, kw), (sh, sw) = node.kernel, node.stride
    _, w = padded(node)
    folds = node.input.shape[2] // node.input.lanes
    span, _ = line_buffer(node)
    skipped = w - (kw + (node.output.shape[1] - 1) * sw)
    to_window = -span + sw * folds + 1
    to_row = -span + (skipped + kw) * folds + (sh - 1) * w * folds + 1
    return {
        "HEAD_SIMD": 1,
        "HEAD_KW": 1,
        "HEAD_KH": (w - kw) * folds + 1,
        "HEAD_W": to_window,
        "HEAD_H": to_row,
        "TAIL_W": to_window + span - 1,
        "TAIL_H": to_row + span - 1,
        "TAIL_LAST": span - 1,
    }


def unsupported(node: Swg) -> str | None:
    """Why FINN's kernel cannot implement `node`, as the end of a sentence; None when it can."""
    (kh, kw), (sh, sw) = node.kernel, node.stride
    if node.dilation != (1, 1) or node.blocks > 1:
        return "our use of FINN's RTL window has neither holes nor blocks of channels"
    if node.parallel:
        return "FINN's sliding window is offered serial only, but the node is parallel"
    if node.kernel == (1, 1):
        return "FINN's serial sliding window needs a kernel larger than 1x1"
    h, w = padded(node)
    if kh > h or kw > w or sh > h or sw > w:
        return (
            f"FINN's sliding window needs a kernel and a stride within the padded {h}x{w} input, "
            f"has kernel {kh}x{kw} and stride {sh}x{sw}"
        )
    words = h * w * (node.input.shape[2] // node.input.lanes)
    if words < 3:
        return f"FINN's sliding window needs frames of 3 words or more, has {words}"
    found = steps(node)
    longest = max(abs(found["HEAD_W"]), abs(found["HEAD_H"]))
    _, depth = line_buffer(node)
    if longest > depth:
        return (
            f"FINN's sliding window needs address steps within its buffer of {depth} words, "
            f"has one of {longest}"
        )
    return None


def module(node: Swg) -> str:
    """Name of the RTL module.

    Raises:
        InputError: FINN's kernel cannot implement this node.
    """
    require(node.name, unsupported(node))
    return MODULE


def parameters(node: Swg) -> dict[str, int | str]:
    """Verilog parameters of `node`'s instance."""
    height, width, channels = node.input.shape
    (kh, kw), (sh, sw) = node.kernel, node.stride
    top, left, bottom, right = node.pad
    rows, columns, _ = node.output.shape
    h, w = padded(node)
    folds = channels // node.input.lanes
    found = steps(node)
    loops = {"kh": kh, "kw": kw, "simd": folds}
    inner = "simd" if folds > 1 else "kw" if kw > 1 else "kh"
    loops[inner] -= 1
    skipped_rows = h - (kh + (rows - 1) * sh)
    skipped_columns = w - (kw + (columns - 1) * sw)
    return {
        "BITS": node.input.dtype.bits,
        "SIMD": node.input.lanes,
        "C": channels,
        "H": height,
        "W": width,
        "PT": top,
        "PL": left,
        "PB": bottom,
        "PR": right,
        "BUFFER": line_buffer(node)[1],
        "LAST_READ": h * w * folds - 1,
        "LAST_WRITE": ((h - skipped_rows - 1) * w + w - skipped_columns) * folds - 1,
        "WINDOW": kh * kw * folds,
        "INCREMENT_BITS": 1 + max(abs(v) for v in found.values()).bit_length(),
        "LOOP_H": rows - 2,
        "LOOP_W": columns - 2,
        "LOOP_KH": loops["kh"] - 2,
        "LOOP_KW": loops["kw"] - 2,
        "LOOP_SIMD": loops["simd"] - 2,
        **found,
        "INNER": _INNER[inner],
    }


def sources(node: Swg, arrays: Mapping[str, IntArray]) -> dict[str, str]:
    """SystemVerilog of the kernel: file name -> text; the same for every node of this kind.

    Raises:
        ToolError: finn-rtllib is missing or not the one our edits were made for.
    """
    require(node.name, unsupported(node))
    made = bundle(
        MODULE,
        [
            ("swg/swg_pkg.sv", ()),
            ("swg/swg_common.sv", ()),
            ("swg/swg_template_default.sv", EDITS),
            ("fmpadding/hdl/fmpadding.sv", ()),
        ],
    )
    left = re.findall(r"\$[A-Z_]+\$", next(iter(made.values())))
    if left:
        raise ToolError(
            f"finn-rtllib's swg_template_default.sv must have no holes but ours, has {left[0]}; "
            f'install finn-plus {VERSION} or set kernels = "exeunt"'
        )
    return made


register(
    Swg.kind,
    Backend(module, parameters, sources=sources, unsupported=unsupported),
    name="finn",
)
