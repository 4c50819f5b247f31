// Properties of ex_explain_encode: a word on m stays until it is taken; no value enters between the
// last one of a map and the end of its bits; a tile is never lost, so that at most two are inside;
// a packet ends behind its payload and the next one begins with its header.
  logic         f_past = 1'b0;
  logic [1:0]   f_tiles;              // taken whole and not yet turned to bits
  logic         f_closed;             // the last value of a map was taken, its bits are to come
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
      assert (m_valid && $stable(m_data) && $stable(m_last));
    end
    if (f_past && !rst && $past(load && !rst)) begin
      assert (m_valid && m_last == $past(tail));
      if (m_last) assert (at_q == '0 && !sending_q);
    end
    cover (f_past && m_valid && m_last);
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (s_valid && s_last) assume (place_q == 4'd15);  // whole tiles
    if (f_past) begin
      assert (f_tiles == 2'(busy_q) + 2'(full_q));
      if (full_q) assert (place_q == 4'd0);
      if (f_closed) assert (!s_ready);
      assert (f_closed == closed_q);
      if (closed_q) assert (full_q ? end_q : busy_q && final_q);
      if (full_q && end_q) assert (closed_q);
      if (busy_q && final_q) assert (closed_q && !full_q && place_q == 4'd0);
      if (!sending_q) assert (at_q == '0);
      if (flush_q) assert (!sending_q);
    end
  end
