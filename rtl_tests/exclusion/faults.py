"""Deliberate faults of the score block of class exclusion."""

from __future__ import annotations

from mutant import Mutant

_FILE = "hls/rtl/ex_exclusion.sv"
_TEST = "rtl_tests/exclusion/test_exclusion.py::test_exclusion"
MUTANTS = (
    Mutant(
        _FILE,
        "localparam logic [KEY-1:0] OUT = {1'b1, {BITS{1'b0}}};",
        "localparam logic [KEY-1:0] OUT = {2'b11, {(BITS - 1){1'b0}}};",
        _TEST,
        corners="exclusion_lanes1_classes10_bits14,exclusion_lanes3_classes9_bits16",
    ),
    Mutant(
        _FILE,
        "look_q    <= keep && BEATS > 1 ? BEAT_BITS'(1) : '0;",
        "look_q    <= '0;",
        _TEST,
        corners="exclusion_lanes1_classes10_bits14",
    ),
    Mutant(
        _FILE,
        "assign s_ready = leaders_ready && carried_valid;",
        "assign s_ready = leaders_ready;",
        _TEST,
        corners="exclusion_lanes1_classes10_bits14",
    ),
    Mutant(
        _FILE,
        "all ? OUT : below[KEY-1:0]",
        "below[KEY-1:0]",
        _TEST,
        corners="exclusion_lanes1_classes10_bits14",
    ),
    Mutant(
        _FILE,
        "all = limit == NEVER || $signed(below)",
        "all = $signed(below)",
        _TEST,
        corners="exclusion_lanes1_classes3_bits31",
    ),
    Mutant(
        _FILE,
        "assign busy = leaders_busy || looking_q || sight_q || done_q;",
        "assign busy = leaders_busy;",
        "python/tests/simulate/test_criteria.py::test_every_answer_and_every_cycle[exclusion]",
        hangs=True,
    ),
    Mutant(
        _FILE,
        "localparam int DEPTH = BEATS + AHEAD;",
        "localparam int DEPTH = BEATS;",
        _TEST,
        corners="exclusion_lanes33_classes66_bits4",
    ),
    Mutant(
        _FILE,
        "else if (score) read_q <= skipped;",
        "else if (score) read_q <= read_q;",
        _TEST,
        corners="exclusion_lanes33_classes66_bits4",
    ),
)
