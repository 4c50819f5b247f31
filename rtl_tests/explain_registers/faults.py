"""Deliberate faults of the registers of explanations."""

from __future__ import annotations

from mutant import Mutant

_FILE = "hls/rtl/ex_explain_registers.sv"
_TEST = "rtl_tests/explain_registers/test_explain_registers.py"
_FAULTS = (
    ("address == A_CONTROL && wdata[2]", "address == A_CONTROL"),
    ("method_q <= METHOD;", "method_q <= '0;"),
    ("if (rst || clear) begin", "if (rst) begin"),
    ("read = {waits_q, 15'd0, every_q};", "read = {16'd0, every_q};"),
    ("read = read + 32'(used[i]);", "read = read | 32'(used[i]);"),
)
MUTANTS = tuple(Mutant(_FILE, old, new, _TEST, corners="exits3_slots2") for old, new in _FAULTS)
