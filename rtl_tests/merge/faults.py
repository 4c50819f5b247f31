"""Deliberate faults of `ex_merge` and `ex_records`, which its test must catch."""

from mutant import Mutant

_MERGE, _RECORDS = "hls/rtl/ex_merge.sv", "hls/rtl/ex_records.sv"

MUTANTS = tuple(
    Mutant(path, was, now, "rtl_tests/merge/test_merge.py::test_merge")
    for path, was, now in (
        (_MERGE, "if (rst) valid_q <= 1'b0;", "if (rst || clear) valid_q <= 1'b0;"),
        (_MERGE, "next_q >= batch", "next_q == batch"),
        (_MERGE, "!= turn_q[SLOT_BITS];", "!= 1'b0;"),
        (_MERGE, "if (load || skip) turn_q", "if (load) turn_q"),
        (_MERGE, "32'($signed(score))", "32'(score)"),
        (_MERGE, "now - record[63:32]", "now - record[63:32] - 1'b1"),
        (_MERGE, "order && !skip ?", "!skip ?"),
        (_RECORDS, "plain || fresh_q != '0 ? turn", "plain ? turn"),
        (_RECORDS, "if (plain) fresh_q <= ALL;", "if (rst) fresh_q <= ALL;"),
        (_RECORDS, "if (get || skip) left_q", "if (get) left_q"),
        (_RECORDS, "if (get) freed[left_q] <= get_slot;", "if (get) freed[left_q] <= left_q;"),
    )
)
