"""Deliberate faults of what gives slots to frames."""

from __future__ import annotations

from mutant import Mutant

_FILE = "hls/rtl/ex_explain_slots.sv"
_TEST = "rtl_tests/explain_slots/test_explain_slots.py"
_FAULTS = (
    ("kept = want && used_q != '1;", "kept = want;"),
    ("has && !explain[e];", "!explain[e];"),
    ("if (decide[e]) read_q <=", "if (decide[e] && take[e]) read_q <="),
    ("freed[i] = free && free_slot == SW'(i);", "freed[i] = 1'b0;"),
)
MUTANTS = tuple(
    Mutant(_FILE, old, new, _TEST, corners="s2_e3_f4,s3_e2_f16") for old, new in _FAULTS
)
