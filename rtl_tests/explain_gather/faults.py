"""Deliberate faults of what makes context words."""

from __future__ import annotations

from mutant import Mutant

_FILE = "hls/rtl/ex_explain_gather.sv"
_TEST = "rtl_tests/explain_gather/test_explain_gather.py"
_FAULTS = (
    ("if (valid_q) address_q <= end_word ? '0 :", "if (valid_q) address_q <="),
    ("else if (SHORT && place == '0) slot_q <= '0;", ""),
    ("count_q == 4'd0 ? '0 : held_q", "held_q"),
    ("count_q <= end_fold ? 4'd0 :", "count_q <="),
    ("if (rst) count_q <= 4'd0;", ""),
)
_CORNERS = "c18_l9_b1_p4,c20_l4_b3_p3,c24_l8_b1_p5,c24_l12_b1_p6,c64_l32_b1_p4"
MUTANTS = tuple(Mutant(_FILE, old, new, _TEST, corners=_CORNERS) for old, new in _FAULTS)
