"""FINN's own RTL kernels behind our port convention: the backend `kernels = "finn"`.

Each module here is the twin of `exeunt.hls.back.kernels.<kind>` and adds `sources(node)`: one
SystemVerilog file, made at build time from the installed finn-rtllib (with small, named, checked
edits) and a wrapper of ours with clk, rst, s_*, m_*. Nothing of FINN is kept in this repository.

| kind      | FINN's modules              | Node |
|-----------|-----------------------------|------|
| mvu       | mvu_vvu_axi (MVAU_rtl)      | raw accumulators out: `levels` = 0 |
| threshold | thresholding                | |
| swg       | fmpadding, swg (default)    | serial windows larger than one pixel |
| width     | vpc (dwc)                   | |
"""

from __future__ import annotations

import importlib

from exeunt.graph import Node

KINDS = ("mvu", "threshold", "swg", "width")


def unsupported(node: Node) -> str | None:
    """Why FINN's kernel cannot implement `node`, as the end of a sentence; None when it can."""
    if node.kind not in KINDS:
        return f"FINN has no RTL kernel of kind {node.kind}"
    reason: str | None = importlib.import_module(f"{__name__}.{node.kind}").unsupported(node)
    return reason
