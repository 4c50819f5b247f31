"""Deliberate faults of constant matrices in logic."""

from __future__ import annotations

from mutant import Mutant

_TEST = "rtl_tests/logic/test_logic.py"
_RTL, _MADE = "hls/rtl/ex_logic.sv", "hls/back/kernels/logic.py"
_FAULTS = (
    (_RTL, "!valid_q[i] || ahead[i+1]", "ahead[i+1]"),
    (_RTL, "if (rst) valid_q[i] <= 1'b0;", ""),
    (_MADE, 'sign = "-" if add.minus else "+"', 'sign = "+"'),
)
MUTANTS = tuple(Mutant(*fault, _TEST, corners="r8_c9_b8_u8_z0") for fault in _FAULTS)
