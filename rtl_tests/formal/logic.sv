// Properties of ex_logic: words come out in order, none is lost or made; a word on m stays until it
// is taken; a register that moves has room in front of it.
  logic f_past = 1'b0;
  logic [7:0] f_inside;  // words that came and have not left
  wire f_come = s_valid && s_ready;
  wire f_leave = m_valid && m_ready;
  integer f_i;
  logic [7:0] f_held;

  always_comb begin
    f_held = '0;
    for (f_i = 0; f_i < STAGES; f_i = f_i + 1) f_held = f_held + 8'(valid_q[f_i]);
  end
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    f_inside <= rst ? '0 : f_inside + 8'(f_come) - 8'(f_leave);
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) assert (m_valid);
    if (f_past && !rst && $past(!rst) && $past(s_valid && !s_ready)) assume (s_valid);
    // a word that stands in front of a register that does not move stays where it is
    for (int i = 1; i < STAGES; i++) begin
      if (f_past && !rst && $past(!rst && valid_q[i-1] && !move[i])) assert (valid_q[i-1]);
    end
    cover (f_past && f_inside == 8'(STAGES) && f_come);
    cover (f_past && !s_ready && $past(s_ready) && f_inside == 8'(STAGES));
    cover (f_past && f_leave && !f_come && f_inside == 8'd1);
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (f_past) begin
      assert (f_held == f_inside);
      assert (busy == (f_inside != '0));
      assert (s_ready == (f_inside != 8'(STAGES) || m_ready));
    end
  end
