// Properties of ex_best: a frame is complete STAGES cycles with go after its last beat, its second
// not above its largest; nothing changes without go. What the words are is compared with the
// references of the score blocks.
  logic              f_past = 1'b0;
  logic [3:0]        f_beats;  // of this frame
  logic [STAGES-1:0] f_ends;   // bit j: a frame ended j + 1 cycles with go ago
  localparam logic [3:0] BEATS = 4'(CLASSES / PE);
  wire f_end = take && f_beats == BEATS - 4'd1;
  always_ff @(posedge clk) begin
    f_past  <= 1'b1;
    f_beats <= rst || f_end ? '0 : f_beats + 4'(take);
    if (go) f_ends <= STAGES'({f_ends, f_end});
    if (rst) f_ends <= '0;
    if (f_past && !rst && $past(!go && !rst)) begin
      assert ($stable(m_valid) && $stable(m_max) && $stable(m_second) && $stable(m_class));
    end
    cover (f_past && f_ends[STAGES-1] && m_max - m_second == '1 && $past(m_valid && !go));
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (f_past) begin
      assert (f_beats < BEATS);
      assert (32'(next_q) == 32'(f_beats) * PE);
      assert ((valid_q & last_q) == f_ends);
      assert (m_valid == f_ends[STAGES-1]);
      assert (busy == (valid_q != '0));
      if (!SECOND) assert (m_second == LOWEST);
    end
  end
  for (genvar l = 0; l <= LEVELS; l++) begin : g_f_level
    if (LEVELS == 0 || (l > 0 && l * STAGES / SPAN > (l - 1) * STAGES / SPAN)) begin : g_f_cut
      localparam int STAGE = LEVELS == 0 ? 0 : l * STAGES / SPAN - 1;
      for (genvar k = 0; k < LEAVES >> l; k++) begin : g_f_node
        always_comb if (f_past && valid_q[STAGE]) begin
          assert ($signed(g_level[l].max[BITS*k +: BITS])
                  >= $signed(g_level[l].second[BITS*k +: BITS]));
        end
      end
    end
  end
