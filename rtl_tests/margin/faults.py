"""Deliberate faults of `ex_best`, which the tests of score blocks must catch."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        "hls/rtl/ex_best.sv",
        "wire wins = $signed(b) > $signed(a);",
        "wire wins = $signed(b) >= $signed(a);",
        "rtl_tests/margin/test_margin.py::test_margin",
        corners="margin_lanes2_classes2_bits8,margin_lanes5_classes10_bits12",
    ),
    Mutant(
        "hls/rtl/ex_best.sv",
        "(CUTS * CLASS_BITS)'({base_q, next_q})",
        "{CUTS{next_q}}",
        "rtl_tests/maximum/test_maximum.py::test_maximum",
        corners="maximum_lanes33_classes66_bits4",
    ),
    Mutant(
        "hls/rtl/ex_best.sv",
        "(wins || above)) b_second_q",
        "wins) b_second_q",
        "rtl_tests/margin/test_margin.py::test_margin",
    ),
    Mutant(
        "hls/rtl/ex_best.sv",
        "if (go && a_valid && (wins",
        "if (a_valid && (wins",
        "rtl_tests/margin/test_margin.py::test_margin",
    ),
    Mutant(
        "hls/rtl/ex_best.sv",
        "wire wins = a_first || $signed(a_max)",
        "wire wins = $signed(a_max)",
        "rtl_tests/maximum/test_maximum.py::test_maximum",
    ),
    Mutant(
        "hls/rtl/ex_best.sv",
        "if (go) begin\n          max    <= max_d;",
        "if (1'b1) begin\n          max    <= max_d;",
        "rtl_tests/maximum/test_maximum.py::test_maximum",
        corners="maximum_lanes33_classes66_bits4,maximum_lanes5_classes10_bits12",
    ),
)
