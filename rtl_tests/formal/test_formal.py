"""Stream contracts, no loss, no duplication and order, proved by k-induction; `make formal`."""

import sys
from pathlib import Path
from typing import Any

import pytest
from formal.proof import Proof, run

SPARSE = {
    **{"MW": 4, "MH": 2, "LANES": 2, "SIMD": 1, "PE": 1, "STEPS": 3, "SCHEDULED": 1},
    **{"IN_BITS": 2, "W_BITS": 2, "ACC_BITS": 4, "OUT_BITS": 4},
}
PROOFS = [
    Proof("fork", {"WIDTH": 2}),
    Proof("explain_encode", {"BITS": 4, "MOST": 20}, cover=36, free="explain_tiles"),
    Proof("explain_encode", {"BITS": 8, "MOST": 20}, free="explain_tiles"),
    Proof("explain_levels", {"BITS": 4, "CHANNELS": 1, "PIXELS": 1, "MOST": 3}),
    Proof("explain_levels", {"BITS": 4, "CHANNELS": 2, "PIXELS": 3, "MOST": 4}),
    Proof("explain_tiles", {"BITS": 4}, cover=40),
    Proof("explain_tiles", {"BITS": 4, "LOG": 1}, cover=40),
    Proof("add", {"FACTOR_A": 2, "FACTOR_B": -3, "A_BITS": 3, "OUT_BITS": 7}),
    Proof("add", {"A_BITS": 2, "A_SIGNED": 1, "B_BITS": 3, "B_SIGNED": 1, "OUT_BITS": 4}),
    Proof("concat", {"A_WORDS": 1, "B_WORDS": 1, "A_BITS": 3, "B_BITS": 3}),
    Proof("concat", {"A_WORDS": 2, "B_WORDS": 3, "FACTOR_B": -3, "B_BITS": 2, "OUT_BITS": 5}),
    Proof("route", {"META": 2}),
    Proof("best", {"PE": 2, "CLASSES": 4, "BITS": 3}),
    Proof("best", {"PE": 2, "CLASSES": 2, "BITS": 2}),
    Proof("best", {"PE": 4, "CLASSES": 8, "BITS": 2, "LEVELS_A_STAGE": 1}),
    Proof("best", {"PE": 1, "CLASSES": 3, "BITS": 2, "SECOND": 0}),
    Proof("leaders", {"PE": 2, "CLASSES": 4, "BITS": 3}),
    Proof("softmax", {"PE": 1, "CLASSES": 3, "BITS": 2, "TABLE_BITS": 2}, free="best"),
    Proof("softmax", {"PE": 2, "CLASSES": 2, "BITS": 2, "TABLE_BITS": 2}, free="best"),
    Proof("exclusion", {"PE": 2, "CLASSES": 6, "BITS": 2}, free="best"),
    Proof("exclusion", {"PE": 2, "CLASSES": 2, "BITS": 3}, free="best"),
    Proof("exclusion", {"PE": 1, "CLASSES": 2, "BITS": 2}, free="best"),
    Proof("exclusion", {"PE": 4, "CLASSES": 8, "BITS": 2, "LEVELS_A_STAGE": 1}, free="best"),
    Proof("exclusion", {"PE": 4, "CLASSES": 4, "BITS": 2, "LEVELS_A_STAGE": 1}, free="best"),
    Proof("patience", {"PE": 2, "CLASSES": 4, "BITS": 2}, free="best"),
    Proof("patience", {"PE": 4, "CLASSES": 8, "BITS": 2, "LEVELS_A_STAGE": 1}, free="best"),
    Proof("temporal", {"PE": 2, "CLASSES": 4, "BITS": 31}, free="best", cover=8),
    Proof("decide", {"PE": 2, "CLASSES": 4, "BITS": 2, "SCORE_BITS": 3}),
    Proof("decide", {"PE": 1, "CLASSES": 2, "BITS": 2, "SCORE_BITS": 32}),
    Proof("decide", {"PE": 1, "CLASSES": 2, "BITS": 2, "SCORE_BITS": 3, "OFFSET_BITS": 2}),
    Proof("decide", {"PE": 1, "CLASSES": 2, "BITS": 2, "SCORE_BITS": 3, "HELD": 4, "LIMIT": 0}),
    Proof("band", {"HELD": 3}, cover=26),
    Proof("rules", {"HEIGHT": 1, "WIDTH": 3, "SLOTS": 2}, free="measure"),
    Proof("rules", {"HEIGHT": 2, "WIDTH": 1, "SLOTS": 3, "TABLES": 0}, free="measure"),
    Proof("rules", {"HEIGHT": 1, "WIDTH": 2, "SLOTS": 1, "SHEARS": 0}, free="measure"),
    Proof(
        "rules",
        {"HEIGHT": 1, "WIDTH": 2, "SLOTS": 2, "PLACES": 1, "LOOKS": 1, "TABLES": 0},
        free="measure",
    ),
    Proof(
        "rules",
        {"HEIGHT": 1, "WIDTH": 2, "SLOTS": 3, "PLACES": 2, "LOOKS": 2},
        free="measure",
    ),
    Proof("looks", {"PE": 1, "CLASSES": 3, "BITS": 3, "LOOKS": 1, "SLOTS": 2}),
    Proof("looks", {"PE": 2, "CLASSES": 2, "BITS": 2, "LOOKS": 2, "SLOTS": 3}),
    Proof("again", {"WHO_BITS": 2}),
    Proof("look_buffer", {"WIDTH": 3, "FRAME": 1, "DEPTH": 1}, free="fifo"),
    Proof("look_buffer", {"WIDTH": 3, "FRAME": 3, "DEPTH": 9}, free="fifo"),
    Proof("fifo", {"WIDTH": 5, "DEPTH": 1}),
    Proof("fifo", {"WIDTH": 5, "DEPTH": 2}),
    Proof("fifo", {"WIDTH": 5, "DEPTH": 5}),
    Proof("frame_buffer", {"WIDTH": 4, "FRAME": 1, "DEPTH": 1}),
    Proof("frame_buffer", {"WIDTH": 4, "FRAME": 2, "DEPTH": 4}),
    Proof("frame_buffer", {"WIDTH": 5, "FRAME": 3, "DEPTH": 9}),
    Proof("frame_buffer", {"WIDTH": 4, "FRAME": 1, "DEPTH": 3}),
    Proof("frame_buffer", {"WIDTH": 5, "FRAME": 5, "DEPTH": 10}, cover=40),
    Proof("frame_store", {"WIDTH": 3, "FRAME": 2, "STORE": 2}),
    Proof("frame_store", {"WIDTH": 9, "FRAME": 3, "STORE": 1}),
    Proof("frame_store", {"WIDTH": 2, "FRAME": 1, "STORE": 3}),
    Proof("merge", {"N": 2, "IN_FLIGHT": 2, "CLASS_BITS": 1, "SCORE_BITS": 6}, free="records"),
    Proof("merge", {"N": 3, "IN_FLIGHT": 4, "CLASS_BITS": 2, "SCORE_BITS": 6}, free="records"),
    Proof("records", {"IN_FLIGHT": 2}),
    Proof("records", {"IN_FLIGHT": 4}, cover=20),
    Proof("raw", {"N": 2}),
    Proof("tag", {"WIDTH": 2, "FRAME": 3, "IN_FLIGHT": 2}),
    Proof("tag", {"WIDTH": 2, "FRAME": 1, "IN_FLIGHT": 3}),
    Proof("threshold", {"IN_BITS": 3, "OUT_BITS": 1, "LEVELS": 1, "EDGES": 1}),
    Proof("threshold", {"IN_BITS": 3, "OUT_BITS": 2, "LEVELS": 3, "EDGES": 1, "FOLDS": 3}),
    Proof("threshold", {"IN_BITS": 2, "OUT_BITS": 3, "LEVELS": 5, "EDGES": 1, "FOLDS": 2}),
    *(
        Proof("explain_gather", {"LANES": a, "BITS": b, "C": c, "POSITIONS": n}, cover=16)
        for a, b, c, n in (
            (2, 2, 4, 2),
            (3, 1, 3, 3),
            (8, 1, 24, 2),
            (12, 1, 24, 2),
            (5, 1, 20, 2),
            (17, 1, 17, 3),
        )
    ),
    Proof("explain_pool", {"LANES": 2, "IN_BITS": 2, "C": 4, "H": 4, "W": 4}, cover=32),
    Proof(
        "explain_pool",
        {"LANES": 1, "IN_BITS": 2, "IN_SIGNED": 1, "C": 1, "H": 4, "W": 5, "KH": 3, "KW": 2},
    ),
    Proof("explain_pool", {"LANES": 1, "C": 2, "H": 2, "W": 3, "KH": 1, "KW": 1}),
    Proof("explain_store", {"WIDTH": 2, "WORDS": 3, "SLOTS": 3}),
    Proof("explain_store", {"WIDTH": 2, "WORDS": 6, "SLOTS": 2, "WIDE": 3}),
    Proof("explain_choose", {"SLOTS": 2, "EXITS": 2, "ASKED": 2, "CLASS_BITS": 2}, cover=10),
    Proof("explain_choose", {"SLOTS": 3, "EXITS": 1, "ASKED": 1, "CLASS_BITS": 2}, cover=10),
    Proof("logic", {"STAGES": 1}),
    Proof("logic", {"STAGES": 3}),
    Proof("sparse", SPARSE),
    Proof("sparse", {**SPARSE, "MW": 2, "STEPS": 2, "KEY_BITS": 3, "TABLE_BITS": 3, "NEGATES": 1}),
    Proof("sparse", {**SPARSE, "MW": 20, "LANES": 10, "SIMD": 10, "STEPS": 4, "SCHEDULED": 0}),
    Proof("explain_port", {"WIDTH": 2}),
    Proof("explain_slots", {"SLOTS": 2, "EXITS": 2, "IN_FLIGHT": 2}),
    Proof("explain_slots", {"SLOTS": 3, "EXITS": 1, "IN_FLIGHT": 4}),
    Proof("explain_tap", {"LANES": 1, "C": 2, "POSITIONS": 2, "SLOTS": 2, "IN_FLIGHT": 2}),
    Proof("axil", {"ADDRESS_BITS": 4}),
    Proof("link", {"ADDRESS_BITS": 12, "FLUSH": 3}),
    Proof("map_ring", {"PIECES": 2}, cover=20),
    Proof("map_ring", {"PIECES": 4}, cover=30),
]

