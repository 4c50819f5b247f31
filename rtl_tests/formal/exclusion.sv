// Properties of ex_exclusion: every stream keeps its contract, a frame that goes on gives its word
// CLASSES / PE + 1 cycles after its score is taken and no other does, no logit is overwritten before
// it is looked at again, and who survives was left and is closer than the limit to the largest. Of
// ex_best is assumed what is proved of it; free_best.sv stands for it. Class and score are compared
// with the reference by rtl_tests/exclusion.
  logic             f_past = 1'b0;
  logic [STAGES-1:0] f_whole;  // bit j: a frame ended j + 1 cycles with go ago
  logic [STAGES-1:0] f_beat;   // bit j: a beat was taken then
  int                f_held;   // beats in the ring that were not looked at, nor skipped
  logic [BEATS:0]   f_kept;   // bit j: the score of a frame that goes on was taken j + 1 cycles ago
  logic [KEY-1:0]   f_largest;  // of the last frame that went on
  logic [31:0]      f_limit;
  wire [32:0] f_below = {{(33 - KEY){f_largest[KEY-1]}}, f_largest} - {f_limit[31], f_limit};
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    if (leaders_ready) begin
      f_whole <= STAGES'({f_whole, take && last});
      f_beat  <= STAGES'({f_beat, take});
    end
    f_held <= f_held + 32'(take) - (score && !keep ? BEATS : 32'((score && keep) || looking_q));
    f_kept <= (BEATS + 1)'({f_kept, score && keep});
    if (score && keep) begin
      f_largest <= largest;
      f_limit   <= limit;
    end
    if (rst) begin
      f_whole <= '0;
      f_beat  <= '0;
      f_held  <= 0;
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
  int f_behind, f_after;  // beats behind the last one of the frame so far; of frames not yet scored
  always_comb begin
    f_after = 32'(beat_q);
    for (int j = 0; j < STAGES; j++) f_after = f_after + (f_whole[j] ? BEATS : 0);
    f_behind = 0;
    for (int j = 0; j < STAGES; j++) begin
      if (f_past && f_whole[j]) begin  // frames end BEATS beats apart, none of them is lost
        assert (f_beat[j]);
        if (f_whole == STAGES'(1) << j) assert (f_behind == 32'(beat_q));
        for (int i = 0; i < j; i++) if (f_whole[i]) assert (j - i >= BEATS);
        if ((f_whole & (STAGES'(1) << j) - 1'b1) == '0) assert (f_behind == 32'(beat_q));
        if ((f_whole >> j) == STAGES'(1)) assert (f_behind == f_after - BEATS);
      end
      f_behind = f_behind + 32'(f_beat[j]);
    end
  end
  always_comb begin
    if (!f_past) assume (rst);
    assume (m_valid == (f_past && f_whole[STAGES-1]));
    if (m_valid) assume (largest[KEY-1] == largest[KEY-2]);  // of a class that is left
    if (f_past) begin
      assert (beat_q <= FINAL);
      assert (!carried_ready || carried_valid);
      assert (f_held == (looking_q ? BEATS - 32'(look_q) : 0) + f_after);
      assert (f_held >= 0 && f_held <= DEPTH && write_q <= END && read_q <= END);
      assert (32'(write_q) == (32'(read_q) + f_held) % DEPTH);
      if (take && f_held == DEPTH) assert (score || looking_q);
      if (STAGES == 1) assert (write_q == beat_q && read_q == look_q);
      if (looking_q) begin
        assert (f_after <= AHEAD + 32'(look_q));
        for (int j = 0; j < STAGES; j++) begin
          if (f_whole[j]) assert (j + BEATS <= AHEAD + 32'(look_q));
        end
      end
      assert (carry_valid == f_kept[BEATS]);
      assert (sight_q == |f_kept[BEATS-1:0]);
      assert (looking_q == (BEATS > 1 && |(f_kept & ((BEATS + 1)'(1) << (BEATS - 1)) - 1'b1)));
      assert (looking_q == (look_q != '0));
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
