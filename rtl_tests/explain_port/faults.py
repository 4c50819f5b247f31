"""Deliberate faults of the stream of maps to the outside."""

from __future__ import annotations

from mutant import Mutant

_FILE = "hls/rtl/ex_explain_port.sv"
_TEST = "rtl_tests/explain_port/test_explain_port.py"
_FAULTS = (
    ("if (clear && inside_q) cut_q <= 1'b1;", ""),
    ("cut_q && free && !clear;", "cut_q && free;"),
    ("inside_q <= !s_last;", "inside_q <= 1'b1;"),
    ("last_q   <= 1'b1;", "last_q   <= 1'b0;"),
    ("free = !valid_q || m_ready;", "free = 1'b1;"),
)
MUTANTS = tuple(Mutant(_FILE, old, new, _TEST, corners="w32") for old, new in _FAULTS)