BROKEN = [
    Proof("fork", {"WIDTH": 2}, fault=("m1_valid = s_valid && !done1_q", "m1_valid = s_valid")),
    Proof(
        "add",
        {"FACTOR_A": 2, "FACTOR_B": -3, "A_BITS": 3, "OUT_BITS": 7},
        fault=("s0_ready = s1_valid && free", "s0_ready = free"),
    ),
    Proof(
        "add",
        {"FACTOR_A": 2, "FACTOR_B": -3, "A_BITS": 3, "OUT_BITS": 7},
        fault=("free = !valid_q || m_ready", "free = 1'b1"),
    ),
    Proof(
        "concat",
        {"A_WORDS": 2, "B_WORDS": 3, "FACTOR_B": -3, "B_BITS": 2, "OUT_BITS": 5},
        fault=("if (take) count_q", "if (free) count_q"),
    ),
    Proof(
        "concat",
        {"A_WORDS": 2, "B_WORDS": 3, "FACTOR_B": -3, "B_BITS": 2, "OUT_BITS": 5},
        fault=("s1_ready = free && second", "s1_ready = free"),
    ),
    Proof(
        "leaders",
        {"PE": 2, "CLASSES": 4, "BITS": 3},
        fault=("assign s_ready = go;", "assign s_ready = 1'b1;"),
    ),
    Proof(
        "best",
        {"PE": 4, "CLASSES": 8, "BITS": 2, "LEVELS_A_STAGE": 1},
        fault=("if (take) next_q <=", "if (s_valid) next_q <="),
    ),
    Proof(
        "softmax",
        {"PE": 1, "CLASSES": 3, "BITS": 2, "TABLE_BITS": 2},
        fault=("wire go = !m_valid || m_ready;", "wire go = 1'b1;"),
        free="best",
    ),
    Proof(
        "softmax",
        {"PE": 1, "CLASSES": 3, "BITS": 2, "TABLE_BITS": 2},
        fault=("DEPTH = BEATS + FOUND;", "DEPTH = BEATS;"),
        free="best",
    ),
    *(
        Proof("exclusion", {"PE": 2, "CLASSES": 6, "BITS": 2}, fault=fault, free="best")
        for fault in (
            ("looking_q <= look_q != FINAL;", "looking_q <= 1'b0;"),
            ("sight_q <= (score && keep) || looking_q;", "sight_q <= score || looking_q;"),
            ("carried_ready = take && last", "carried_ready = last"),
            ("all ? OUT : below[KEY-1:0]", "below[KEY-1:0]"),
        )
    ),
    *(
        Proof(
            "exclusion",
            {"PE": 4, "CLASSES": 8, "BITS": 2, "LEVELS_A_STAGE": 1},
            fault=fault,
            free="best",
        )
        for fault in (
            ("DEPTH = BEATS + AHEAD;", "DEPTH = BEATS;"),
            ("? read_q - PLACE_BITS'(AHEAD)", "? read_q"),
        )
    ),
    Proof(
        "patience",
        {"PE": 2, "CLASSES": 4, "BITS": 2},
        fault=("if (leaders_ready) carried_q", "if (carried_valid) carried_q"),
        free="best",
    ),
    Proof(
        "temporal",
        {"PE": 2, "CLASSES": 4, "BITS": 31},
        fault=("if (m_valid && m_ready) begin", "if (m_valid) begin"),
        free="best",
    ),
    Proof("band", {"HELD": 3}, search=20, fault=("load && moves_q && up_q", "load && up_q")),
    Proof(
        "decide",
        {"PE": 2, "CLASSES": 4, "BITS": 2, "SCORE_BITS": 3},
        fault=("told_q <= told && !take_beat;", "told_q <= 1'b0;"),
    ),
    Proof(
        "decide",
        {"PE": 2, "CLASSES": 4, "BITS": 2, "SCORE_BITS": 3},
        search=16,
        fault=("(meta_valid && !silent_q && !t_valid_q)", "meta_valid"),
    ),
    *(
        Proof(
            "rules", {"HEIGHT": 2, "WIDTH": 1, "SLOTS": 3, "TABLES": 0}, fault=fault, free="measure"
        )
        for fault in (
            ("(begun || room)", "1'b1"),
            ("wire go = !m_valid || m_ready;", "wire go = 1'b1;"),
            ("(!sending_q || last_read)", "1'b1"),
            ("word_valid_q <= sending_q;", "word_valid_q <= sending_q && !last_read;"),
        )
    ),
    *(
        Proof(
            "rules",
            {"HEIGHT": 1, "WIDTH": 2, "SLOTS": 2, "PLACES": 2, "LOOKS": 2, "TABLES": 0},
            fault=fault,
            search=14,
            free="measure",
        )
        for fault in (
            ("wire enter = place_take && place_free;", "wire enter = place_take;"),
            ("assign place_take = new_q && !again;", "assign place_take = new_q;"),
            ("~(last_read && !more_q ?", "~(last_read ?"),
            ("assign settled = !busy && !new_q;", "assign settled = !busy;"),
            ("assign fill = begun ? fill_q : unused_slot;", "assign fill = unused_slot;"),
            ("? 2'd1 : 2'd2;", "? 2'd2 : 2'd1;"),
        )
    ),
    *(
        Proof("looks", {"PE": 1, "CLASSES": 3, "BITS": 3, "LOOKS": 1, "SLOTS": 2}, fault=fault)
        for fault in (
            ("s_ready = m_ready && info_valid", "s_ready = m_ready"),
            ("if (take) sums", "if (s_valid) sums"),
            ("if (take) beat_q", "if (m_valid) beat_q"),
        )
    ),
    *(
        Proof("again", {"WHO_BITS": 2}, fault=fault)
        for fault in (
            ("if (decide) info_q", "if (!s_valid) info_q"),
            ("s_valid && m_ready && more", "s_valid && more"),
            ("more && !s_take && !off", "more && !s_take"),
        )
    ),
    *(
        Proof("look_buffer", {"WIDTH": 3, "FRAME": 3, "DEPTH": 9}, fault=fault, free="fifo")
        for fault in (
            ("if (put && !further) memory", "if (put) memory"),
            ("&& (!word_valid_q || m_ready)", ""),
            ("!(arriving && out_q == in_q)", "1'b1"),
            ("assign s_ready = info_valid;", "assign s_ready = info_valid && place_free;"),
        )
    ),
    Proof("route", {"META": 2}, fault=("s_take && !s_silent && !result_done_q", "s_take")),
    *(
        Proof("fifo", {"WIDTH": 5, "DEPTH": 2}, fault=fault)
        for fault in (
            ("s_ready = room_q", "s_ready = 1'b1"),
            ("room_q <= give ||", "room_q <="),
            ("some_q <= take ||", "some_q <="),
        )
    ),
    Proof(
        "frame_buffer",
        {"WIDTH": 4, "FRAME": 2, "DEPTH": 4},
        fault=("(put && !skip_q) memory", "(put) memory"),
    ),
    Proof(
        "frame_buffer",
        {"WIDTH": 4, "FRAME": 2, "DEPTH": 4},
        fault=("leave && drop && i + 1 >= 32'(kept_q)", "leave && drop && i >= 32'(kept_q)"),
    ),
    Proof(
        "frame_buffer",
        {"WIDTH": 4, "FRAME": 2, "DEPTH": 4},
        fault=("skip_q || begun || !full", "skip_q || !full"),
    ),
    Proof(
        "frame_buffer",
        {"WIDTH": 4, "FRAME": 2, "DEPTH": 4},
        fault=("&& (alone ? begun : !undecided)", "&& alone && begun"),
    ),
    Proof(
        "frame_store",
        {"WIDTH": 3, "FRAME": 2, "STORE": 2},
        search=24,
        fault=("open_q  <= count_q != COUNT_BITS'(STORE)", "open_q  <= 1'b1"),
    ),
    *(
        Proof(
            "merge",
            {"N": 2, "IN_FLIGHT": 2, "CLASS_BITS": 1, "SCORE_BITS": 6},
            fault=fault,
            free="records",
        )
        for fault in (
            ("!= turn_q[SLOT_BITS];", "!= 1'b0;"),
            ("order && !skip ?", "order ?"),
            ("wire out_free = !valid_q || m_ready", "wire out_free = 1'b1"),
            ("if (rst) valid_q <= 1'b0;", "if (rst || clear) valid_q <= 1'b0;"),
            ("if (load && !clear)", "if (load)"),
            ("next_q >= batch", "next_q == batch"),
            ("if (load || skip)", "if (load)"),
        )
    ),
    *(
        Proof("records", {"IN_FLIGHT": 2}, fault=fault)
        for fault in (
            ("plain || fresh_q != '0 ?", "fresh_q != '0 ?"),
            ("if (get || skip) left_q", "if (get) left_q"),
            ("if (plain) fresh_q <= ALL;", "if (plain) fresh_q <= '0;"),
            ("if (get) freed[left_q] <= get_slot;", "if (get) freed[left_q] <= left_q;"),
        )
    ),
    *(
        Proof(
            "explain_encode", {"BITS": 4, "MOST": 20}, fault=fault, search=24, free="explain_tiles"
        )
        for fault in (
            ("wire free = !valid_q || m_ready;", "wire free = 1'b1;"),
            ("wire tail = tail_q || (past && starts);", "wire tail = tail_q || past;"),
        )
    ),
    Proof(
        "explain_levels",
        {"BITS": 4, "CHANNELS": 1, "PIXELS": 1, "MOST": 3},
        fault=("coding && !stuck);", "coding);"),
        search=24,
    ),
    *(
        Proof("explain_tiles", {"BITS": 4}, fault=fault, search=24)
        for fault in (
            ("!closed_q && (!full_q || move);", "!full_q || move;"),
            ("from_q  <= !half_q;", "from_q  <= half_q;"),
        )
    ),
    Proof("raw", {"N": 2}, fault=("if (rst) valid_q", "if (rst || clear) valid_q")),
    Proof("raw", {"N": 2}, fault=("2'd3) && !clear;", "2'd3);")),
    Proof("raw", {"N": 2}, fault=("{96'd0, logit}", "{data_q[127:32], logit}")),
    *(
        Proof("tag", {"WIDTH": 2, "FRAME": 3, "IN_FLIGHT": 2}, fault=fault)
        for fault in (
            ("granted_q <= first && m_valid && !m_ready;", "granted_q <= 1'b0;"),
            ("occupied < MOST", "occupied <= MOST"),
            ("first ? bank : bank_q", "bank"),
            ("pad_q ? '0 : s_data", "s_data"),
        )
    ),
    *(
        Proof(
            "threshold",
            {"IN_BITS": 3, "OUT_BITS": 2, "LEVELS": 3, "EDGES": 1, "FOLDS": 3},
            fault=fault,
        )
        for fault in (
            ("if (load) edge_q <=", "if (offer[STAGES-1]) edge_q <="),
            ("m_edge[p] <= (x >= edge_q) !=", "m_edge[p] <= (x > edge_q) !="),
            ("'0 : fold_q + 1'b1;", "'0 : fold_q;"),
        )
    ),
    *(
        Proof("explain_gather", {"LANES": 12, "BITS": 1, "C": 24, "POSITIONS": 2}, fault=fault)
        for fault in (
            ("count_q == 4'd0 ? '0 : held_q", "held_q"),
            ("word_q  <= rest_q ? WORD'(held_q) :", "word_q  <= take ? both[WORD-1:0] :"),
            ("count_q <= end_fold ? 4'd0 :", "count_q <="),
        )
    ),
    Proof(
        "explain_gather",
        {"LANES": 8, "BITS": 1, "C": 24, "POSITIONS": 2},
        fault=("else if (SHORT && place == '0) slot_q <= '0;", ""),
    ),
    *(
        Proof(
            "explain_pool",
            {"LANES": 1, "IN_BITS": 2, "C": 1, "H": 3, "W": 3, "KH": 2, "KW": 1},
            search=20,
            fault=fault,
        )
        for fault in (
            ("^ TOP) >= (s_data", "^ TOP) > (s_data"),
            ("row_q  <= (ky_end || y_end) ? '0 :", "row_q  <= ky_end ? '0 :"),
            ("valid_q <= take && last", "valid_q <= last"),
        )
    ),
    *(
        Proof("explain_store", {"WIDTH": 2, "WORDS": 6, "SLOTS": 2, "WIDE": 3}, fault=fault)
        for fault in (
            ("32'(w_address) * SLOTS + 32'(w_slot)", "32'(w_address) * SLOTS"),
            ("if (r_valid) bank_q <=", "bank_q <="),
        )
    ),
    *(
        Proof(
            "explain_choose",
            {"SLOTS": 2, "EXITS": 2, "ASKED": 2, "CLASS_BITS": 2},
            fault=fault,
        )
        for fault in (
            ("for (int e = EXITS - 1; e >= 0; e--)", "for (int e = 0; e < EXITS; e++)"),
            ("next = next + (SW + 1)'(left[e]);", "next = write_q + (SW + 1)'(left != '0);"),
            ("wire take = m_valid && m_ready;", "wire take = m_valid;"),
            ("ahead[31] || (enter && ahead == '0)", "ahead[31]"),
            ("(note && stay == '1)", "1'b0"),
            ("asked_q[kept_slot] <= asked;", "asked_q[kept_slot] <= want;"),
        )
    ),
    *(
        Proof("sparse", SPARSE, fault=fault)
        for fault in (
            ("if (move_m && end_m) full_q[half_m]", "if (step && last_step) full_q[work_q]"),
            ("full_q[fill_q] <= 1'b1;", "full_q[!fill_q] <= 1'b1;"),
            ("assign enable_a = !valid_a_q || enable[0];", "assign enable_a = 1'b1;"),
            ("assign enable_c = !result_q || result_ready;", "assign enable_c = 1'b1;"),
        )
    ),
    *(
        Proof("logic", {"STAGES": 3}, fault=fault)
        for fault in (
            ("!valid_q[i] || ahead[i+1]", "ahead[i+1]"),
            ("!valid_q[i] || ahead[i+1]", "1'b1"),
        )
    ),
    *(
        Proof("explain_port", {"WIDTH": 2}, fault=fault)
        for fault in (
            ("if (clear && inside_q) cut_q <= 1'b1;", ""),
            ("cut_q && free && !clear;", "cut_q && free;"),
        )
    ),
    *(
        Proof("explain_slots", {"SLOTS": 2, "EXITS": 2, "IN_FLIGHT": 2}, fault=fault)
        for fault in (
            ("kept = want && used_q != '1;", "kept = want;"),
            ("has && !explain[e];", "has && explain[e];"),
            ("if (decide[e]) read_q <=", "if (decide[e] && take[e]) read_q <="),
        )
    ),
    Proof(
        "explain_tap",
        {"LANES": 1, "C": 2, "POSITIONS": 2, "SLOTS": 2, "IN_FLIGHT": 2},
        search=16,
        fault=("2 * IN_FLIGHT);", "IN_FLIGHT);"),
    ),
    Proof(
        "explain_tap",
        {"LANES": 1, "C": 2, "POSITIONS": 2, "SLOTS": 2, "IN_FLIGHT": 2},
        fault=("if (w_valid && w_last) passed_q", "if (w_valid) passed_q"),
    ),
    *(
        Proof("axil", {"ADDRESS_BITS": 4}, fault=fault)
        for fault in (
            ("assign awready = !aw_q && !rst;", "assign awready = !aw_q;"),
            ("aw_q && w_q && !b_q", "aw_q && w_q"),
            ("      fetch_q <= 1'b0;\n", ""),
            ("write ? awaddr_q : araddr_q", "araddr_q"),
        )
    ),
    *(
        Proof("link", {"ADDRESS_BITS": 12, "FLUSH": 3}, search=14, fault=fault)
        for fault in (
            ("ahead == '0 && p_kind == IMAGE && !store_whole", "1'b0"),
            ("end else if (ahead[7]) begin", "end else if (ahead != '0) begin"),
            ("again = good && open_q && p_kind == A", "again = good && p_kind == A"),
            ("end else if (p_kind != AGAIN && !map_known) begin", "end else if (1'b0) begin"),
            ("map_taken = good && open_q", "map_taken = good"),
        )
    ),
    *(
        Proof("map_ring", {"PIECES": 2}, search=16, fault=fault)
        for fault in (
            ("full = count == 8'(PIECES);", "full = 1'b0;"),
            ("if (pass) kept_q <= seq;", "if (taken) kept_q <= seq;"),
            ("ends[write_q[PW-1:0]] <= last;", "ends[current_q] <= last;"),
            ("current_q <= send_q[PW-1:0];", "current_q <= write_q[PW-1:0];"),
        )
    ),
]

