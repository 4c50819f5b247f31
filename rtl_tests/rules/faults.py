"""Deliberate faults of the rule unit and its reference, see `faults.py` above."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        "hls/rtl/ex_measure.sv",
        "statistic[2] && !statistic[1];",
        "1'b0;",
        "rtl_tests/rules/test_rules.py::test_rules",
        corners="row,column",
    ),
    Mutant(
        "hls/rtl/ex_measure.sv",
        "if (x_q == '0) lane_step = '0;",
        "",
        "rtl_tests/rules/test_rules.py::test_rules",
        corners="contrast,edges",
    ),
    Mutant(
        "hls/rtl/ex_measure.sv",
        "so_far_q <= final_one || last_one ||",
        "so_far_q <=",
        "rtl_tests/rules/test_rules.py::test_rules",
        corners="mixed",
    ),
    Mutant(
        "hls/rtl/ex_measure.sv",
        "found_q  <= !last_one && (found_q || match);",
        "found_q  <= 1'b0;",
        "rtl_tests/rules/test_rules.py::test_rules",
        corners="mixed",
    ),
    Mutant(
        "hls/rtl/ex_measure.sv",
        "{y_q, 1'b0} >=",
        "{y_q, 1'b0} >",
        "rtl_tests/rules/test_rules.py::test_rules",
        corners="slant",
    ),
    Mutant(
        "hls/rtl/ex_measure.sv",
        "if (rst || (take && row_end)) here_q",
        "if (rst || (take && last)) here_q",
        "rtl_tests/rules/test_rules.py::test_rules",
        corners="column",
    ),
    Mutant(
        "hls/rtl/ex_rules.sv",
        "&& !(final_beat && busy);",
        ";",
        "rtl_tests/rules/test_rules.py::test_rules",
        corners="nothing,table",
    ),
    Mutant(
        "hls/rtl/ex_rules.sv",
        "chosen_q[judge_q] <= enabled_q ?",
        "chosen_q[judge_q] <= enable_q ?",
        "rtl_tests/rules/test_rules.py::test_rules",
        corners="mixed",
    ),
    Mutant(
        "hls/rtl/ex_rules.sv",
        "if (rst) enable_q",
        "if (empty) enable_q",
        "rtl_tests/rules/test_rules.py::test_rules",
        corners="shift",
    ),
    Mutant(
        "hls/rtl/ex_rules.sv",
        "BEAT_BITS'($signed(shift)) * BEAT_BITS'(FOLD)",
        "BEAT_BITS'($signed(shift))",
        "rtl_tests/rules/test_rules.py::test_rules",
        corners="folded",
    ),
    Mutant(
        "hls/rtl/ex_rules.sv",
        "x_q < border[16 +: X_BITS]",
        "x_q <= border[16 +: X_BITS]",
        "rtl_tests/rules/test_rules.py::test_rules",
        corners="border",
    ),
    Mutant(
        "hls/rtl/ex_rules.sv",
        "if (go) entry_q <= entries[rule_q];",
        "entry_q <= entries[rule_q];",
        "rtl_tests/rules/test_rules.py::test_rules",
        corners="mixed",
    ),
    Mutant(
        "hls/rtl/ex_rules.sv",
        "if (known_q[times_at]) times_q <= fired[times_at];",
        "if (1'b1) times_q <= fired[times_at];",
        "rtl_tests/rules/test_rules.py::test_rules",
        corners="shift",
    ),
    Mutant(
        "python/exeunt/reference/rules.py",
        "start = max(self._judged + 1, self._freed[-1])",
        "start = self._judged + 1",
        "python/tests/simulate/test_rules.py::test_every_answer_and_every_cycle[one]",
    ),
)
