"""FINN's data width converter (StreamingDataWidthConverter_rtl: vpc) as a backend."""

from __future__ import annotations

from collections.abc import Mapping

from exeunt.graph import IntArray
from exeunt.hls.back.kernels.finn.library import Edit, bundle, require
from exeunt.hls.back.kernels.registry import Backend, register
from exeunt.kernels.width import Width

MODULE = "ex_finn_width"
EDITS = (  # compiler directives within a module, which read_slang refuses
    Edit("no directive inside the module", ");\n`default_nettype none\n", ");\n"),
    Edit("no directive at the module's end", "`default_nettype wire\nendmodule", "endmodule"),
)


def unsupported(node: Width) -> str | None:
    """Why FINN's kernel cannot implement `node`, as the end of a sentence; None when it can."""
    narrow, wide = sorted((node.input.width, node.output.width))
    if wide == narrow or wide % narrow:
        return f"FINN's width converter needs widths that differ and divide, has {narrow}, {wide}"
    if narrow < 2:
        return f"FINN's width converter needs words of 2 bits or more, has {narrow}"
    return None


def module(node: Width) -> str:
    """Name of the RTL module.

    Raises:
        InputError: FINN's kernel cannot implement this node.
    """
    require(node.name, unsupported(node))
    return MODULE


def parameters(node: Width) -> dict[str, int | str]:
    """Verilog parameters of `node`'s instance."""
    return {"IN_WIDTH": node.input.width, "OUT_WIDTH": node.output.width}


def sources(node: Width, arrays: Mapping[str, IntArray]) -> dict[str, str]:
    """SystemVerilog of the kernel: file name -> text; the same for every node of this kind.

    Raises:
        ToolError: finn-rtllib is missing.
    """
    require(node.name, unsupported(node))
    return bundle(MODULE, [("dwc/hdl/vpc.sv", EDITS)])


register(
    Width.kind,
    Backend(module, parameters, sources=sources, unsupported=unsupported),
    name="finn",
)
