// Properties of ex_rules: the output keeps its contract, every frame that comes in leaves once, in
// order, whole, and no slot is written while its frame is waited for. Of ex_measure is assumed that
// it judges each frame once; free_measure.sv stands for it. Values and cycles are compared with the
// reference by rtl_tests/rules.
  logic       f_past = 1'b0;
  logic [3:0] f_in, f_out;   // frames in and out, modulo 16
  logic [BEAT_BITS-1:0] f_beat;  // beats of the frame on m that were taken
  localparam int F_STAGES = TABLES > 0 ? 2 : 1;
  wire f_give = m_valid && m_ready;
  wire f_end = f_give && f_beat == FINAL;
  wire [3:0] f_pipe = 4'(word_valid_q) + 4'(TABLES > 0 && m_valid);  // beats read, not taken
  wire [3:0] f_begun = 4'(begun);
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    f_in   <= empty ? '0 : f_in + 4'(last);
    f_out  <= empty ? '0 : f_out + 4'(f_end);
    if (f_give) f_beat <= f_end ? '0 : f_beat + 1'b1;
    if (empty) f_beat <= '0;
    if (f_past && !empty && $past(m_valid && !m_ready && !empty)) begin
      assert (m_valid && $stable(m_data));
    end
    cover (f_past && f_out == 4'd2 && $past(m_valid && !m_ready));
    cover (f_past && g_in_order.held_q == COUNT_BITS'(SLOTS) && s_valid);
  end
  // frames in the pipeline: how many have their last beat read and not yet taken
  wire [7:0] f_read = sending_q ? 8'(count_q) : 8'(BEATS);  // of the frame read last
  wire [7:0] f_gone = 8'(BEATS) * 8'(4'(f_in - f_out)) - 8'(f_beat);  // beats still to be taken
  wire [7:0] f_kept = 8'(BEATS) * (8'(g_in_order.waiting_q) + 8'(busy));
  always_comb begin
    if (!f_past) assume (rst);
    if (f_past) begin
      assert (32'(g_in_order.held_q) <= SLOTS);
      assert (32'(g_in_order.held_q) == 32'(g_in_order.waiting_q) + 32'(busy) + 32'(sending_q) + 32'(begun));
      assert (32'(beat_q) < BEATS && 32'(f_beat) < BEATS && 32'(count_q) <= BEATS);
      assert (!sending_q || 32'(count_q) < BEATS);
      assert (32'(g_in_order.fill_q) < SLOTS && 32'(g_in_order.judge_q) < SLOTS && 32'(g_in_order.send_q) < SLOTS);
      assert (32'(g_in_order.judge_q) == (32'(g_in_order.send_q) + 32'(g_in_order.waiting_q)) % SLOTS);
      assert (32'(g_in_order.fill_q) == (32'(g_in_order.judge_q) + 32'(busy)) % SLOTS);
      assert (!sending_q || 32'(g_in_order.send_q) == (32'(slot_q) + 1) % SLOTS);
      assert (!(take && read) || g_in_order.fill_q != slot_q);
      assert (f_gone == f_kept + (sending_q ? 8'(BEATS) - f_read : 8'd0) + 8'(f_pipe));
    end
  end
