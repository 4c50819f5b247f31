"""Our kernels as FINN RTL variants, so that SpecializeLayers and a folding file see them.

FINN looks for the RTL variant of a layer, `<Layer>_rtl`, in one dictionary. While `registered()`
is open our classes stand there: in the place of FINN's for MVAU, VVAU, Thresholding,
ConvolutionInputGenerator, FMPadding and elementwise sums, and as new entries for Pool,
GlobalAccPool and StreamingConcat, which FINN has only in HLS. Node names therefore stay FINN's
(`MVAU_rtl_0`), and so do the attributes PE, SIMD and parallel_window. What differs is the expected
number of cycles, and the rules:

- MVAU_rtl takes embedded thresholds and any width; SIMD divides MW.
- ConvolutionInputGenerator_rtl also pads: FMPadding_rtl in front of it costs no cycles of its
  own. parallel_window gives the whole window per beat with all channels (SIMD = IFMChannels).
- A depthwise ConvolutionInputGenerator_rtl in front of Pool_rtl disappears into the pool kernel
  when its windows do not overlap, and is the ordinary one (ky, kx, c) otherwise.
"""

from __future__ import annotations

import contextlib
import importlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import finn.transformation.fpgadataflow.specialize_layers as specialize
import qonnx.custom_op.registry as qonnx_registry
from finn.custom_op.fpgadataflow.hwcustomop import HWCustomOp
from finn.custom_op.fpgadataflow.rtl import custom_op as rtl_variants
from finn.custom_op.fpgadataflow.rtlbackend import RTLBackend

from exeunt.hls.back.kernels import registry
from exeunt.hls.back.kernels.operators import Operator

DOMAIN = "finn.custom_op.fpgadataflow.rtl"
# what FINN's own RTL can do
CHECKS = ("_mvu_rtl_possible", "_vvu_rtl_possible", "_elementwise_rtl_possible")


class _Kernel(RTLBackend):
    """What all our variants share: Python execution of the abstract layer, our RTL files."""

    layer: type[HWCustomOp]
    modules: tuple[str, ...] = ()
    more: Mapping[str, Any] = {}

    def get_nodeattr_types(self) -> dict[str, Any]:
        """The layer's attributes and those of any RTL variant."""
        own = self.layer.get_nodeattr_types(self)
        return {**RTLBackend.get_nodeattr_types(self), **own, **self.more}

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


def _variant(operator: Operator) -> type[_Kernel]:
    """Our class for one of FINN's operators, below FINN's own."""
    module, _, name = operator.layer.partition(":")
    layer = getattr(importlib.import_module(module), name)
    members: dict[str, Any] = {"layer": layer, "modules": operator.modules, **operator.methods}
    members["more"] = dict(operator.attributes)
    members["__doc__"] = f"{', '.join(operator.modules) or 'nothing'} as {operator.name}_rtl."
    return type(f"Exeunt{operator.name}", (_Kernel, layer), members)


VARIANTS: dict[str, type[_Kernel]] = {
    f"{name}_rtl": _variant(operator) for name, operator in registry.operators().items()
}


@contextlib.contextmanager
def registered() -> Iterator[None]:
    """While open, FINN's RTL variants are our kernels; FINN's own come back afterwards."""
    known = qonnx_registry._OP_REGISTRY.setdefault(DOMAIN, {})
    before = {name: (rtl_variants.get(name), known.get(name)) for name in VARIANTS}
    possible = {name: getattr(specialize, name) for name in CHECKS}
    try:
        for name, variant in VARIANTS.items():
            rtl_variants[name] = variant
            known[name] = {1: variant}
        for name in CHECKS:
            setattr(specialize, name, lambda *arguments: True)
        yield
    finally:
        for name, check in possible.items():
            setattr(specialize, name, check)
        for name, (variant, versions) in before.items():
            rtl_variants.pop(name, None)
            known.pop(name, None)
            if variant is not None:
                rtl_variants[name] = variant
            if versions is not None:
                known[name] = versions
