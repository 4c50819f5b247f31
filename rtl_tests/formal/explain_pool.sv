// Properties of ex_explain_pool: an output comes exactly in the cycle after the last beat of a
// window that is not dropped, so in the order of the pool, and for any one lane of any one window
// it tells the first of the largest inputs, that input and the bit beside it.
  logic f_past = 1'b0;
  (* anyconst *) wire [6:0] f_oy, f_ox, f_of, f_lane;
  logic [6:0] f_y, f_x, f_fold;       // the beat that comes next
  logic       f_open;                 // some of that window has passed, not all of it
  logic       f_done;                 // its last beat was the one before
  logic [IN_BITS-1:0]  f_best;
  logic [WAY_BITS-1:0] f_way;
  logic                f_bit;
  wire [IN_BITS-1:0] f_in = s_data[f_lane*IN_BITS +: IN_BITS];
  wire f_here = f_y / 7'(KH) == f_oy && f_x / 7'(KW) == f_ox && f_fold == f_of;
  wire f_begin = f_here && f_y % 7'(KH) == 7'd0 && f_x % 7'(KW) == 7'd0;
  wire f_end = f_here && f_y % 7'(KH) == 7'(KH - 1) && f_x % 7'(KW) == 7'(KW - 1);
  wire f_larger = f_begin || (IN_SIGNED ? $signed(f_in) > $signed(f_best) : f_in > f_best);
  wire f_last = f_y % 7'(KH) == 7'(KH - 1) && f_x % 7'(KW) == 7'(KW - 1)
      && f_y < 7'(H / KH * KH) && f_x < 7'(OW * KW);
  wire [6:0] f_top = f_oy * 7'(KH), f_left = f_ox * 7'(KW);
  wire f_begun = {f_y, f_x, f_fold} > {f_top, f_left, f_of};
  wire f_over = {f_y, f_x, f_fold} > {f_top + 7'(KH - 1), f_left + 7'(KW - 1), f_of};
  wire [AW-1:0] f_at = AW'(f_ox * 7'(FOLDS) + f_of);

  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    f_done <= take && f_end && !rst;
    if (take) begin
      f_fold <= 32'(f_fold) + 1 == FOLDS ? '0 : f_fold + 1'b1;
      if (32'(f_fold) + 1 == FOLDS) begin
        f_x <= 32'(f_x) + 1 == W ? '0 : f_x + 1'b1;
        if (32'(f_x) + 1 == W) f_y <= 32'(f_y) + 1 == H ? '0 : f_y + 1'b1;
      end
      if (f_here) f_open <= !f_end;
      if (f_here && f_larger) begin
        f_best <= f_in;
        f_bit  <= s_mask[f_lane];
        f_way  <= WAY_BITS'(f_y % 7'(KH) * 7'(KW) + f_x % 7'(KW));
      end
    end
    if (rst) begin
      f_y    <= '0;
      f_x    <= '0;
      f_fold <= '0;
      f_open <= 1'b0;
    end
    if (f_past && !rst && $past(!rst)) assert (m_valid == $past(take && f_last));
    cover (f_past && f_done && f_bit && (KH * KW == 1 || f_way != '0));
  end
  always_comb begin
    if (!f_past) assume (rst);
    assume (32'(f_oy) < H / KH && 32'(f_ox) < OW && 32'(f_of) < FOLDS && 32'(f_lane) < LANES);
    if (f_past) begin
      assert (32'(f_y) < H && 32'(f_x) < W && 32'(f_fold) < FOLDS);
      assert (fold_q == FW'(f_fold) && x_q == XW'(f_x));
      assert (kx_q == KXW'(f_x % 7'(KW)) && row_q == WAY_BITS'(f_y % 7'(KH) * 7'(KW)));
      if (x_used) assert (addr_q == AW'(f_x / 7'(KW) * 7'(FOLDS) + f_fold));
      assert (f_open == (f_begun && !f_over));
      if (f_open) begin
        assert (memory[f_at][LANES*(WAY_BITS+1) + f_lane*IN_BITS +: IN_BITS] == f_best);
        assert (memory[f_at][LANES + f_lane*WAY_BITS +: WAY_BITS] == f_way);
        assert (memory[f_at][f_lane] == f_bit);
      end
      if (f_done) begin
        assert (m_valid);
        assert (m_data[f_lane*IN_BITS +: IN_BITS] == f_best);
        assert (m_way[f_lane*WAY_BITS +: WAY_BITS] == f_way && m_mask[f_lane] == f_bit);
      end
    end
  end
  if (H % KH != 0) begin : g_f_rows
    always_comb if (f_past) assert (7'(g_some_rows.y_q) == f_y);
  end
