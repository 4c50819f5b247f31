"""Deliberate faults of what holds a rate or a latency."""

from __future__ import annotations

from mutant import Mutant

_TEST = "rtl_tests/hold/test_hold.py::test_hold"
_BAND = (
    ("since_q == LAG;", "since_q == LAG - 1'b1;"),
    ("since_q <= ends ? '0 : since_q + 1'b1;", "since_q <= since_q + 1'b1;"),
    ("<= ends ? last : left_q - 1'b1;", "<= ends ? last - 1'b1 : left_q - 1'b1;"),
    ("hits_q <= ends_q ? '0 : hits;", "hits_q <= ends_q ? 17'd1 : hits;"),
    ("full_q && total_q > {1'b0, high};", "full_q && total_q >= {1'b0, high};"),
    ("full_q && total_q < {1'b0, low};", "full_q && total_q <= {1'b0, low};"),
    ("sum_q   <= from + change + (HELD + 1)'(lower_q);", "sum_q   <= from + change;"),
    ("wire beyond = up_q ? room[HELD+1] : !room[HELD+1];", "wire beyond = room[HELD+1];"),
    ("wire beyond = up_q ? room[HELD+1] : !room[HELD+1];", "wire beyond = !room[HELD+1];"),
    ("wire [HELD-1:0] bound = up_q ? ceiling : floor;", "wire [HELD-1:0] bound = ceiling;"),
    ("assign raised = load && moves_q && up_q;", "assign raised = load && up_q;"),
    ("assign lowered = load && moves_q && !up_q;", "assign lowered = load && moves_q;"),
    ("      left_q  <= last;\n", ""),
    ("      hits_q  <= '0;\n", ""),
    ("      next_q  <= '0;\n", ""),
    ("      held_q  <= '0;\n", ""),
)
_HOLD = (
    ("by_latency_q ? leave_q : decide[i]", "decide[i]"),
    ("by_latency_q ? late_q : keep[i]", "keep[i]"),
    ("latency > limit_q", "latency >= limit_q"),
    ("clear || begins || !on_q", "clear || begins"),
    ("clear || begins || !on_q", "clear || !on_q"),
    ("begins || !on_q)", "!on_q)"),
    ("rst || clear || begins", "rst || begins"),
    ("leave_q <= leave && !rst && !clear;", "leave_q <= leave;"),
    ("address == A_CONTROL && wdata[2]) changes_q", "address == A_CONTROL) changes_q"),
    ("{lowered_q[i], raised_q[i]};", "{raised_q[i], lowered_q[i]};"),
    ("    if (rst || clear) begin\n      raised_q", "    if (rst) begin\n      raised_q"),
    ("if (group == A_OFFSET) read = 32'($signed(", "if (group == A_OFFSET) read = 32'($unsigned("),
)
_DECIDE = (
    ("LEFT'($signed(held));", "LEFT'(held);", "pe1_classes10_bits14_score15_held16"),
    (
        "threshold == ALWAYS || (threshold != NEVER && !over[33])",
        "threshold != NEVER && !over[33]",
        "pe10_classes10_bits31_score32_held30",
    ),
    (
        "threshold == ALWAYS || (threshold != NEVER && !over[33])",
        "threshold == ALWAYS || !over[33]",
        "pe10_classes10_bits31_score32_held30",
    ),
)
_RTL = "python/tests/runtime/test_holding.py::"
_SYSTEM = (
    (
        "hls/templates/core.sv.j2",
        "_ready && !raw_enable{{",
        "_ready{{",
        f"{_RTL}test_logits_and_resets_in_between",
    ),
    (
        "hls/templates/core.sv.j2",
        ".latency(merge_data[95:64])",
        ".latency(merge_data[63:32])",
        "python/tests/simulate/test_following.py::test_what_differs_is_a_failed_check",
    ),
    (
        "hls/templates/core.sv.j2",
        "(i * d.held, d.held)",
        "(0, d.held)",
        f"{_RTL}test_rates_that_came_with_it_and_others",
    ),
    (
        "python/exeunt/hold.py",
        "if self._count < LAG == self._count + count:",
        "if self._count + count == self._window:",
        "python/tests/test_hold.py::test_offsets_are_as_defined",
    ),
    (
        "python/exeunt/simulate/following.py",
        "BEHIND = 2  #",
        "BEHIND = 400  #",
        "python/tests/simulate/test_following.py::test_what_differs_is_a_failed_check",
    ),
    (
        "python/exeunt/runtime/holding.py",
        """    device.registers["hold"] = 0\n    return""",
        "    return",
        f"{_RTL}test_who_opens_it_next_finds_it_off",
    ),
)
MUTANTS = (
    *(Mutant("hls/rtl/ex_band.sv", old, new, _TEST, corners="exits2_held12") for old, new in _BAND),
    *(Mutant("hls/rtl/ex_hold.sv", old, new, _TEST, corners="exits2_held12") for old, new in _HOLD),
    *(
        Mutant(
            "hls/rtl/ex_decide.sv",
            old,
            new,
            "rtl_tests/decide/test_decide.py::test_decide",
            corners=corners,
        )
        for old, new, corners in _DECIDE
    ),
    *(Mutant(file, old, new, test) for file, old, new, test in _SYSTEM),
)
