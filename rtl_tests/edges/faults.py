"""Deliberate faults of what tells edges."""

from __future__ import annotations

from mutant import Mutant

_TEST = "rtl_tests/edges/test_edges.py"
_FAULTS = (
    ("ex_threshold.sv", "m_edge[p] <= (x >= edge_q) !=", "m_edge[p] <= (x > edge_q) !="),
    ("ex_threshold.sv", "reached ? x < high_q : x >= low_q", "reached ? x <= high_q : x >= low_q"),
    ("ex_threshold.sv", "edge_q <= memory[ADDR_BITS'({fold, reached})]",
     "edge_q <= memory[ADDR_BITS'({FOLD_BITS'(0), reached})]"),
    ("ex_mvu.sv", "        .EDGES         (EDGES),\n", ""),
)  # fmt: skip
_CORNERS = "one_level_any,three_folds_line,four_folded_any,sf1x9_nf4x2_u8_w4_l15_line"
MUTANTS = (
    *(Mutant(f"hls/rtl/{file}", old, new, _TEST, corners=_CORNERS) for file, old, new in _FAULTS),
    Mutant(
        "hls/back/kernels/mvu.py",
        "words = words - smallest(",
        "words = words - 0 * smallest(",
        _TEST,
        corners="sf9x3_nf2x2_s8_w1s_l1_any,sf2x32_nf3x2_u2_w2s_l3_line",
    ),
)
