"""Deliberate faults of what chooses the frames that are explained."""

from __future__ import annotations

from mutant import Mutant

_FILE = "hls/rtl/ex_explain_choose.sv"
_TEST = "rtl_tests/explain_choose/test_explain_choose.py"
_FAULTS = (
    ("since_q >= every - 16'd1", "since_q >= every"),
    ("16'(since_q != '1)", "16'd1"),
    ("assign want = turn || asked;", "assign want = turn;"),
    ("ahead[31] || (enter && ahead == '0)", "ahead[31]"),
    ("noted_q & ~(enter ? hit : '0);", "noted_q;"),
    ("(note && stay == '1)", "1'b0"),
    ("assign moves[i+1] = moves[i] && stay[i];", "assign moves[i+1] = moves[i];"),
    ("stay = forget ? '0 : open;", "stay = open;"),
    ("lost + UW'(forget && open[i]);", "lost + UW'(forget && noted_q[i]);"),
    ("wire low = limit == ANY ||", "wire low ="),
    ("$signed(scores[e*32 +: 32]) < $signed(limit)", "scores[e*32 +: 32] < limit"),
    ("!silent[e] && (low", "(low"),
    ("|| asked_q[left_slot[e*SW +: SW]]", ""),
    ("for (int e = EXITS - 1; e >= 0; e--)", "for (int e = 0; e < EXITS; e++)"),
    ("next = next + (SW + 1)'(left[e]);", "next = write_q + (SW + 1)'(left != '0);"),
    ("wire take = m_valid && m_ready;", "wire take = m_valid;"),
    ("32'(enter && want && !kept)", "32'(want && !kept)"),
    ("{method, id_q};", "{method, id_q + 32'd1};"),
    ("since_q     <= '1;", "since_q     <= '0;"),
    ("if (enter && kept) begin", "if (kept) begin"),
)
MUTANTS = tuple(
    Mutant(_FILE, old, new, _TEST, corners="s2_e3_a2_c4,s3_e2_a4_c16") for old, new in _FAULTS
)
