// Properties of ex_fifo: what comes out is what went in, in order, none lost or doubled. The words
// are numbers counted from 0; the FIFO does not look at them, so that is no loss of generality.
  logic             f_past = 1'b0;
  logic [WIDTH-1:0] f_in, f_out;
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    f_in   <= rst ? '0 : f_in + WIDTH'(s_valid && s_ready);
    f_out  <= rst ? '0 : f_out + WIDTH'(m_valid && m_ready);
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data));
    end
    cover (f_past && count == COUNT_BITS'(DEPTH) && f_out == WIDTH'(3));
    cover (f_past && count == '0 && f_out == WIDTH'(DEPTH + 2));
  end
  always_comb begin
    if (!f_past) assume (rst);
    assume (s_data == f_in);
    if (f_past) begin
      assert (count <= COUNT_BITS'(DEPTH));
      assert (WIDTH'(count) == f_in - f_out);
      if (m_valid) assert (m_data == f_out);
      assert (s_ready == (count < COUNT_BITS'(DEPTH)));
      assert (m_valid == (count != '0));
    end
  end
  if (DEPTH == 1) begin : g_f_one
    always_comb if (f_past && count != '0) assert (g_one.word_q == f_out);
  end else begin : g_f_many
    // at most one of the tests below concerns a stored word
    for (genvar i = 0; i < DEPTH; i++) begin : g_f_word
      wire [WIDTH-1:0] place = WIDTH'(i) - WIDTH'(g_many.read_q)
          + (i < g_many.read_q ? WIDTH'(DEPTH) : '0);
      always_comb begin
        if (f_past && place < WIDTH'(count)) begin
          assert (g_many.g_small.memory[i] == f_out + place);
        end
      end
    end
    always_comb begin
      if (f_past) begin
        assert (g_many.read_q < DEPTH && g_many.write_q < DEPTH);
        assert (g_many.write_q == (g_many.read_q + count) % DEPTH);
      end
    end
  end
