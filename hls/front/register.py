"""Our kernels as FINN RTL variants, so that SpecializeLayers and a folding file see them.

FINN looks for the RTL variant of a layer, `<Layer>_rtl`, in one dictionary. While `registered()`
is open our classes stand there: in the place of FINN's for MVAU, Thresholding,
ConvolutionInputGenerator and FMPadding, and as new entries for Pool and GlobalAccPool, which FINN
has only in HLS. Node names therefore stay FINN's (`MVAU_rtl_0`), and so do the attributes PE, SIMD
and parallel_window. What differs is the expected number of cycles, and the rules:

- MVAU_rtl takes embedded thresholds and any width; SIMD divides MW.
- ConvolutionInputGenerator_rtl also pads: FMPadding_rtl in front of it costs no cycles of its
  own. parallel_window gives the whole window per beat with all channels (SIMD = IFMChannels).
- A depthwise ConvolutionInputGenerator_rtl in front of Pool_rtl disappears into the pool kernel
  when its windows do not overlap, and is the ordinary one (ky, kx, c) otherwise.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import finn.transformation.fpgadataflow.specialize_layers as specialize
import numpy as np
import qonnx.custom_op.registry as registry
from finn.custom_op.fpgadataflow.convolutioninputgenerator import ConvolutionInputGenerator
from finn.custom_op.fpgadataflow.fmpadding import FMPadding
from finn.custom_op.fpgadataflow.globalaccpool import GlobalAccPool
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from finn.custom_op.fpgadataflow.matrixvectoractivation import MVAU
from finn.custom_op.fpgadataflow.pool import Pool
from finn.custom_op.fpgadataflow.rtl import custom_op as rtl_variants
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend
from finn.custom_op.fpgadataflow.thresholding import Thresholding

DOMAIN = "finn.custom_op.fpgadataflow.rtl"


class _Kernel(RTLBackend):
    """What all our variants share: Python execution of the abstract layer, our RTL files."""

    layer: type[HWCustomOp]
    modules: tuple[str, ...] = ()

    def get_nodeattr_types(self) -> dict[str, Any]:
        """The layer's attributes and those of any RTL variant."""
        return {**RTLBackend.get_nodeattr_types(self), **self.layer.get_nodeattr_types(self)}

    def execute_node(self, context: dict[str, Any], graph: Any) -> None:
        """Compute the layer in NumPy (valid before folding, as in FINN)."""
        self.layer.execute_node(self, context, graph)

    def get_rtl_file_list(self, abspath: bool = False) -> list[str]:
        """Files of the kernel library that this variant is made of."""
        folder = Path(__file__).parents[1] / "rtl" if abspath else Path()
        return [str(folder / f"{module}.sv") for module in self.modules]

    def generate_hdl(self, model: Any, fpgapart: str, clk: float) -> None:
        """Nothing to do: the kernels are parametric, `exeunt compile` instantiates them."""

    def code_generation_ipi(self) -> list[str]:
        """Nothing for Vivado's block design: `exeunt compile` stitches the kernels itself."""
        return []


class ExeuntMatrixVector(_Kernel, MVAU):
    """ex_mvu: II = (MH / PE) * (MW / SIMD) per vector, thresholds inside, double-buffered."""

    layer = MVAU
    modules = ("ex_mvu", "ex_threshold")

    def lut_estimation(self, fpgapart: str) -> int:
        """FINN's rule of thumb for a multiplier in LUTs, plus the thresholds' comparators."""
        pe, simd = self.get_nodeattr("PE"), self.get_nodeattr("SIMD")
        w = self.get_input_datatype(1).bitwidth()
        a = self.get_input_datatype(0).bitwidth()
        acc = self.get_accumulator_datatype().bitwidth()
        return int(pe * simd * w * a + pe * (simd - 1) * (w + a) + pe * acc * 2)


class ExeuntThreshold(_Kernel, Thresholding):
    """ex_threshold: one word of PE channels a cycle, a pipelined binary search."""

    layer = Thresholding
    modules = ("ex_threshold",)


class ExeuntSlidingWindow(_Kernel, ConvolutionInputGenerator):
    """ex_swg and ex_swg_parallel: the longer of reading the map and giving the windows."""

    layer = ConvolutionInputGenerator
    modules = ("ex_swg", "ex_swg_parallel")

    def use_parallel_window_output(self) -> bool:
        """Whether a beat is a whole window."""
        return bool(self.get_nodeattr("parallel_window"))

    def get_exp_cycles(self) -> int:
        """Words in or words out of a frame, whichever is more; padded pixels take no input."""
        channels, simd = self.get_nodeattr("IFMChannels"), self.get_nodeattr("SIMD")
        pixels = int(np.prod(self.get_nodeattr("IFMDim")))
        windows = int(np.prod(self.get_nodeattr("OFMDim")))
        if self.use_parallel_window_output():
            return max(pixels, windows)
        window = int(np.prod(self.get_nodeattr("ConvKernelDim")))
        return max(pixels, windows * window) * (channels // simd)


class ExeuntPadding(_Kernel, FMPadding):
    """Zero padding, done by the sliding window behind it."""

    layer = FMPadding

    def get_exp_cycles(self) -> int:
        """None of its own."""
        return 0


class ExeuntPool(_Kernel, Pool):
    """ex_pool, or ex_reduce behind a sliding window: one word of PE channels a cycle."""

    layer = Pool
    modules = ("ex_pool", "ex_reduce")

    def get_nodeattr_types(self) -> dict[str, Any]:
        """The layer's attributes and those of any RTL variant."""
        # the conversion sets an attribute that only FINN's HLS variant declares
        return {**super().get_nodeattr_types(), "cpp_interface": ("s", False, "")}


class ExeuntGlobalPool(_Kernel, GlobalAccPool):
    """ex_reduce over the whole map: one word of PE channels a cycle."""

    layer = GlobalAccPool
    modules = ("ex_reduce",)

    def get_exp_cycles(self) -> int:
        """Words of the map."""
        vectors = int(np.prod(self.get_nodeattr("numInputVectors")))
        return vectors * (self.get_nodeattr("NumChannels") // self.get_nodeattr("PE"))


VARIANTS: dict[str, type[_Kernel]] = {
    "MVAU_rtl": ExeuntMatrixVector,
    "Thresholding_rtl": ExeuntThreshold,
    "ConvolutionInputGenerator_rtl": ExeuntSlidingWindow,
    "FMPadding_rtl": ExeuntPadding,
    "Pool_rtl": ExeuntPool,
    "GlobalAccPool_rtl": ExeuntGlobalPool,
}


@contextlib.contextmanager
def registered() -> Iterator[None]:
    """While open, FINN's RTL variants are our kernels; FINN's own come back afterwards."""
    known = registry._OP_REGISTRY.setdefault(DOMAIN, {})
    before = {name: (rtl_variants.get(name), known.get(name)) for name in VARIANTS}
    possible = specialize._mvu_rtl_possible
    try:
        for name, variant in VARIANTS.items():
            rtl_variants[name] = variant
            known[name] = {1: variant}
        specialize._mvu_rtl_possible = lambda node, fpgapart, model: True
        yield
    finally:
        specialize._mvu_rtl_possible = possible
        for name, (variant, versions) in before.items():
            rtl_variants.pop(name, None)
            known.pop(name, None)
            if variant is not None:
                rtl_variants[name] = variant
            if versions is not None:
                known[name] = versions
