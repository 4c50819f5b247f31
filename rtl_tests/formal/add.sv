// Properties of ex_add: one word of each input makes one sum, the right ones are paired, in order;
// every stream keeps its contract.
  logic       f_past = 1'b0;
  logic [3:0] f_in0, f_in1, f_out;  // words taken and given, modulo 16
  // Of each stream one word is watched, the one with the same free number.
  (* anyconst *) logic [3:0] f_number;
  logic [A_BITS-1:0] f_a;
  logic [B_BITS-1:0] f_b;
  wire signed [31:0] f_a_value = 32'($signed({A_SIGNED && f_a[A_BITS-1], f_a}));
  wire signed [31:0] f_b_value = 32'($signed({B_SIGNED && f_b[B_BITS-1], f_b}));
  wire signed [31:0] f_sum = FACTOR_A * f_a_value + FACTOR_B * f_b_value;
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    f_in0  <= rst ? '0 : f_in0 + 4'(s0_valid && s0_ready);
    f_in1  <= rst ? '0 : f_in1 + 4'(s1_valid && s1_ready);
    f_out  <= rst ? '0 : f_out + 4'(m_valid && m_ready);
    if (s0_valid && s0_ready && f_in0 == f_number) f_a <= s0_data[A_BITS-1:0];
    if (s1_valid && s1_ready && f_in1 == f_number) f_b <= s1_data[B_BITS-1:0];
    if (f_past && $past(s0_valid && !s0_ready && !rst)) begin
      assume (s0_valid && $stable(s0_data));
    end
    if (f_past && $past(s1_valid && !s1_ready && !rst)) begin
      assume (s1_valid && $stable(s1_data));
    end
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data));
    end
    cover (f_past && f_in0 == 4'd4 && f_out == 4'd3 && !m_ready);
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (f_past) begin
      assert (f_in0 == f_in1);
      assert (f_in0 == f_out + 4'(valid_q));
      if (m_valid && f_out == f_number) assert (m_data[OUT_BITS-1:0] == OUT_BITS'(f_sum));
    end
  end
