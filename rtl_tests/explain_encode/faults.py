"""Deliberate faults of the encoder of heat maps."""

from __future__ import annotations

from mutant import Mutant

_FILE, _TILES = (f"hls/rtl/ex_explain_{part}.sv" for part in ("encode", "tiles"))
_TEST = "rtl_tests/explain_encode/test_explain_encode.py"
_FAULTS = (
    (
        _TILES,
        "assign s_ready = !closed_q && (!full_q || move);",
        "assign s_ready = !full_q || move;",
    ),
    (_TILES, "      closed_q <= 1'b0;\n      place_q ", "      place_q "),
    (_TILES, "one || (any_q && place_q != 4'd0)", "one || any_q"),
    (_TILES, "from_q  <= !half_q;", "from_q  <= half_q;"),
    (_FILE, "emit ? bits : '0;", "bits;"),
    (_FILE, "|| (flush_q && level_q != '0);", "|| flush_q;"),
    (_FILE, "tail ? ~unit : unit", "unit"),
    (_FILE, "unit = past ? '0 : read_q;", "unit = read_q;"),
)
MUTANTS = tuple(Mutant(file, old, new, _TEST, corners="b4_t1,b5_t7") for file, old, new in _FAULTS)
