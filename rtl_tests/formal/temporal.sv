// Properties of ex_temporal: both streams keep their contract; a score is below never and, of the
// class of the frame before, not below that frame's. Of ex_best is assumed what is proved of it;
// free_best.sv stands for it. What the words are is compared with the reference by
// rtl_tests/temporal.
  logic f_past = 1'b0;
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    if (f_past && $past(s_valid && !s_ready && !rst)) assume (s_valid && $stable(s_data));
    if (f_past && $past(m_valid && !m_ready && !rst)) begin
      assume (m_valid && $stable(largest) && $stable(second) && $stable(winner));
    end
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data));
    end
    cover (f_past && m_valid && score == MOST && $past(m_valid && !m_ready));
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (m_valid) assume ($signed(largest) >= $signed(second));
    if (f_past) begin
      assert (sum_q <= MOST);
      if (m_valid) assert (score <= MOST);
      if (m_valid && winner == class_q) assert (score >= sum_q);
    end
  end
