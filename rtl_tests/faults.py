"""Deliberate faults, each of which a named test must catch; `make mutants` puts them in."""

from __future__ import annotations

from edges import faults as edges
from exclusion import faults as exclusion
from explain import faults as explain
from explain_choose import faults as explain_choose
from explain_encode import faults as explain_encode
from explain_gather import faults as explain_gather
from explain_pool import faults as explain_pool
from explain_port import faults as explain_port
from explain_registers import faults as explain_registers
from explain_slots import faults as explain_slots
from explain_store import faults as explain_store
from explain_tap import faults as explain_tap
from hold import faults as hold
from logic import faults as logic
from margin import faults as margin
from merge import faults as merge
from mutant import Mutant
from mvu import faults as mvu
from registers import faults as registers
from rules import faults as rules
from serial_blocks import faults as serial_blocks
from sparse import faults as sparse

MUTANTS = (
    *edges.MUTANTS,
    *exclusion.MUTANTS,
    *explain.MUTANTS,
    *explain_choose.MUTANTS,
    *explain_encode.MUTANTS,
    *explain_gather.MUTANTS,
    *explain_pool.MUTANTS,
    *explain_port.MUTANTS,
    *explain_registers.MUTANTS,
    *explain_slots.MUTANTS,
    *explain_store.MUTANTS,
    *explain_tap.MUTANTS,
    *hold.MUTANTS,
    *logic.MUTANTS,
    *margin.MUTANTS,
    *merge.MUTANTS,
    *mvu.MUTANTS,
    *registers.MUTANTS,
    *rules.MUTANTS,
    *serial_blocks.MUTANTS,
    *sparse.MUTANTS,
    Mutant(
        "hls/rtl/ex_fifo.sv",
        "assign s_ready = room_q;",
        "assign s_ready = 1'b1;",
        "rtl_tests/fifo/test_fifo.py::test_fifo",
    ),
    Mutant(
        "hls/rtl/ex_fifo.sv",
        "room_q <= give || count != COUNT_BITS'(DEPTH - 1);",
        "room_q <= count != COUNT_BITS'(DEPTH - 1);",
        "rtl_tests/fifo/test_fifo.py::test_fifo",
    ),
    Mutant(
        "hls/rtl/ex_fifo.sv",
        "some_q <= take || count != COUNT_BITS'(1);",
        "some_q <= take || count != '0;",
        "rtl_tests/fifo/test_fifo.py::test_fifo",
    ),
    Mutant(
        "hls/rtl/ex_fork.sv",
        "done0_q <= has0;",
        "done0_q <= 1'b0;",
        "rtl_tests/fork/test_fork.py::test_fork",
    ),
    Mutant(
        "hls/rtl/ex_duplicate.sv",
        "assign busy = s_valid;",
        "assign busy = 1'b0;",
        "rtl_tests/duplicate/test_duplicate.py::test_duplicate",
    ),
    Mutant(
        "hls/rtl/ex_add.sv",
        "32'($signed({B_SIGNED && b[B_BITS-1], b}))",
        "32'($signed({1'b0, b}))",
        "rtl_tests/add/test_add.py::test_add",
        corners="u4_u4_f1_f1_lanes1_3x4,s3_s8_f2_fm3_lanes1_3x4",
    ),
    Mutant(
        "hls/rtl/ex_add.sv",
        "assign s1_ready = s0_valid && free;",
        "assign s1_ready = free;",
        "rtl_tests/add/test_add.py::test_add",
        corners="u4_u4_f1_f1_lanes1_3x4,s3_s8_f2_fm3_lanes1_3x4",
    ),
    Mutant(
        "hls/rtl/ex_concat.sv",
        "wire                   second = count_q >= COUNT_BITS'(A_WORDS);",
        "wire                   second = count_q > COUNT_BITS'(A_WORDS);",
        "rtl_tests/concat/test_concat.py::test_concat",
        corners="u4_u4_f1_f1_w1_w1_lanes1_3x4,s8_u4_f2_fm3_w5_w2_lanes8_3x4",
    ),
    Mutant(
        "hls/rtl/ex_concat.sv",
        "      count_q <= '0;\n    end else begin",
        "    end else begin",
        "rtl_tests/concat/test_concat.py::test_concat",
        corners="u4_u4_f1_f1_w1_w1_lanes1_3x4,s8_u4_f2_fm3_w5_w2_lanes8_3x4",
    ),
    Mutant(
        "python/exeunt/reference/prepared.py",
        "front is not None and uses[taken[0]] == 1:",
        "front is not None:",
        "python/tests/reference/test_joined.py::test_windows_that_two_read_stay",
    ),
    Mutant(
        "python/exeunt/reference/pipeline.py",
        "return _least(least + 1, found[i], enough)",
        "return _least(least + 1, found[i], enough) + 1",
        "python/tests/reference/test_joined.py"
        "::test_depths_suffice_and_no_long_one_can_be_a_word_shorter",
    ),
    Mutant(
        "python/exeunt/reference/tokens.py",
        "return np.maximum(words - depth, 0) if depth",
        "return np.maximum(words - depth - 1, 0) if depth",
        "python/tests/reference/test_joined.py::test_words_move_or_stand_still",
    ),
    Mutant(
        "hls/rtl/ex_frame_buffer.sv",
        "else if (verdict && !decide_keep && (alone ? begun : !undecided))",
        "else if (verdict && !decide_keep && alone && begun)",
        "rtl_tests/frame_buffer/test_frame_buffer.py::test_frame_buffer",
    ),
    Mutant(
        "hls/rtl/ex_decide.sv",
        "- 33'($signed(threshold));",
        "- 33'($signed(threshold)) - 33'd1;",
        "rtl_tests/decide/test_decide.py::test_decide",
        corners="pe1_classes10_bits14_score15,pe2_classes2_bits8_score1_last",
    ),
    Mutant(
        "hls/rtl/ex_decide.sv",
        "32'($signed(given)) - 32'(offsets[class_in])",
        "32'($signed(given)) + 32'(offsets[class_in])",
        "rtl_tests/decide/test_decide.py::test_decide",
        corners="pe1_classes10_bits14_score15_offsets14",
    ),
    Mutant(
        "python/exeunt/criteria/leaving.py",
        "off = self._offsets[self._exit][scored.classes]",
        "off = self._offsets[0][scored.classes]",
        "python/tests/simulate/test_offsets.py"
        "::test_every_answer_of_classes_with_thresholds_of_their_own[margin]",
    ),
    Mutant(
        "quant/exits/calibration.py",
        "offsets_of(plain.some(laying), macs, drop)",
        "offsets_of(plain, macs, drop)",
        "python/tests/quant/test_offsets.py"
        "::test_images_that_test_a_promise_have_no_say_in_the_offsets[average]",
    ),
    Mutant(
        "hls/rtl/ex_patience.sv",
        "assign carried_ready = take && last;",
        "assign carried_ready = take;",
        "rtl_tests/patience/test_patience.py::test_patience",
        corners="patience_lanes1_classes10_bits14",
        hangs=True,
    ),
    Mutant(
        "hls/rtl/ex_patience.sv",
        "if (leaders_ready) carried_q <=",
        "if (carried_valid) carried_q <=",
        "rtl_tests/patience/test_patience.py::test_patience",
        corners="patience_lanes1_classes10_bits14",
    ),
    Mutant(
        "hls/rtl/ex_patience.sv",
        "brought = carried_q[STAGES-1]",
        "brought = carried_q[0]",
        "rtl_tests/patience/test_patience.py::test_patience",
        corners="patience_lanes33_classes66_bits4",
    ),
    Mutant(
        "hls/rtl/ex_temporal.sv",
        "if (m_valid && m_ready) begin",
        "if (m_valid) begin",
        "rtl_tests/temporal/test_temporal.py::test_temporal",
        corners="temporal_lanes2_classes2_bits8,temporal_lanes5_classes10_bits12",
    ),
    Mutant(
        "hls/rtl/ex_temporal.sv",
        "sum > MOST ? MOST : sum",
        "sum",
        "rtl_tests/temporal/test_temporal.py::test_temporal",
        corners="temporal_lanes1_classes3_bits31",
    ),
    Mutant(
        "hls/rtl/ex_decide.sv",
        "assign score_keep = !takes;",
        "assign score_keep = !reaches;",
        "rtl_tests/decide/test_decide.py::test_decide",
        corners="pe1_classes10_bits14_score15,pe2_classes2_bits8_score1_last",
    ),
    Mutant(
        "hls/templates/core.sv.j2",
        '["carry%d" % (i - 1), "carried%d" % i]',
        '["carried%d" % i]',
        "python/tests/simulate/test_criteria.py::test_every_answer_and_every_cycle[exclusion]",
        hangs=True,
    ),
    Mutant(
        "python/exeunt/reference/system.py",
        "carried = [(_AGO, shown - 1 + delay)]",
        "carried = [(_AGO, shown - 2 + delay)]",
        "python/tests/simulate/test_criteria.py"
        "::test_logits_that_come_before_their_word_wait_for_it",
    ),
    Mutant(
        "python/exeunt/criteria/exclusion.py",
        "left & (largest - logits < limits[:, None])",
        "largest - logits < limits[:, None]",
        "python/tests/criteria/test_exclusion.py"
        "::test_sets_only_shrink_and_the_last_exit_answers_from_what_is_left",
    ),
    Mutant(
        "python/exeunt/reference/modelled.py",
        "self._states = job.states",
        "pass",
        "python/tests/simulate/test_criteria.py::test_the_driver_meets_the_same_answers[temporal]",
    ),
    Mutant(
        "python/exeunt/bench/measure.py",
        "if criteria.get(subject.criterion).history is not None:",
        "if False:",
        "python/tests/simulate/test_criteria.py"
        "::test_the_benchmark_meets_the_same_answers[temporal]",
    ),
    Mutant(
        "python/exeunt/runtime/selftests.py",
        "if description.remembers:",
        "if False:",
        "python/tests/simulate/test_criteria.py::test_the_driver_meets_the_same_answers[temporal]",
    ),
    Mutant(
        "python/exeunt/simulate/answers.py",
        "if rule.history is not None:",
        "if False:",
        "python/tests/simulate/test_criteria.py::test_every_answer_and_every_cycle[temporal]",
    ),
    Mutant(
        "hls/rtl/ex_axil.sv",
        "assign reg_write = write && &wstrb_q;",
        "assign reg_write = write && wstrb_q[3];",
        "rtl_tests/axil/test_axil.py::test_axil",
    ),
    Mutant(
        "hls/templates/top.sv.j2",
        "assign m_axis_tkeep = 16'hffff;",
        "assign m_axis_tkeep = 16'h00ff;",
        "rtl_tests/system/test_system.py::test_system",
    ),
    Mutant(
        "hls/rtl/ex_leaders.sv",
        "assign busy = moving && go;",
        "assign busy = m_valid && m_ready;",
        "rtl_tests/maximum/test_maximum.py::test_maximum",
        corners="maximum_lanes33_classes66_bits4,maximum_lanes5_classes10_bits12",
    ),
    Mutant(
        "hls/rtl/ex_maximum.sv",
        "assign m_data = {largest, winner};",
        "assign m_data = {largest, CLASS_BITS'(0)};",
        "rtl_tests/maximum/test_maximum.py::test_maximum",
        corners="maximum_lanes5_classes10_bits12",
    ),
    Mutant(
        "hls/rtl/ex_softmax.sv",
        "DEPTH = BEATS + FOUND;",
        "DEPTH = BEATS + FOUND - 2;",
        "rtl_tests/softmax/test_softmax.py::test_softmax",
        corners="softmax_lanes33_classes66_bits4_scale0p7,softmax_lanes1_classes10_bits14_scale0p01",
    ),
    Mutant(
        "hls/rtl/ex_softmax.sv",
        "SCORE_BITS'(own[0]) : score_q;",
        "SCORE_BITS'(0) : score_q;",
        "rtl_tests/softmax/test_softmax.py::test_softmax",
        corners="softmax_lanes1_classes10_bits14_scale0p01,softmax_lanes7_classes7_bits5_scale0p5",
    ),
    Mutant(
        "hls/rtl/ex_softmax.sv",
        "wire far = WIDE - SHIFT > INDEX_BITS && index >> INDEX_BITS != '0;",
        "wire far = 1'b0;",
        "rtl_tests/softmax/test_softmax.py::test_softmax",
        corners="softmax_lanes3_classes9_bits16_scale0p0002,softmax_lanes1_classes10_bits14_scale0p01",
    ),
    Mutant(
        "hls/rtl/ex_softmax.sv",
        "found ? winner : class_q[0]",
        "winner",
        "rtl_tests/softmax/test_softmax.py::test_softmax",
        corners="softmax_lanes1_classes10_bits14_scale0p01,softmax_lanes7_classes7_bits5_scale0p5",
    ),
    Mutant(
        "hls/rtl/ex_softmax.sv",
        "if (found) largest_q <= largest;",
        "largest_q <= largest;",
        "rtl_tests/softmax/test_softmax.py::test_softmax",
        corners="softmax_lanes1_classes10_bits14_scale0p01,softmax_lanes7_classes7_bits5_scale0p5",
    ),
    Mutant(
        "hls/rtl/ex_softmax.sv",
        "assign busy = go && (moving || read || valid_q != '0);",
        "assign busy = go && moving;",
        "rtl_tests/softmax/test_softmax.py::test_softmax",
        corners="softmax_lanes1_classes10_bits14_scale0p01,softmax_lanes7_classes7_bits5_scale0p5",
    ),
    Mutant(
        "hls/rtl/ex_threshold.sv",
        "wire                reached = {1'b0, x_q} >= threshold_q;",
        "wire                reached = {1'b0, x_q} > threshold_q;",
        "rtl_tests/threshold",
    ),
    Mutant(
        "hls/rtl/ex_swg.sv",
        "NEED_ROW = KEEP_ROW + FREE_ROW;",
        "NEED_ROW = KEEP_ROW;",
        "rtl_tests/swg/test_swg.py::test_swg",
        corners="serial_3x3x1_k33_s11_same_simd1_u2_d11_b1,"
        "serial_6x2x1_k11_s11_none_simd1_u2_d11_b1",
    ),
    Mutant(
        "hls/rtl/ex_swg.sv",
        "y_q <= y_q + YW'(DH);",
        "y_q <= y_q + YW'(1);",
        "rtl_tests/swg/test_swg.py::test_swg",
        corners="serial_7x6x4_k33_s11_same_simd1_u4_d22_b4,serial_5x7x4_k23_s21_none_simd1_u4_d13_b2",
    ),
    Mutant(
        "hls/rtl/ex_swg.sv",
        "offset_q <= offset_q + LW'(NEXT_BLOCK);",
        "",
        "rtl_tests/swg/test_swg.py::test_swg",
        corners="serial_7x6x4_k33_s11_same_simd1_u4_d22_b4,serial_5x7x4_k23_s21_none_simd1_u4_d13_b2",
    ),
    Mutant(
        "hls/rtl/ex_swg.sv",
        "need_q <= present ? offset_q : LW'(-DEPTH);",
        "need_q <= offset_q;",
        "rtl_tests/swg/test_swg.py::test_swg",
        corners="serial_3x3x1_k33_s11_same_simd1_u2_d11_b1",
    ),
    Mutant(
        "hls/rtl/ex_registers.sv",
        "if (count_down && last_cycle) resetting_q",
        "if (last_cycle) resetting_q",
        "rtl_tests/registers/test_registers.py::test_registers",
    ),
    Mutant(
        "hls/rtl/ex_swg_parallel.sv",
        "assign lack = need_q + ahead - arrived_q;",
        "assign lack = need_q - arrived_q;",
        "rtl_tests/swg/test_swg.py::test_swg",
    ),
    Mutant(
        "hls/rtl/ex_swg_parallel.sv",
        "assign over = level_q - LW'(DEPTH);",
        "assign over = level_q - LW'(DEPTH + 1);",
        "rtl_tests/swg/test_swg.py::test_swg",
    ),
    Mutant(
        "hls/rtl/ex_swg.sv",
        "assign lack = need_q - level_q;",
        "assign lack = need_q - level_q - LW'(1);",
        "rtl_tests/swg/test_swg.py::test_swg",
    ),
    Mutant(
        "hls/rtl/ex_swg.sv",
        "known_q <= 1'b0;",
        "known_q <= 1'b1;",
        "rtl_tests/swg/test_swg.py::test_swg",
        corners="serial_3x3x1_k33_s11_same_simd1_u2_d11_b1",
    ),
    Mutant(
        "hls/rtl/ex_swg.sv",
        "back[AW] ? sum : AW'(back)",
        "sum",
        "rtl_tests/swg/test_swg.py::test_swg",
        corners="serial_5x7x1_k33_s11_same_simd1_u2_d11_b1",
    ),
    Mutant(
        "hls/rtl/ex_swg.sv",
        "move_q <= window_end ? move",
        "move_q <= 1'b1 ? move",
        "rtl_tests/swg/test_swg.py::test_swg",
        corners="serial_3x3x1_k33_s11_same_simd1_u2_d11_b1",
    ),
    Mutant(
        "hls/rtl/ex_swg_parallel.sv",
        "localparam int FROM = -r * int'(DH);",
        "localparam int FROM = -r;",
        "rtl_tests/swg/test_swg.py::test_swg",
        corners="parallel_7x6x4_k33_s11_same_simd4_u4_d22_b4,parallel_8x8x4_k33_s11_same_simd4_u4_d22_b1",
    ),
    Mutant(
        "hls/rtl/ex_raw.sv",
        "if (rst) valid_q <= 1'b0;",
        "if (rst || clear) valid_q <= 1'b0;",
        "rtl_tests/raw/test_raw.py",
    ),
    Mutant(
        "boards/common/rtl/ex_result_ring.sv",
        "assign known = behind <= kept_q;",
        "assign known = 1'b1;",
        "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks",
        corners="result_ring",
    ),
    Mutant(
        "hls/rtl/ex_pool.sv",
        "ky_q <= (ky_end || y_end) ? '0",
        "ky_q <= ky_end ? '0",
        "rtl_tests/pool/test_pool.py",
    ),
    Mutant(
        "hls/rtl/ex_width.sv",
        "assign s_ready = !last || !valid_q || m_ready;",
        "assign s_ready = 1'b1;",
        "rtl_tests/width/test_width.py",
        corners="from1_to2_u1_words1,from2_to1_u4_words1",
    ),
    Mutant(
        "hls/rtl/ex_tag.sv",
        "id_q  <= id_q + 1'b1;",
        "id_q  <= {16'd0, id_q[15:0] + 1'b1};",
        "rtl_tests/tag/test_tag.py::test_tag",
    ),
    Mutant(
        "hls/rtl/ex_tag.sv",
        "granted_q <= first && m_valid && !m_ready;",
        "granted_q <= 1'b0;",
        "rtl_tests/tag/test_tag.py::test_tag",
    ),
    Mutant(
        "boards/common/rtl/ex_packet_rx.sv",
        "reason_q <= crc_good ? GOOD : BAD_CRC;",
        "reason_q <= GOOD;",
        "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks",
        corners="packet_rx1",
    ),
    Mutant(
        "boards/common/rtl/ex_frame_store.sv",
        "open_q  <= count_q != COUNT_BITS'(STORE);",
        "open_q  <= 1'b1;",
        "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks",
        corners="frame_store24x7x1",
    ),
    Mutant(
        "boards/common/rtl/ex_result_ring.sv",
        "wire full = &unsent_q;",
        "wire full = 1'b0;",
        "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks",
        corners="result_ring",
    ),
    Mutant(
        "boards/common/rtl/ex_result_ring.sv",
        "unsent_q <= behind + 8'(store);",
        "unsent_q <= behind;",
        "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks",
        corners="result_ring",
    ),
    Mutant(
        "boards/common/rtl/ex_link.sv",
        "end else if (ahead[7]) begin",
        "end else if (ahead != '0) begin",
        "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks",
        corners="link12",
    ),
    Mutant(
        "boards/common/rtl/ex_serial_shell.sv",
        ".clk(clk), .rst(rst), .flush(flush),\n      .start(body_start)",
        ".clk(clk), .rst(rst), .flush(1'b0 && flush),\n      .start(body_start)",
        "rtl_tests/serial_shell/test_serial_shell.py::test_serial_shell",
    ),
    Mutant(
        "boards/common/rtl/ex_packet_tx.sv",
        "r_valid && !(result_q && (p_valid || a_valid)) && !(piece_q && a_valid)",
        "r_valid",
        "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks",
        corners="packet_tx784",
    ),
    Mutant(
        "boards/common/rtl/ex_uart_rx.sv",
        "localparam logic [BITS-1:0] HALF = BITS'(DIVISOR / 2 - 1);",
        "localparam logic [BITS-1:0] HALF = BITS'(DIVISOR - 2);",
        "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks",
        corners="uart_rx8",
    ),
    Mutant(
        "boards/common/rtl/ex_uart_rx.sv",
        "vote_q <= (line_q && past_q[0]) ||",
        "vote_q <= line_q; //",
        "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks",
        corners="uart_rx8",
    ),
    Mutant(
        "boards/common/rtl/ex_link.sv",
        "FLUSH_BITS'(FLUSH);",
        "FLUSH_BITS'(FLUSH / 4);",
        "rtl_tests/serial_blocks/test_serial_blocks.py::test_serial_blocks",
        corners="link12",
    ),
    Mutant(
        "python/exeunt/runtime/serial.py",
        "        if ahead == 0:\n            self._result",
        "        if ahead < 2:\n            self._result",
        "python/tests/runtime/test_serial.py",
    ),
    Mutant(
        "python/exeunt/kernels/pool.py",
        "np.maximum if node.function",
        "np.minimum if node.function",
        "python/tests/kernels/test_pool.py",
    ),
    Mutant(
        "python/exeunt/kernels/swg/serial.py",
        "kw * folds + new + (new // window + 2) * sw * folds",
        "kw * folds",
        "rtl_tests/swg/test_swg.py::test_the_ring_never_limits",
    ),
    Mutant(
        "python/exeunt/kernels/parts/levels.py",
        "first = np.clip(thresholds.astype(np.int64) - low, 0, span)",
        "first = np.clip(thresholds.astype(np.int64) - low + 1, 0, span)",
        "rtl_tests/mvu/test_mvu.py::test_values_against_the_definition",
    ),
    Mutant(
        "quant/exits/calibration.py",
        "take[k] = (score[k] >= thresholds[k])",
        "take[k] = (score[k] > thresholds[k])",
        "python/tests/quant/test_calibration.py",
    ),
    Mutant(
        "python/exeunt/manifest.py",
        "if seen != recorded:",
        "if not seen:",
        "python/tests/test_manifest.py::test_refuses_rtl_changed_by_hand",
    ),
    Mutant(
        "python/exeunt/command/run.py",
        'if entry is None or entry["inputs"] != inputs:',
        "if entry is None:",
        "python/tests/command/test_run.py::test_only_what_depends_on_a_change_runs_again",
    ),
    Mutant(
        "python/exeunt/synth/counts.py",
        "known[name][unit] += value",
        "known[name][unit] = value",
        "python/tests/synth/test_counts.py::test_counts_go_down_the_hierarchy",
    ),
    Mutant(
        "quant/exits/losses.py",
        "loss = loss + weight * distill * _TEMPERATURE**2 * gap",
        "loss = loss + weight * distill * _TEMPERATURE * gap",
        "python/tests/quant/test_losses.py::test_joint_loss_by_hand",
    ),
    Mutant(
        "python/exeunt/kernels/layer.py",
        "if value % d == 0",
        "if value % d < 2",
        "python/tests/hls/test_folding.py",
    ),
    Mutant(
        "quant/exits/calibration.py",
        "place = int(found.first[most]) - 1 if",
        "place = int(found.first[most]) if",
        "python/tests/quant/test_guarantee.py::test_the_boldest_set_with_no_more_losses_than_allowed",
    ),
)
