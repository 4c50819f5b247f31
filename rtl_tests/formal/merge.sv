// Properties of ex_merge: every accepted result leaves once; in input order their ids come in turn,
// without those of frames that left another way (skip); a place of the memory is never overwritten;
// m_last comes with every batch-th result, however batch changes; a word on m stays until it is
// taken, over a clear as well, and nothing else outlives a clear. The environment keeps its side of
// the contract: an id is not offered twice, and lies less than IN_FLIGHT after those that left; in
// the cycle of a skip no result leaves, and it is the turn of a frame that left no result here.
// The score carries the id's complement, so that a mixed-up result would show.
  localparam int F = SLOT_BITS + 2;
  logic         f_past = 1'b0;
  logic [F-1:0] f_turn;         // results that moved to the output register, and skips
  logic [3:0]   f_in, f_out;    // results accepted and given, modulo 16
  logic [F-1:0] f_id;           // what the output register must hold
  logic [31:0]  f_since;        // results that moved to the output register since the last m_last
  logic         f_kept;         // the word on m has seen a clear
  (* anyconst *) logic f_order;
  wire  [F-1:0] f_new = chosen[F-1:0];
  wire          f_rst = rst || clear;

  logic [SLOT_BITS:0] f_stored;
  always_comb begin
    f_stored = '0;
    for (int i = 0; i < IN_FLIGHT; i++) f_stored = f_stored + (SLOT_BITS + 1)'(full_q[i]);
  end

  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    f_turn <= f_rst ? '0 : f_turn + F'(load) + F'(skip);
    f_in   <= f_rst ? '0 : f_in + 4'(|(s_valid & s_ready));
    f_out  <= f_rst ? '0 : f_out + 4'(m_valid && m_ready && !f_kept);
    f_kept <= !rst && m_valid && !m_ready && (f_kept || clear);
    if (load) f_id <= f_order ? f_turn : f_new;
    if (f_rst) f_since <= '0;
    else if (load) f_since <= batch != '0 && f_since + 32'd1 >= batch ? '0 : f_since + 32'd1;
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data) && $stable(m_last));
    end
    if (f_past && $past(!rst && !clear && load)) begin
      assert (m_last == $past(batch != '0 && f_since + 32'd1 >= batch));
      assert (m_data[95:64] == $past(now - next[95:64]));
    end
    if (f_past && !rst && $past(clear && !(m_valid && !m_ready))) assert (!m_valid);
    cover (f_past && f_order && f_stored == (SLOT_BITS + 1)'(IN_FLIGHT));
    cover (f_past && f_order && f_out == 4'(IN_FLIGHT + 2));
    cover (f_past && !f_order && f_out == 4'd3 && m_last);
    cover (f_past && f_order && f_out == 4'd2 && f_turn == F'(4));
    cover (f_past && f_kept && !clear && load);
  end

  always_comb begin
    if (!f_past) assume (rst);
    assume (order == f_order);
    if (skip) assume (!load && !full_q[turn_q]);
    for (int e = 0; e < N; e++) begin
      if (s_valid[e]) begin
        assume (s_data[128*e +: 32] < (1 << F));
        assume (s_data[128*e + 32 +: F] == ~s_data[128*e +: F]);
        if (f_order && !clear) begin
          // inside the window, not waiting already, and not of the frame that leaves another way
          assume (F'(s_data[128*e +: F] - f_turn - F'(skip)) < F'(IN_FLIGHT) - F'(skip));
          assume (!full_q[s_data[128*e +: SLOT_BITS]]);
        end
      end
    end
    if (f_past) begin
      assert (f_turn[SLOT_BITS-1:0] == turn_q);
      assert (f_since == count_q);
      assert ((s_ready & (s_ready - 1'b1)) == '0);  // one at a time
      if (!clear) assert (!(store && full_q[slot]));
      if (f_kept) assert (m_valid);
      assert (f_in == f_out + 4'(valid_q && !f_kept) + 4'(f_stored));
      if (!f_order) assert (f_stored == '0);
      if (f_order && any) assert (|(s_valid & s_ready));  // always accepted
      if (m_valid && !f_kept) begin
        assert (m_data[F-1:0] == f_id);
        assert (m_data[32 +: F] == ~f_id);
      end
    end
  end
  for (genvar i = 0; i < IN_FLIGHT; i++) begin : g_f_place
    wire [SLOT_BITS-1:0] away = SLOT_BITS'(i) - turn_q;
    wire [F-1:0] id = f_turn + F'(away);
    always_comb begin
      if (f_past && full_q[i]) begin
        assert (memory[i][31:0] == 32'(id));
        assert (memory[i][32 +: F] == ~id);
      end
    end
  end
