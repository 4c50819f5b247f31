// Properties of ex_decide: one token for each score and metadata; raw mode keeps one frame between
// logits and token, which is silent; every stream keeps its contract. The score block is any that
// answers once for each frame whose logits it has.
  logic       f_past = 1'b0;
  logic [3:0] f_in, f_scored, f_metas, f_tokens;  // frames passed on, and after, modulo 16
  wire [3:0]  f_inside = f_in - f_scored;
  wire        f_pass = logits_valid && logits_ready && final_beat;
  always_ff @(posedge clk) begin
    f_past   <= 1'b1;
    f_in     <= rst ? '0 : f_in + 4'(f_pass);
    f_scored <= rst ? '0 : f_scored + 4'(score_valid && score_ready);
    f_metas  <= rst ? '0 : f_metas + 4'(meta_valid && meta_ready);
    f_tokens <= rst ? '0 : f_tokens + 4'(m_valid && m_ready);
    if (f_past && $past(s_valid && !s_ready && !rst)) assume (s_valid && $stable(s_data));
    if (f_past && $past(score_valid && !score_ready && !rst)) begin
      assume (score_valid && $stable(score_data));
    end
    if (f_past && $past(meta_valid && !meta_ready && !rst)) begin
      assume (meta_valid && $stable(meta_data));
    end
    // raw mode begins while no frame is inside, and ends between frames or after the last logit
    if (f_past && $past(!raw_here) && raw_here) begin
      assume (f_inside == '0 && !t_valid_q && beat_q == '0 && !$past(s_valid));
    end
    if (f_past && $past(raw_here) && !raw_here) begin
      assume (lane_q == '0 && (told_q ? final_beat : beat_q == '0 && !raw_offered_q));
    end
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_take) && $stable(m_silent));
      assert ($stable(m_class) && $stable(m_score) && $stable(m_meta));
    end
    if (f_past && !rst && $past(logits_valid && !logits_ready && !rst)) begin
      assert (logits_valid && $stable(logits_data));
    end
    if (f_past && !rst && $past(raw_valid && !raw_ready && !rst)) begin
      assert (raw_valid && $stable(raw_data) && $stable(raw_last) && $stable(raw_bank));
    end
    cover (f_past && f_tokens == 4'd2 && m_valid && m_silent && !raw_here);
    cover (f_past && f_tokens == 4'd3 && m_valid && !m_take);
  end
  logic raw_offered_q;  // a logit was on offer and not taken
  always_ff @(posedge clk) raw_offered_q <= raw_valid && !raw_ready && !rst;
  always_comb begin
    if (!f_past) assume (rst);
    if (score_valid) assume (f_inside != '0);
    assume (f_inside < 4'd8);
    if (f_past) begin
      assert (f_metas == f_scored);
      assert (f_tokens + 4'(t_valid_q) == f_scored);
      assert (beat_q <= FINAL);
      assert (lane_q <= LANE_BITS'(PE - 1));
      if (silent_q) assert (f_inside != '0);
      if (raw_here) assert (f_inside == 4'(silent_q));
      if (told_q) assert (s_valid && lane_q == '0);
      if (told_q && final_beat) assert (f_inside == '0);
      if (told_q && !raw_here) assert (final_beat);
    end
  end
