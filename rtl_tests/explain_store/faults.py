"""Deliberate faults of the store of contexts."""

from __future__ import annotations

from mutant import Mutant

_FILE = "hls/rtl/ex_explain_store.sv"
_TEST = "rtl_tests/explain_store/test_explain_store.py"
_FAULTS = (
    ("32'(w_address) * SLOTS + 32'(w_slot)", "32'(w_address) * SLOTS"),
    ("32'(r_address) / WIDE * SLOTS + 32'(r_slot)", "32'(r_address) / WIDE + 32'(r_slot)"),
    ("WIDTH] = word_q;", "WIDTH] = r_valid ? word_q : '0;"),
    ("if (r_valid) bank_q <=", "bank_q <="),
)
MUTANTS = tuple(
    Mutant(_FILE, old, new, _TEST, corners="b8_w49_s2_x1,b16_w9_s2_x3") for old, new in _FAULTS
)
