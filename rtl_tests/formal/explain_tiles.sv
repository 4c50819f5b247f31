// Properties of ex_explain_tiles: a piece on m stays until it is taken; no value enters between the
// last one of a map and its last piece; a tile is never lost, so that at most two are inside.
  logic         f_past = 1'b0;
  logic [1:0]   f_tiles;              // taken whole and not yet gone
  logic         f_closed;             // the last value of a map was taken, its pieces are to come
  wire f_whole = s_valid && s_ready && place_q == 4'd15;

  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    if (rst) begin
      f_tiles  <= '0;
      f_closed <= 1'b0;
    end else begin
      f_tiles <= f_tiles + 2'(f_whole) - 2'(done);
      if (s_valid && s_ready) f_closed <= s_last;
      else if (ends) f_closed <= 1'b0;
    end
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_bits) && $stable(m_width) && $stable(m_ends));
    end
    cover (f_past && m_valid && m_ends && some_q);
    cover (f_past && m_valid && m_ends && !some_q);
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (s_valid && s_last) assume (place_q == 4'd15);  // whole tiles
    if (f_past) begin
      assert (f_tiles == 2'(busy_q) + 2'(full_q));
      if (full_q) assert (place_q == 4'd0);
      if (busy_q) assert (from_q != half_q || full_q);
      if (busy_q && full_q) assert (from_q == half_q);
      if (f_closed) assert (!s_ready);
      assert (f_closed == closed_q);
      if (closed_q) assert (full_q || (busy_q && final_q));
      if (busy_q && final_q) assert (closed_q && !full_q && place_q == 4'd0);
      if (m_valid) assert (m_width != '0 && int'(m_width) <= PIECE);
      if (m_valid) assert ((m_bits >> m_width) == '0);
    end
  end
