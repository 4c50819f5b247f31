"""Deliberate faults of the encoder of heat maps."""

from __future__ import annotations

from mutant import Mutant

_FILE, _TILES, _LEVELS = (f"hls/rtl/ex_explain_{part}.sv" for part in ("encode", "tiles", "levels"))
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
_OF_LEVELS = (
    ("if (mean_q == '0) mean_q <= M_BITS'(1);", ""),
    ("absolute && s_data[BITS-1] ? -wide : wide", "wide"),
    (
        "        sum_q   <= '0;\n        state_q <= MEASURE;\n      end\n    endcase",
        "        state_q <= MEASURE;\n      end\n    endcase",
    ),
    ("(T_BITS + 8)'(255)", "'0"),
    ("T_BITS'(size) >=", "T_BITS'(size) >"),
    ("{level[2:0], 1'b0} - 4'd1", "{level[2:0], 1'b0}"),
    ("{beyond[0], 3'd5 + 3'(beyond >> 1)}", "{1'b0, 3'd5 + 3'(beyond >> 1)}"),
)
MUTANTS = tuple(Mutant(file, old, new, _TEST, corners="b4_t1,b5_t7") for file, old, new in _FAULTS)
MUTANTS += tuple(
    Mutant(_LEVELS, old, new, _TEST, corners="b8_c3_p40_levels") for old, new in _OF_LEVELS
)
