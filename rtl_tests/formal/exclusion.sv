// Properties of ex_exclusion: every stream keeps its contract, a frame that goes on gives its word
// CLASSES / PE + 1 cycles after its score is taken and no other does, no logit is overwritten before
// it is looked at again, and who survives was left and is closer than the limit to the largest. Of
// ex_best is assumed what is proved of it; free_best.sv stands for it. Class and score are compared
// with the reference by rtl_tests/exclusion.
  logic             f_past = 1'b0;
  logic             f_whole;  // a frame ended a cycle with go ago
  logic [BEATS:0]   f_kept;   // bit j: the score of a frame that goes on was taken j + 1 cycles ago
  logic [KEY-1:0]   f_largest;  // of the last frame that went on
  logic [31:0]      f_limit;
  wire [32:0] f_below = {{(33 - KEY){f_largest[KEY-1]}}, f_largest} - {f_limit[31], f_limit};
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    if (leaders_ready) f_whole <= take && last;
    f_kept <= (BEATS + 1)'({f_kept, score && keep});
    if (score && keep) begin
      f_largest <= largest;
      f_limit   <= limit;
    end
    if (rst) begin
      f_whole <= 1'b0;
      f_kept  <= '0;
    end
    if (f_past && $past(s_valid && !s_ready && !rst)) assume (s_valid && $stable(s_data));
    if (f_past && $past(carried_valid && !carried_ready && !rst)) begin
      assume (carried_valid && $stable(carried_data));
    end
    if (f_past && $past(!leaders_ready && !rst)) begin
      assume ($stable(largest) && $stable(second) && $stable(winner));
    end
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data));
    end
    cover (f_past && carry_valid && $past(carry_valid, BEATS) && carry_data == 1);
  end
  always_comb begin
    if (!f_past) assume (rst);
    assume (m_valid == (f_past && f_whole));
    if (m_valid) assume (largest[KEY-1] == largest[KEY-2]);  // of a class that is left
    if (f_past) begin
      assert (beat_q <= FINAL);
      assert (!carried_ready || carried_valid);
      assert (!m_valid || beat_q == '0);
      assert (carry_valid == f_kept[BEATS]);
      assert (sight_q == |f_kept[BEATS-1:0]);
      assert (looking_q == (BEATS > 1 && |(f_kept & ((BEATS + 1)'(1) << (BEATS - 1)) - 1'b1)));
      assert (looking_q ? look_q != '0 && beat_q <= look_q : look_q == '0);
      for (int j = 0; j < BEATS - 1; j++) begin
        if (f_kept[j]) begin
          assert (!m_valid && 32'(look_q) == j + 1);
          assert ((f_kept & ~((BEATS + 1)'(1) << j)) == '0 || f_kept[BEATS]);
        end
      end
      if (sight_q) assert (f_largest[KEY-1] == f_largest[KEY-2]);
      if (sight_q && $signed(f_limit) > 0) begin
        assert (floor_q == (f_limit == NEVER || $signed(f_below) < $signed({{(33 - KEY){1'b1}}, OUT})
                            ? OUT : f_below[KEY-1:0]));
        for (int k = 0; k < PE; k++) begin
          if (seen_q[KEY*k +: KEY] == OUT) assert (!survives[k]);
          else if (seen_q[KEY*k+KEY-1] == seen_q[KEY*k+KEY-2]) begin
            assert (survives[k] == (f_limit == NEVER || $signed({{(33 - KEY){f_largest[KEY-1]}},
                f_largest} - {{(33 - KEY){seen_q[KEY*k+KEY-1]}}, seen_q[KEY*k +: KEY]})
                < $signed({f_limit[31], f_limit})));
          end
        end
      end
    end
  end
