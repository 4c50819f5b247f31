// Properties of ex_explain_levels: a piece on m stays until it is taken; the mean comes first, its
// lower half in front; no value enters between the last one of a map and its last piece, and none
// that is coded before the mean has left; what is coded is a pixel each.
  logic         f_past = 1'b0;
  logic         f_closed;   // the last value of a map was taken, its piece is to come
  logic [3:0]   f_pixels;   // taken whole to be coded, and not gone
  logic         f_second;   // the map was measured: now it is to be coded
  logic         f_coding;   // the mean has left, the last piece has not

  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    if (rst) begin
      f_closed <= 1'b0;
      f_pixels <= '0;
      f_coding <= 1'b0;
      f_second <= 1'b0;
    end else begin
      if (take && s_last) f_second <= measure;
      if (take) f_closed <= s_last && !measure;
      else if (over) f_closed <= 1'b0;
      f_pixels <= f_pixels + 4'(take && s_end && !measure) - 4'(m_valid && m_ready && f_coding);
      if (m_valid && m_ready) f_coding <= !m_ends && (f_coding || state_q == HIGH);
    end
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_bits) && $stable(m_width) && $stable(m_ends));
    end
    cover (f_past && m_valid && m_ends && m_width == 4'd4);
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (s_valid && s_last) assume (s_end);
    assume (shift < 5'd3);
    if (s_valid) assume (measure == !f_second);
    if (f_past) begin
      assert (f_coding == coding);
      assert (f_pixels == 4'(valid_q && !measure_q));
      assert (f_closed == closed_q);
      if (f_closed) assert (!s_ready && coding && valid_q && ends_q);
      if (valid_q && !measure_q) assert (coding);
      if (valid_q && measure_q) assert (state_q == MEASURE && ends_q == f_second);
      if (state_q == MEASURE) assert (f_second == (valid_q && ends_q));
      else assert (f_second == !closed_q);
      if (coding && valid_q) assert (ends_q == closed_q);
      if (valid_q && !measure_q && ends_q) assert (closed_q);
      if (m_valid) assert (m_width == (f_coding ? (m_bits[2:0] < 3'd5 ? 4'd3 : 4'd4) : 4'd8));
      if (m_valid && f_coding) assert ((m_bits >> m_width) == '0);
      if (s_ready && !measure) assert (coding);
    end
  end
