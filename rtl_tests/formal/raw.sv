// Properties of ex_raw: a beat is made of the logits that were taken since the beat before, with
// zeros behind a frame's last; a beat on m stays until it is taken, over a clear as well, and
// nothing else outlives a clear. The environment: at most one input is active.
  logic         f_past = 1'b0;
  logic         f_kept;               // the beat on m has seen a clear
  logic [2:0]   f_count;              // logits of the beat on m or to come
  logic [31:0]  f_logit;              // the one with the number f_lane among them
  (* anyconst *) logic [1:0] f_lane;
  wire f_take = |(s_valid & s_ready);
  wire f_new = !(valid_q && !m_ready);
  wire [2:0] f_before = m_valid ? 3'd0 : f_count;  // logits before the one that comes

  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    f_kept <= !rst && m_valid && !m_ready && (f_kept || clear);
    if (rst) f_count <= '0;
    else if (clear && f_new) f_count <= '0;
    else if (f_take) f_count <= f_before + 3'd1;
    else if (m_valid && m_ready) f_count <= '0;
    if (f_take && f_before == 3'(f_lane)) f_logit <= logit;
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data) && $stable(m_last) && $stable(m_bank));
    end
    if (f_past && !rst && $past(clear && !(m_valid && !m_ready))) assert (!m_valid);
    if (f_past && !rst && $past(f_take && !clear && !rst)) begin
      assert (m_valid == $past(last || f_before == 3'd3));
      if (m_valid) assert (m_last == $past(last) && m_bank == $past(bank));
    end
    cover (f_past && m_valid && m_last && f_count == 3'd2);
    cover (f_past && m_valid && !m_last && f_count == 3'd4);
    cover (f_past && f_kept && !clear && f_take);
  end
  always_comb begin
    if (!f_past) assume (rst);
    assume ((s_valid & (s_valid - 1'b1)) == '0);
    if (f_past) begin
      assert (f_count <= 3'd4);
      if (!m_valid) assert (3'(fill_q) == f_count);
      if (m_valid) assert (fill_q == 2'd0 && f_count != '0);
      if (f_kept) assert (m_valid);
      if (m_valid || f_count != '0) begin
        assert (data_q[32*f_lane +: 32] == (3'(f_lane) < f_count ? f_logit : 32'd0));
      end
    end
  end
