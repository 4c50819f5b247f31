// Properties of ex_route: one verdict per token; a result for each that takes aloud, metadata for
// each that stays; every stream keeps its contract.
  logic       f_past = 1'b0;
  logic [3:0] f_in, f_verdicts, f_takes, f_results, f_keeps, f_metas;
  always_ff @(posedge clk) begin
    f_past     <= 1'b1;
    f_in       <= rst ? '0 : f_in + 4'(s_valid && s_ready);
    f_takes    <= rst ? '0 : f_takes + 4'(s_valid && s_ready && s_take && !s_silent);
    f_keeps    <= rst ? '0 : f_keeps + 4'(s_valid && s_ready && !s_take);
    f_verdicts <= rst ? '0 : f_verdicts + 4'(verdict_valid && verdict_ready);
    f_results  <= rst ? '0 : f_results + 4'(result_valid && result_ready);
    f_metas    <= rst ? '0 : f_metas + 4'(keep_valid && keep_ready);
    if (f_past && $past(s_valid && !s_ready && !rst)) begin
      assume (s_valid && $stable(s_take) && $stable(s_silent));
      assume ($stable(s_meta));
    end
    if (f_past && !rst && $past(result_valid && !result_ready && !rst)) begin
      assert (result_valid);
    end
    if (f_past && !rst && $past(verdict_valid && !verdict_ready && !rst)) begin
      assert (verdict_valid && $stable(verdict_keep));
    end
    if (f_past && !rst && $past(keep_valid && !keep_ready && !rst)) begin
      assert (keep_valid && $stable(keep_data));
    end
    cover (f_past && f_in == 4'd4 && f_takes == 4'd2 && f_keeps == 4'd1);
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (f_past) begin
      assert (f_verdicts == f_in + 4'(verdict_done_q));
      assert (f_results == f_takes + 4'(result_done_q));
      assert (f_metas == f_keeps + 4'(keep_done_q));
      if (result_done_q) assert (s_valid && s_take && !s_silent);
      if (keep_done_q) assert (s_valid && !s_take);
      if (verdict_done_q) assert (s_valid);
    end
  end
