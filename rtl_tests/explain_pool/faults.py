"""Deliberate faults of what finds the largest inputs."""

from __future__ import annotations

from mutant import Mutant

_FILE = "hls/rtl/ex_explain_pool.sv"
_TEST = "rtl_tests/explain_pool/test_explain_pool.py"
_FAULTS = (
    ("^ TOP) >= (s_data", "^ TOP) > (s_data"),
    ("TOP = IN_BITS'(IN_SIGNED) << (IN_BITS - 1);", "TOP = '0;"),
    ("row_q  <= (ky_end || y_end) ? '0 :", "row_q  <= ky_end ? '0 :"),
    ("mask[i]                      = old_mask[i];", "mask[i] = s_mask[i];"),
    ("if (take && x_used && !last)", "if (take && !last)"),
)
_CORNERS = "max_u1_5x7x4_k23_lanes2,max_u3_4x5x2_k22_lanes1,"
_CORNERS += "max_s2_6x6x3_k32_lanes3,max_u3_7x6x2_k33_lanes1"
MUTANTS = tuple(Mutant(_FILE, old, new, _TEST, corners=_CORNERS) for old, new in _FAULTS)
