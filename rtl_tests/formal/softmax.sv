// Properties of ex_softmax: one score per frame, no beat is read before it is written or
// overwritten before it is read, both streams keep their contract. Of ex_best is assumed what is
// proved of it; free_best.sv stands for it. What class and score are is compared with the
// reference by rtl_tests/softmax.
  logic       f_past = 1'b0;
  logic [3:0] f_beats, f_frames, f_scores;  // beats of this frame; frames in, scores out, modulo 16
  logic [3:0] f_age;   // cycles with go since a frame ended, not above 15
  logic [3:0] f_live;  // beats in the ring
  localparam logic [3:0] F_BEATS = 4'(BEATS);
  wire f_end = take && f_beats == F_BEATS - 4'd1;
  logic [3:0] f_summed;  // frames whose last beat was read, and whose score has not left
  always_comb begin
    f_summed = '0;
    for (int j = 0; j < FLOW; j++) f_summed = f_summed + 4'(valid_q[j] && last_q[j]);
  end
  always_ff @(posedge clk) begin
    f_past   <= 1'b1;
    f_beats  <= rst || f_end ? '0 : f_beats + 4'(take);
    f_frames <= rst ? '0 : f_frames + 4'(f_end);
    f_scores <= rst ? '0 : f_scores + 4'(m_valid && m_ready);
    f_live   <= rst ? '0 : f_live + 4'(take) - 4'(read && go);
    if (go) f_age <= f_end ? '0 : f_age == '1 ? '1 : f_age + 4'd1;
    if (rst) f_age <= '1;
    if (f_past && $past(s_valid && !s_ready && !rst)) assume (s_valid && $stable(s_data));
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data));
    end
    cover (f_past && f_scores == 4'd3 && $past(m_valid && !m_ready));
  end
  always_comb begin
    if (!f_past) assume (rst);
    assume (found == (f_past && f_age == '0));
    if (f_past) begin
      assert (f_beats < F_BEATS);
      assert (f_beats <= f_age);
      assert (4'(left_q) == (f_age != '0 && f_age < F_BEATS ? F_BEATS - f_age : 4'd0));
      assert (f_live == f_beats + (found ? F_BEATS : 4'(left_q)));
      assert (!(take && read) || write_q != read_q);  // what a memory reads then may be either word
      assert (32'(f_live) <= DEPTH);
      assert (!read || f_live != '0);
      assert (32'(write_q) < DEPTH && 32'(read_q) < DEPTH);
      assert ((32'(read_q) + 32'(f_live)) % DEPTH == 32'(write_q));
      assert (f_frames == f_scores + f_summed + 4'(found || left_q != '0));
    end
  end
