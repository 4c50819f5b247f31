// Properties of ex_merge: every accepted result leaves once; in input order their ids are 0, 1, 2
// and so on; a place of the memory is never overwritten. The environment keeps its side of the
// contract: an id is not offered twice, and lies less than IN_FLIGHT after those that left.
// The score carries the id's complement, so that a mixed-up result would show.
  localparam int F = SLOT_BITS + 2;
  logic         f_past = 1'b0;
  logic [F-1:0] f_turn;         // results that moved to the output register
  logic [3:0]   f_in, f_out;    // results accepted and given, modulo 16
  logic [F-1:0] f_id;           // what the output register must hold
  (* anyconst *) logic f_order;
  wire  [F-1:0] f_new = chosen[F-1:0];

  logic [SLOT_BITS:0] f_stored;
  always_comb begin
    f_stored = '0;
    for (int i = 0; i < IN_FLIGHT; i++) f_stored = f_stored + (SLOT_BITS + 1)'(full_q[i]);
  end

  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    f_turn <= rst ? '0 : f_turn + F'(load);
    f_in   <= rst ? '0 : f_in + 4'(|(s_valid & s_ready));
    f_out  <= rst ? '0 : f_out + 4'(m_valid && m_ready);
    if (load) f_id <= f_order ? f_turn : f_new;
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data) && $stable(m_last));
    end
    cover (f_past && f_order && f_stored == (SLOT_BITS + 1)'(IN_FLIGHT));
    cover (f_past && f_order && f_out == 4'(IN_FLIGHT + 2));
    cover (f_past && !f_order && f_out == 4'd3 && m_last);
  end

  always_comb begin
    if (!f_past) assume (rst);
    assume (order == f_order);
    assume (!skip);
    for (int e = 0; e < N; e++) begin
      if (s_valid[e]) begin
        assume (s_data[128*e +: 32] < (1 << F));
        assume (s_data[128*e + 32 +: F] == ~s_data[128*e +: F]);
        if (f_order) begin
          // inside the window, and not waiting already
          assume (F'(s_data[128*e +: F] - f_turn) < F'(IN_FLIGHT));
          assume (!full_q[s_data[128*e +: SLOT_BITS]]);
        end
      end
    end
    if (f_past) begin
      assert (f_turn[SLOT_BITS-1:0] == turn_q);
      assert ((s_ready & (s_ready - 1'b1)) == '0);  // one at a time
      assert (!(store && full_q[slot]));
      assert (f_in == f_out + 4'(valid_q) + 4'(f_stored));
      if (!f_order) assert (f_stored == '0);
      if (f_order && any) assert (|(s_valid & s_ready));  // always accepted
      if (m_valid) begin
        assert (m_data[F-1:0] == f_id);
        assert (m_data[32 +: F] == ~f_id);
        if (f_order) assert (f_id == F'(f_turn - 1'b1));
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
