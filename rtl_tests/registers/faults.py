"""Deliberate faults of `ex_registers`, which its test must catch."""

from mutant import Mutant

MUTANTS = (
    Mutant(
        "hls/rtl/ex_registers.sv",
        "assign at[i] = address[1:0] == PLACES[12*i +: 2] && index",
        "assign at[i] = index",
        "rtl_tests/registers/test_registers.py::test_registers",
    ),
    Mutant(
        "hls/rtl/ex_registers.sv",
        "32'(index) == i && commit_q) refused_q",
        "commit_q) refused_q",
        "rtl_tests/registers/test_registers.py::test_registers",
    ),
    Mutant(
        "hls/rtl/ex_registers.sv",
        "raw_q && exit_q != exit_next_q",
        "1'b0",
        "rtl_tests/registers/test_registers.py::test_registers",
    ),
    Mutant(
        "hls/rtl/ex_registers.sv",
        "control && wdata[1] && !commit_q",
        "control && wdata[1]",
        "rtl_tests/registers/test_registers.py::test_registers",
    ),
    Mutant(
        "hls/rtl/ex_registers.sv",
        "stall_q <= stall_q + 1'b1;",
        "stall_q <= {16'd0, stall_q[15:0] + 1'b1};",
        "rtl_tests/registers/test_registers.py::test_registers",
    ),
    Mutant(
        "hls/rtl/ex_registers.sv",
        "event_at = at[BAD_AT] ? EVENT_BITS'(EXITS) : EVENT_BITS'(index)",
        "event_at = EVENT_BITS'(index)",
        "rtl_tests/registers/test_registers.py::test_registers",
    ),
    Mutant(
        "hls/rtl/ex_registers.sv",
        "if (!at_active || of_last) active_q <= '0;",
        "if (!at_active) active_q <= '0;",
        "rtl_tests/registers/test_registers.py::test_registers",
    ),
    Mutant(
        "hls/rtl/ex_registers.sv",
        "bank_q ? threshold1_q[i] : threshold0_q[i];",
        "threshold0_q[i];",
        "rtl_tests/registers/test_registers.py::test_registers",
    ),
    Mutant(
        "hls/rtl/ex_registers.sv",
        "inside_s_q <= occupied;",
        "inside_s_q <= occupied + 1'b1;",
        "rtl_tests/registers/test_registers.py::test_registers",
    ),
    Mutant(
        "hls/rtl/ex_registers.sv",
        "!(last_cycle && offer)",
        "1'b1",
        "rtl_tests/registers/test_registers.py::test_registers",
    ),
)
