// Properties of ex_threshold with EDGES, of one lane: m keeps its contract, and the bit beside a
// word says on which side of which edge of its channel the x of that word lies, whatever the
// memories hold. s may do what it likes.
  localparam int F = STAGES + 1;
  logic f_past = 1'b0;
  logic [F*IN_BITS-1:0]   f_x;     // of the word in every stage
  logic [F*FOLD_BITS-1:0] f_fold;
  logic [FOLD_BITS-1:0]   f_next;  // fold of the next word, counted here

  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    for (int j = 0; j < F; j++) begin
      if (offer[j] && enable[j]) begin
        f_x[j*IN_BITS +: IN_BITS] <= j == 0 ? s_data ^ (IN_BITS'(IN_SIGNED) << (IN_BITS - 1))
                                            : f_x[(j == 0 ? 0 : j-1)*IN_BITS +: IN_BITS];
        f_fold[j*FOLD_BITS +: FOLD_BITS] <= j == 0 ? f_next
                                            : f_fold[(j == 0 ? 0 : j-1)*FOLD_BITS +: FOLD_BITS];
      end
    end
    if (rst) f_next <= '0;
    else if (s_valid && s_ready) f_next <= 32'(f_next) + 1 == FOLDS ? '0 : f_next + 1'b1;
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data) && $stable(m_edge));
    end
    cover (f_past && m_valid && m_edge[0] && $past(m_valid && !m_edge[0]));
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (f_past) assert (32'(fold_q) < FOLDS && fold_q == f_next);
  end

  wire [T_BITS-1:0]    f_last = {1'b0, f_x[STAGES*IN_BITS +: IN_BITS]};
  wire [FOLD_BITS-1:0] f_of = f_fold[STAGES*FOLD_BITS +: FOLD_BITS];
  localparam int F_BITS = FOLDS > 1 ? $clog2(FOLDS) : 1;
  localparam int F_EDGE = $clog2(2 * FOLDS);
  wire [T_BITS-1:0] f_low = g_edges.g_lane[0].memory[F_EDGE'({f_of, 1'b0})];
  wire [T_BITS-1:0] f_high = g_edges.g_lane[0].memory[F_EDGE'({f_of, 1'b1})];
  wire [T_BITS-1:0] f_middle = g_stage[0].g_lane[0].memory[F_BITS'(f_of)];
  always_comb begin
    if (f_past && m_valid) begin
      assert (32'(f_of) < FOLDS);
      assert (m_edge[0] == (f_last >= f_middle ? f_last < f_high : f_last >= f_low));
    end
  end

  for (genvar j = 0; j < STAGES; j++) begin : g_f_stage
    wire [IN_BITS-1:0]   x = f_x[j*IN_BITS +: IN_BITS];
    wire [FOLD_BITS-1:0] fold = f_fold[j*FOLD_BITS +: FOLD_BITS];
    wire [T_BITS-1:0]    middle = g_stage[0].g_lane[0].memory[F_BITS'(fold)];
    wire [T_BITS-1:0]    low = g_edges.g_lane[0].memory[F_EDGE'({fold, 1'b0})];
    wire [T_BITS-1:0]    high = g_edges.g_lane[0].memory[F_EDGE'({fold, 1'b1})];
    wire                 reached = {1'b0, x} >= middle;
    always_comb begin
      if (f_past && valid_q[j]) begin
        assert (32'(fold) < FOLDS && g_stage[j].g_lane[0].x_q == x);
        if (j < STAGES - 1) assert (g_stage[j+1].fold == fold);
        if (j == 0) assert (g_stage[0].g_lane[0].threshold_q == middle);
        if (j > 0) assert (g_stage[j].g_lane[0].found_q[STAGES-1] == reached);
      end
    end
    if (j == STAGES - 1) begin : g_final
      if (STAGES == 1) begin : g_both
        always_comb begin
          if (f_past && valid_q[j]) begin
            assert (g_edges.g_lane[0].g_both.low_q == low);
            assert (g_edges.g_lane[0].g_both.high_q == high);
          end
        end
      end else begin : g_one
        always_comb begin
          if (f_past && valid_q[j]) begin
            assert (g_edges.g_lane[0].g_one.edge_q == (reached ? high : low));
          end
        end
      end
    end
  end
