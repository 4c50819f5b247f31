"""Deliberate faults of the encoder of heat maps."""

from __future__ import annotations

from mutant import Mutant

_FILE = "hls/rtl/ex_explain_encode.sv"
_TEST = "rtl_tests/explain_encode/test_explain_encode.py"
_FAULTS = (
    ("assign s_ready = !closed_q && (!full_q || move);", "assign s_ready = !full_q || move;"),
    ("(emit && level >= 7'd32)", "(emit && level > 7'd32)"),
    ("|| (flush_q && level_q != 5'd0);", "|| flush_q;"),
    ("      closed_q <= 1'b0;\n      place_q ", "      place_q "),
    ("tail ? ~crc_q : word;", "tail ? crc_q : word;"),
)
MUTANTS = tuple(Mutant(_FILE, old, new, _TEST, corners="b4_t1,b5_t7") for old, new in _FAULTS)
