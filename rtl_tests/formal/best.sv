// Properties of ex_best: a frame is complete STAGES cycles with go after its last beat, its second
// not above its largest; nothing changes without go. What the words are is compared with the
// references of the score blocks.
  logic              f_past = 1'b0;
  logic [3:0]        f_beats;  // of this frame
  logic [STAGES-1:0] f_ends;   // bit j: a frame ended j + 1 cycles with go ago
  localparam logic [3:0] BEATS = 4'(CLASSES / PE);
  localparam int STAGES = TREE + 32'(!ONE_BEAT);
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
      assert (m_valid == f_ends[STAGES-1]);
      if (!SECOND) assert (m_second == LOWEST);
      if (m_valid && ONE_BEAT) assert ($signed(m_max) >= $signed(m_second));
    end
  end
  if (TREE > 0) begin : g_f_tree
    always_comb if (f_past) begin
      assert ((g_tree.valid_q & g_tree.last_q) == f_ends[CUTS-1:0]);
      assert ((g_tree.valid_q != '0) == moving);
    end
    for (genvar l = 1; l <= LEVELS; l++) begin : g_f_level
      if (l * TREE / SPAN > (l - 1) * TREE / SPAN) begin : g_f_cut
        localparam int STAGE = l * TREE / SPAN - 1;
        for (genvar k = 0; k < LEAVES >> l; k++) begin : g_f_node
          always_comb if (f_past && g_tree.valid_q[STAGE]) begin
            assert ($signed(g_level[l].max[BITS*k +: BITS])
                    >= $signed(g_level[l].second[BITS*k +: BITS]));
          end
        end
      end
    end
  end
  if (!ONE_BEAT) begin : g_f_many
    // once a first beat was taken up, the second is never above the largest
    logic f_begun;
    always_ff @(posedge clk) f_begun <= !rst && (f_begun || (go && a_valid && a_first));
    if (SECOND) begin : g_f_second
      always_comb if (f_past && f_begun) begin
        assert ($signed(m_max) >= $signed(g_many_beats.g_second.b_second_q));
      end
    end
  end
