"""Deliberate faults of the explanation engine."""

from __future__ import annotations

from mutant import Mutant

_TEST = "rtl_tests/explain/test_explain.py::test_explain"
_READ, _SUMS, _SWEEP, _TOP = (
    f"hls/rtl/ex_explain{part}.sv" for part in ("_read", "_sums", "_sweep", "")
)
_FAULTS = (
    # a word without items in the way
    (_READ, "!r1_valid_q || r1_end);", "!r1_valid_q);", "three_exits_1_b8_pe1"),
    (_READ, "channel >= first_channel && channel", "channel", "sums_and_concatenation_5_b6_pe4"),
    (_READ, "if (close_y) begin", "begin", "tiled_sum_with_a_rest_2_b8_pe2"),
    (_READ, "tiled ? TA_BITS'(lane) : routed", "routed", "tiled_sum_with_a_rest_2_b8_pe2"),
    # the sum that was written the cycle before
    (_SUMS, "(again_3_q ? last_q : read_q)", "read_q", "depthwise_5_b5_pe16"),
    (_SUMS, "(far || 32'(l)", "(1'b1 || 32'(l)", "tiled_sum_with_a_rest_2_b8_pe2"),
    (_SUMS, "clear_2_q || (add &&", "(add &&", "tiled_sum_with_a_rest_2_b8_pe2"),
    (_TOP, "step_q[20*F];", "1'b0;", "three_exits_5_b8_pe8_levels"),
    (_SUMS, "PE > 1 && &u_q", "&u_q", "three_exits_2_b8_pe1"),
    (_SUMS, "row_inside && ", "", "depthwise_5_b5_pe16"),
    (_SWEEP, "{{P_BITS{1'b0}}, half_q[0]}", "'0", "tiled_sum_with_a_rest_2_b8_pe2"),
    (
        _SWEEP,
        "wire  beyond = rounded > LIMIT;",
        "wire  beyond = rounded >= LIMIT;",
        "tiled_sum_with_a_rest_2_b8_pe2",
    ),
    (
        _SWEEP,
        "keep_q[2] && size >= prune",
        "keep_q[2] && size > prune",
        "tiled_sum_with_a_rest_2_b8_pe2",
    ),
    (_SWEEP, "map && valid_q[3] && !m_ready", "1'b0", "tiled_sum_with_a_rest_2_b8_pe2"),
    (_TOP, "|step_q[17*F+:F];", "1'b0;", "tiled_sum_with_a_rest_2_b8_pe2"),
    (_TOP, "RA_BITS'(class_q) * class_step", "RA_BITS'(class_q)", "three_exits_1_b8_pe1"),
    (
        _TOP,
        "forget       (state_q == IDLE)",
        "forget       (rst)",
        "tiled_sum_with_a_rest_2_b8_pe2",
    ),
)
MUTANTS = tuple(Mutant(f, old, new, _TEST, corners=c) for f, old, new, c in _FAULTS)
