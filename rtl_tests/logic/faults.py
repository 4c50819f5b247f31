"""Deliberate faults of constant matrices in logic."""

from __future__ import annotations

from mutant import Mutant

_TEST = "rtl_tests/logic/test_logic.py"
_CORNERS = "r8_c9"
MUTANTS = (
    Mutant("hls/rtl/ex_logic.sv", "!valid_q[i] || ahead[i+1]", "ahead[i+1]", _TEST),
    Mutant("hls/rtl/ex_logic.sv", "if (rst) valid_q[i] <= 1'b0;", "", _TEST),
    Mutant("hls/back/kernels/logic.py", 'sign = "-" if add.minus else "+"', 'sign = "+"', _TEST),
    Mutant("hls/back/kernels/logic.py", ">>> {low}", ">> {low}", _TEST),
    Mutant("python/exeunt/kernels/logic/sums.py", "sign = 2 - (weight & 3)", "sign = 1", _TEST),
)
