"""Deliberate faults of what keeps a stream."""

from __future__ import annotations

from mutant import Mutant

_FILE = "hls/rtl/ex_explain_tap.sv"
_TEST = "rtl_tests/explain_tap/test_explain_tap.py"
_FAULTS = (
    (".w_valid(w_valid && kept)", ".w_valid(w_valid)"),
    ("if (w_valid && w_last) passed_q", "if (w_valid) passed_q"),
)
MUTANTS = tuple(
    Mutant(_FILE, old, new, _TEST, corners="c8_l8_b1_p9_s2,c24_l24_b2_p4_s4")
    for old, new in _FAULTS
)
