// Properties of ex_leaders: both streams keep their contract, and no beat waits for more than m.
// That every frame gives one word is proved of ex_best.
  logic f_past = 1'b0;
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    if (f_past && $past(s_valid && !s_ready && !rst)) assume (s_valid && $stable(s_data));
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_max) && $stable(m_second) && $stable(m_class));
    end
    cover (f_past && m_valid && m_ready && $past(m_valid && !m_ready));
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (f_past) assert (s_ready == (!m_valid || m_ready));
  end
