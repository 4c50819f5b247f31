"""Deliberate faults of the scheduled matrix-vector unit."""

from __future__ import annotations

from mutant import Mutant

_TEST = "rtl_tests/sparse/test_sparse.py::test_sparse"
_RTL, _TERM = "hls/rtl/ex_sparse.sv", "hls/rtl/ex_term.sv"
_MADE = "hls/back/kernels/sparse.py"
_APART, _SHARED = "sf8x4b2_nf4x4k2_u4_random80_w4_l7", "sf2x10b10_nf2x3k0_u8_none75_w8_l0_c8_n"
_SIGNED, _WIDE = "sf6x1b1_nf1x4k0_s8_none75_w8_l0_c7", "sf2x20b10_nf3x2k2_u8_rows75_w8_l0_c3"
_FAULTS = (
    (_RTL, "if (move_m && end_m) full_q[half_m]", "if (step && last_step) full_q[work_q]", _APART),
    (_RTL, "if (step && last_step) work_q <= !work_q;", "", _APART),
    (_RTL, "if (load_c) first_q <= last_b;", "if (load_c) first_q <= {BANKS{done_b}};", _APART),
    (_RTL, "results[row_q] <= acc ^ begins;", "results[0] <= acc ^ begins;", _APART),
    (_RTL, "else if (result_q && result_ready) out_q", "else if (result_q) out_q", _APART),
    (_RTL, "localparam int B = p / BANK;", "localparam int B = p % BANKS;", _APART),
    (_RTL, "= rom_m_q[LOW+1+BANKS*BLOCK_BITS+:BANKS];", "= {BANKS{done_m}};", _APART),
    (_RTL, "if (move_m) sub_q <= block", "if (move_m) sub_q <= ~block", _APART),
    (_RTL, "TOP = IN_SIGNED && d == DIGITS - 1;", "TOP = 1'b0;", _SIGNED),
    (_RTL, "acc_q ^ {ACC_BITS{minus_c_q}}", "acc_q", _SHARED),
    (_RTL, "begins = {ACC_BITS{NEGATES && minus_b[p]}};", "begins = '0;", _SHARED),
    (_RTL, "SHALLOW = 1 + 32'(SHARED) + 32'(GROUPS > 1);", "SHALLOW = 3;", _SIGNED),
    (_RTL, "else if (enable[i]) valid_q[i]", "else if (enable[SHALLOW]) valid_q[i]", _WIDE),
    (_RTL, "if (rst) valid_q[0] <= 1'b0;\n        else if", "if", _WIDE),
    # in other corners words that leave open the clock
    (_RTL, "assign busy = step || move_m || (|move) || load_c", "assign busy = step", _SIGNED),
    ("hls/rtl/ex_search.sv", "CHANNELS / SEARCH", "CHANNELS / PE", _APART),
    (_TERM, "a + BITS'(t)", "a - BITS'(t)", _SHARED),
    (_MADE, "cut[(blocks < 0)[:, bank]] = nothing", "", _APART),
)
MUTANTS = tuple(Mutant(*fault, _TEST, corners=corner) for *fault, corner in _FAULTS)
