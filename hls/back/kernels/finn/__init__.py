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
