// Properties of ex_concat: every pixel is A_WORDS words of s0 and then B_WORDS words of s1, each
// once and in order; every stream keeps its contract.
  logic       f_past = 1'b0;
  logic [3:0] f_taken, f_out;  // words taken and given, modulo 16
  logic [3:0] f_place;  // words of the pixel that came
  (* anyconst *) logic [3:0] f_number;  // of the word that is watched
  logic [OUT_BITS-1:0] f_word;
  wire signed [31:0] f_a = 32'($signed({A_SIGNED && s0_data[A_BITS-1], s0_data[A_BITS-1:0]}));
  wire signed [31:0] f_b = 32'($signed({B_SIGNED && s1_data[B_BITS-1], s1_data[B_BITS-1:0]}));
  wire take0 = s0_valid && s0_ready;
  wire take1 = s1_valid && s1_ready;
  always_ff @(posedge clk) begin
    f_past  <= 1'b1;
    f_taken <= rst ? '0 : f_taken + 4'(take0) + 4'(take1);
    f_out   <= rst ? '0 : f_out + 4'(m_valid && m_ready);
    f_place <= rst || ((take0 || take1) && f_place == 4'(A_WORDS + B_WORDS - 1)) ? '0
               : f_place + 4'(take0 || take1);
    if (take0 && f_taken == f_number) f_word <= OUT_BITS'(FACTOR_A * f_a);
    if (take1 && f_taken == f_number) f_word <= OUT_BITS'(FACTOR_B * f_b);
    if (f_past && $past(s0_valid && !s0_ready && !rst)) begin
      assume (s0_valid && $stable(s0_data));
    end
    if (f_past && $past(s1_valid && !s1_ready && !rst)) begin
      assume (s1_valid && $stable(s1_data));
    end
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data));
    end
    cover (f_past && f_taken == 4'(A_WORDS + B_WORDS + 2) && f_out == 4'(A_WORDS + B_WORDS + 1));
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (f_past) begin
      assert (!(take0 && take1));
      if (take0) assert (f_place < 4'(A_WORDS));
      if (take1) assert (f_place >= 4'(A_WORDS));
      assert (4'(count_q) == f_place);
      assert (f_place < 4'(A_WORDS + B_WORDS));
      assert (f_taken == f_out + 4'(valid_q));
      if (m_valid && f_out == f_number) assert (m_data[OUT_BITS-1:0] == f_word);
    end
  end
