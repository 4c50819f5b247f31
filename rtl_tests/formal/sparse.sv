// Properties of ex_sparse, whatever the schedule holds: m keeps its contract; no word of x is
// overwritten before the last step of its vector has read it; every step of every vector goes into
// the accumulators once, and a word of y is offered for each that completes one.
  logic f_past = 1'b0;
  logic [7:0] f_steps;    // steps that were started and are not in the accumulators yet
  logic [7:0] f_inside;   // the same by the registers
  logic [STEP_BITS:0] f_next;  // the step that should be started, counted apart
  integer f_i;

  always_comb begin
    f_inside = 8'(valid_m_q) + 8'(valid_a_q);
    for (f_i = 0; f_i < SHALLOW; f_i = f_i + 1) f_inside = f_inside + 8'(valid_q[f_i]);
  end
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    f_steps <= rst ? '0 : f_steps + 8'(step) - 8'(load_c);
    if (rst) f_next <= '0;
    else if (step) f_next <= 32'(f_next) + 1 == STEPS ? '0 : f_next + 1'b1;
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) assert (m_valid && $stable(m_data));
    if (f_past && !rst && $past(s_ready && !s_valid && !rst)) assert (s_ready);
    if (f_past && !rst && $past(!rst && LEVELS == 0)) begin
      assert (m_valid == $past((load_c && done_b) || (m_valid && !m_ready)));
    end
    cover (f_past && full_q == 2'b11 && move_m && end_m);
    cover (f_past && m_valid && !m_ready && 32'(f_inside) == SHALLOW + 2);
    cover (f_past && s_ready && !f_steps && $past(m_valid && m_ready));
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (f_past) begin
      assert (f_inside == f_steps);
      assert (32'(step_q) < STEPS && f_next == {1'b0, step_q} && 32'(word_q) < WORDS);
      // a step reads a half that is full, and one that is filled is not full
      if (valid_m_q) assert (full_q[half_m_q] && end_m_q == (half_m_q != work_q));
      if (valid_m_q) assert (end_m_q == (step_q == '0));
      if (step_q != '0) assert (full_q[work_q]);
      if (!valid_m_q && step_q == '0 && full_q == 2'b00) assert (fill_q == work_q);
      if (take) assert (!full_q[fill_q] && !(valid_m_q && half_m_q == fill_q));
      // the one half that is full is the one in work, or its last step waits in stage m
      if (full_q == 2'b01 || full_q == 2'b10) begin
        assert (full_q[!fill_q]);
        assert (work_q == !fill_q || (valid_m_q && end_m_q && half_m_q == !fill_q));
      end
      if (full_q == 2'b11) assert (fill_q == work_q != (valid_m_q && end_m_q));
      if (word_q != '0) assert (!full_q[fill_q]);
    end
  end