pytestmark = [
    pytest.mark.synth,
    pytest.mark.skipif(
        not (Path(sys.executable).parent / "yowasp-sby").exists(),
        reason="sby is not installed; make venv installs it",
    ),
]

QUICK = {
    "frame_buffer_width4_frame2_depth4",
    "frame_store_width3_frame2_store2",
    "merge_n2_in_flight2",
    "tag_width2_frame3_in_flight2",
    "rules_height2_width1_slots3_tables0",
    "leaders_pe2_classes4_bits3",
    "best_pe2_classes4_bits3",
    "softmax_pe1_classes3_bits2_table_bits2",
    "decide_pe2_classes4_bits2_score_bits3",
    "fork_width2",
    "add_factor_a2_factor_b-3_a_bits3_out_bits7",
    "concat_a_words2_b_words3_factor_b-3_b_bits2_out_bits5",
}


def cases(proofs: list[Proof], quick: bool) -> list[Any]:
    """Those in QUICK run with `make test` if `quick`, the others are slow."""
    marks = [() if quick and p.name in QUICK else (pytest.mark.slow,) for p in proofs]
    return [pytest.param(p, marks=m, id=p.name) for p, m in zip(proofs, marks, strict=True)]


@pytest.mark.parametrize("proof", cases(PROOFS, True))
def test_proved(proof: Proof) -> None:
    passed, log = run(proof, "prove")
    assert passed, log


@pytest.mark.parametrize("proof", cases(PROOFS, False))
def test_reached(proof: Proof) -> None:
    passed, log = run(proof, "cover")
    assert passed, log


@pytest.mark.parametrize("proof", cases(BROKEN, False))
def test_broken_copy_fails(proof: Proof) -> None:
    passed, log = run(proof, "bmc")
    assert not passed, f"no counterexample to the fault {proof.fault}"
    assert "DONE (FAIL" in log, log
