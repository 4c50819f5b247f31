// Properties of ex_leaders: one word per frame, its second not above its largest; both streams keep
// their contract. What the words are is compared with the references of the score blocks.
  logic       f_past = 1'b0;
  logic [3:0] f_beats, f_frames, f_scores;  // beats of this frame; frames in, scores out, modulo 16
  localparam logic [3:0] BEATS = 4'(CLASSES / PE);
  wire f_end = take && f_beats == BEATS - 4'd1;
  always_ff @(posedge clk) begin
    f_past   <= 1'b1;
    f_beats  <= rst || f_end ? '0 : f_beats + 4'(take);
    f_frames <= rst ? '0 : f_frames + 4'(f_end);
    f_scores <= rst ? '0 : f_scores + 4'(m_valid && m_ready);
    if (f_past && $past(s_valid && !s_ready && !rst)) assume (s_valid && $stable(s_data));
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_max) && $stable(m_second) && $stable(m_class));
    end
    cover (f_past && f_scores == 4'd3 && m_max - m_second == '1);
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (f_past) begin
      assert (f_beats < BEATS);
      assert (32'(base_q) == 32'(f_beats) * PE);
      assert (f_frames == f_scores + 4'(m_valid));
      if (a_valid_q) assert (a_last_q == (f_beats == '0));
      if (a_valid_q) assert (a_first_q == (BEATS == 4'd1 || f_beats == 4'd1));
      if (a_valid_q) assert ($signed(a_max_q) >= $signed(a_second_q));
      if (!(a_valid_q && a_first_q) && (a_valid_q || f_beats != '0)) begin
        assert ($signed(b_max_q) >= $signed(b_second_q));
      end
      if (m_valid) assert ($signed(both_max) >= $signed(both_second));
    end
  end
