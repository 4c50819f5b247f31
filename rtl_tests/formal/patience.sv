// Properties of ex_patience: every stream keeps its contract, and a frame that goes on gives its own
// class and score as its score is taken. Of ex_best is assumed what is proved of it; free_best.sv
// stands for it. What the words are is compared with the reference by rtl_tests/patience.
  logic f_past = 1'b0;
  logic [STAGES-1:0] f_whole;  // bit j: a frame ended j + 1 cycles with go ago
  logic [STAGES-1:0][WORD-1:0] f_carried;  // and brought this
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    if (leaders_ready) begin
      f_whole <= STAGES'({f_whole, take && last});
      f_carried <= (STAGES * WORD)'({f_carried, carried_data});
    end
    if (rst) f_whole <= '0;
    if (f_past && $past(s_valid && !s_ready && !rst)) assume (s_valid && $stable(s_data));
    if (f_past && $past(carried_valid && !carried_ready && !rst)) begin
      assume (carried_valid && $stable(carried_data));
    end
    if (f_past && $past(!leaders_ready && !rst)) assume ($stable(winner));
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data));
    end
    cover (f_past && carry_valid && run == RUN_BITS'(3) && $past(m_valid && !m_ready));
  end
  always_comb begin
    if (!f_past) assume (rst);
    assume (m_valid == (f_past && f_whole[STAGES-1]));
    if (f_past) begin
      assert (beat_q <= FINAL);
      assert (!carried_ready || (carried_valid && take));
      if (STAGES == 1) assert (!m_valid || beat_q == '0);
      assert (carry_valid == (m_valid && m_ready && keep));
      assert (m_data == {1'b0, carry_data});
      for (int j = 0; j < STAGES; j++) begin
        if (f_whole[j]) assert (carried_q[j] == f_carried[j]);
      end
    end
  end
