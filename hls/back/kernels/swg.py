"""Kernels `ex_swg` and `ex_swg_parallel`: parameters of a sliding window."""

from __future__ import annotations

from typing import Any

import numpy as np

from exeunt.hls.back.kernels.operators import Found, Front, Operator
from exeunt.hls.back.kernels.registry import Backend, register, register_operator
from exeunt.kernels.layer import Fold
from exeunt.kernels.swg import Swg
from exeunt.window import Window

MODULES = ("ex_swg", "ex_swg_parallel")


def module(node: Swg) -> str:
    """Name of the RTL module."""
    return "ex_swg_parallel" if node.parallel else "ex_swg"


def parameters(node: Swg) -> dict[str, int | str]:
    """Parameters of the RTL module."""
    h, w, channels = node.input.shape
    top, left, bottom, right = node.pad
    lanes: dict[str, int | str] = {} if node.parallel else {"SIMD": node.input.lanes}
    return {
        "BITS": node.input.dtype.bits,
        **lanes,
        "C": channels,
        "H": h,
        "W": w,
        "KH": node.kernel[0],
        "KW": node.kernel[1],
        "SH": node.stride[0],
        "SW": node.stride[1],
        "PT": top,
        "PL": left,
        "PB": bottom,
        "PR": right,
        "DH": node.dilation[0],
        "DW": node.dilation[1],
        "BLOCKS": node.blocks,
    }


def read(found: Found) -> Front:
    """The window of a FINN ConvolutionInputGenerator, in front of the next layer."""
    kernel, stride, dilation = (
        (int(found.get(k)[0]), int(found.get(k)[1]))
        for k in ("ConvKernelDim", "Stride", "Dilation")
    )
    pad = found.front.pad
    return Front(pad, Window(kernel, stride, pad, dilation))


def read_padding(found: Found) -> Front:
    """The padding of a FINN FMPadding, which the window behind it does."""
    top, left, bottom, right = (int(p) for p in found.get("Padding"))
    return Front((top, left, bottom, right), found.front.window)


def folding(fold: Fold) -> dict[str, int]:
    """FINN's folding attributes."""
    return {"SIMD": fold.lanes_in, "parallel_window": int(fold.parallel)}


def padding_folding(fold: Fold) -> dict[str, int]:
    """FINN's folding attributes of the padding in front."""
    return {"SIMD": fold.lanes_in}


def use_parallel_window_output(self: Any) -> bool:
    """Whether a beat is a whole window."""
    return bool(self.get_nodeattr("parallel_window"))


def cycles(self: Any) -> int:
    """Words in or words out of a frame, whichever is more; padded pixels take no input."""
    channels, simd = self.get_nodeattr("IFMChannels"), self.get_nodeattr("SIMD")
    pixels = int(np.prod(self.get_nodeattr("IFMDim")))
    windows = int(np.prod(self.get_nodeattr("OFMDim")))
    if self.use_parallel_window_output():
        return max(pixels, windows)
    window = int(np.prod(self.get_nodeattr("ConvKernelDim")))
    return int(max(pixels, windows * window) * (channels // simd))


def no_cycles(self: Any) -> int:
    """None of its own."""
    return 0


register_operator(
    Operator(
        "ConvolutionInputGenerator",
        "finn.custom_op.fpgadataflow.convolutioninputgenerator:ConvolutionInputGenerator",
        read,
        MODULES,
        folding,
        {
            "use_parallel_window_output": use_parallel_window_output,
            "get_exp_cycles": cycles,
        },
    )
)
register_operator(
    Operator(
        "FMPadding",
        "finn.custom_op.fpgadataflow.fmpadding:FMPadding",
        read_padding,
        folding=padding_folding,
        methods={"get_exp_cycles": no_cycles},
    )
)
register(Swg.kind, Backend(module, parameters, MODULES))
