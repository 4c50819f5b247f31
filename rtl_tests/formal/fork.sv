// Properties of ex_fork: each branch gets every word exactly once; every stream keeps its contract.
  logic       f_past = 1'b0;
  logic [3:0] f_in, f_out0, f_out1;  // words taken and given, modulo 16
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    f_in   <= rst ? '0 : f_in + 4'(s_valid && s_ready);
    f_out0 <= rst ? '0 : f_out0 + 4'(m0_valid && m0_ready);
    f_out1 <= rst ? '0 : f_out1 + 4'(m1_valid && m1_ready);
    if (f_past && $past(s_valid && !s_ready && !rst)) begin
      assume (s_valid && $stable(s_data));
    end
    if (f_past && !rst && $past(m0_valid && !m0_ready && !rst)) begin
      assert (m0_valid && $stable(m0_data));
    end
    if (f_past && !rst && $past(m1_valid && !m1_ready && !rst)) begin
      assert (m1_valid && $stable(m1_data));
    end
    cover (f_past && f_in == 4'd3 && f_out0 == 4'd4 && f_out1 == 4'd3);
    cover (f_past && f_in == 4'd3 && f_out0 == 4'd3 && f_out1 == 4'd4);
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (f_past) begin
      assert (f_out0 == f_in + 4'(done0_q));
      assert (f_out1 == f_in + 4'(done1_q));
      assert (!(done0_q && done1_q));
      if (m0_valid) assert (m0_data == s_data);
      if (m1_valid) assert (m1_data == s_data);
    end
  end
