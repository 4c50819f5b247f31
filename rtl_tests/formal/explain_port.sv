// Properties of ex_explain_port: words come out in order, each once; a word on m stays until it is
// taken, over a clear as well; a packet that a clear cuts ends with one word of its own, and only
// such a packet does. The environment keeps its side of the stream, but for a clear.
  logic f_past = 1'b0;
  logic f_open;  // words have been taken from m since one with last
  logic f_owed;  // a clear came inside a packet, whose end is not on m yet
  wire  f_take = s_valid && s_ready;

  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    if (m_valid && m_ready) f_open <= !m_last;
    if (rst) f_open <= 1'b0;
    if (rst) f_owed <= 1'b0;
    else if (clear && inside_q) f_owed <= 1'b1;
    else if (cut) f_owed <= 1'b0;
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data) && $stable(m_last));
    end
    if (f_past && !rst && $past(f_take && !rst)) begin
      assert (m_valid && m_data == $past(s_data) && m_last == $past(s_last));
    end
    if (f_past && !rst && $past(!f_take && !rst && (!m_valid || m_ready))) begin
      assert (m_valid == $past(f_owed && !clear));
      if (m_valid) assert (m_last && m_data == '0);
    end
    if (f_past && !rst && !clear && $past(s_valid && !s_ready && !clear && !rst)) begin
      assume (s_valid && $stable(s_data) && $stable(s_last));
    end
    cover (f_past && m_valid && m_ready && m_last && $past(f_owed, 2));
    cover (f_past && clear && m_valid && !m_ready && $past(clear));
    cover (f_past && f_take && f_open);
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (f_past) begin
      assert (f_owed == cut_q);
      if (cut_q) assert (inside_q);
      if (valid_q) assert (inside_q == (!last_q || cut_q));
      if (!valid_q && !cut_q) assert (f_open == inside_q);
      if (f_owed && s_ready) assert (1'b0);
      if (valid_q && cut_q) assert (!last_q);
      if (!valid_q) assert (f_open == inside_q);
    end
  end
