// Properties of ex_explain_encode, whatever pieces come: a word on m stays until it is taken; a packet
// ends behind its payload and the next one begins with its header; no piece is taken while it leaves;
// the length is the sum of the widths.
  logic          f_past = 1'b0;
  logic [AW+LOGU-1:0] f_bits;  // taken of this map
  wire [AW-1:0] f_end = units_q + AW'(EACH - 1);

  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    if (over || rst) f_bits <= '0;
    else if (emit) f_bits <= f_bits + (AW + LOGU)'(width);
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data) && $stable(m_last));
    end
    if (f_past && !rst && $past(load && !rst)) begin
      assert (m_valid == $past(closes));
      if (m_valid) assert (m_last == $past(tail));
      if (m_valid && m_last) assert (at_q == (AW + 1)'(-HEAD) && !sending_q);
    end
    cover (f_past && m_valid && m_last && length_q != '0);
  end
  always_comb begin
    if (!f_past) assume (rst);
    assume (width != '0 && width <= WW'(PIECE));
    if (emit) assume ((bits >> width) == '0 && f_bits + (AW + LOGU)'(width) <= (AW + LOGU)'(MOST));
    if (f_past) begin
      if (!sending_q) assert (at_q == (AW + 1)'(-HEAD) && !past_q && !tail_q);
      if (!sending_q) assert (f_bits == {units_q, level_q});
      if (sending_q) assert (length_q == f_bits);
      if (sending_q) assert (units_q == AW'(f_bits[AW+LOGU-1:LOGU]) + AW'(|f_bits[LOGU-1:0]));
      if (sending_q || flush_q) assert (!emit);
      assert ((rest_q >> level_q) == '0 || sending_q);
      assert (f_bits <= (AW + LOGU)'(MOST));
      if (flush_q) assert (!sending_q);
      if (valid_q) assert (at_q[SUB-1:0] == '0);
      if (tail_q) assert (past_q && at_q[SUB-1:0] != '0);
      assert (past_q == (!at_q[AW] && at_q[AW-1:0] > units_q));
      if (at_q[AW]) assert (at_q[AW-1:0] >= AW'(-HEAD));
      if (past_q && !tail_q && !starts) begin
        assert (at_q[AW-1:SUB] == units_q[AW-1:SUB] && units_q[SUB-1:0] != '0);
      end
      if (tail && !at_q[AW]) assert (at_q[AW-1:SUB] == f_end[AW-1:SUB]);
    end
  end
