// Properties of ex_frame_store: no beat of a committed frame is written over, only whole frames are
// committed, and the output keeps its contract. Bytes come as the header says.
  localparam int F_BITS = ADDRESS_BITS + 4;
  logic f_past = 1'b0;
  logic f_byte = 1'b0;  // a byte came in the cycle before
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    f_byte <= s_valid;
    if (f_past && !rst && $past(m_valid && !m_ready && !rst && !flush)) begin
      assert (m_valid && $stable(m_data) && $stable(m_last));
    end
    if (f_past && !rst && $past(rst || flush)) assert (!m_valid && !whole);
    cover (f_past && count_q == COUNT_BITS'(STORE) && m_valid);
    cover (f_past && m_valid && m_ready && m_last);
  end
  wire [F_BITS-1:0] f_words = F_BITS'(WORDS);
  wire [F_BITS-1:0] f_end =
      (F_BITS'(read_q) + F_BITS'(left_q) + F_BITS'(count_q) * F_BITS'(FRAME)
       + f_words - F_BITS'(FRAME)) % f_words;
  wire [F_BITS-1:0] f_place = (F_BITS'(begin_q) + F_BITS'(FRAME) - F_BITS'(beat_q)) % f_words;
  always_comb begin
    if (!f_past) assume (rst);
    assume (!(s_valid && f_byte));
    assume (!(start && (s_valid || f_byte || commit || put_q)));
    if (f_past) begin
      assert (count_q <= COUNT_BITS'(STORE));
      assert (left_q >= BEAT_BITS'(1) && left_q <= BEAT_BITS'(FRAME));
      assert (count_q != '0 || left_q == BEAT_BITS'(FRAME));
      assert (F_BITS'(read_q) < f_words && F_BITS'(write_q) < f_words);
      assert (F_BITS'(begin_q) == f_end);  // behind the frames that are committed
      if (open_q) begin
        assert (count_q < COUNT_BITS'(STORE) && beat_q <= BEAT_BITS'(FRAME));
        assert (F_BITS'(write_q) == f_place);
        assert (byte_q >= BYTE_BITS'(1) && byte_q <= BYTE_BITS'(BYTES));
      end
      if (put_q) assert (open_q && beat_q != '0 && f_byte);
    end
  end
