// Properties of ex_merge: every accepted result leaves once, with what the record of its place says; in
// input order their ids come in turn, without those of frames that left another way (skip), else they
// leave as they came; a place of the memory is never overwritten; m_last comes with every batch-th
// result, however batch changes; a word on m stays until it is taken, over a clear as well, and
// nothing else outlives a clear. The environment keeps its side of the contract: in input order an
// id is not offered twice, and lies less than IN_FLIGHT after those that left; no more than IN_FLIGHT
// results wait; nothing waits in the cycle of a skip. The low bits of the score carry the complement
// of the id (of the count of results), the upper ones the exit, and the class carries the place, so
// that a mixed-up result would show.
  localparam int F = SLOT_BITS + 2;
  logic         f_past = 1'b0;
  logic [F-1:0] f_turn;         // results that moved to the output register, and skips
  logic [F-1:0] f_come;         // results accepted, and skips
  logic [3:0]   f_in, f_out;    // results accepted and given, modulo 16
  logic [F-1:0] f_id;           // what the output register must hold
  logic [31:0]  f_since;        // results that moved to the output register since the last m_last
  logic         f_kept;         // the word on m has seen a clear
  (* anyconst *) logic f_order;
  wire          f_rst = rst || clear;
  wire  [F-1:0] f_tag = chosen[SLOT_BITS + CLASS_BITS +: F];
  wire [IN_FLIGHT-1:0] f_full;

  logic [SLOT_BITS:0] f_stored;
  always_comb begin
    f_stored = '0;
    for (int i = 0; i < IN_FLIGHT; i++) f_stored = f_stored + (SLOT_BITS + 1)'(f_full[i]);
  end

  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    f_turn <= f_rst ? '0 : f_turn + F'(load) + F'(skip);
    f_come <= f_rst ? '0 : f_come + F'(store) + F'(skip);
    f_in   <= f_rst ? '0 : f_in + 4'(|(s_valid & s_ready));
    f_out  <= f_rst ? '0 : f_out + 4'(m_valid && m_ready && !f_kept);
    f_kept <= !rst && m_valid && !m_ready && (f_kept || clear);
    if (load) f_id <= f_turn;
    if (f_rst) f_since <= '0;
    else if (load) f_since <= batch != '0 && f_since + 32'd1 >= batch ? '0 : f_since + 32'd1;
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data) && $stable(m_last));
    end
    if (f_past && $past(!rst && !clear && load)) begin
      assert (m_last == $past(batch != '0 && f_since + 32'd1 >= batch));
      assert (m_data[95:64] == $past(now - record[63:32]));
      assert (m_data[31:0] == $past(record[31:0]));
      assert (m_data[127:120] == {6'd0, $past(record[64]), $past(record[65])});
      assert (m_data[119:112] == 8'(m_data[36 +: EXIT_BITS]));
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
    if (skip) assume (f_stored == '0 && s_valid == '0);
    if (store && !clear) assume (f_stored < (SLOT_BITS + 1)'(IN_FLIGHT));
    if (store && !clear && !f_order) assume (f_tag == ~f_come);
    for (int e = 0; e < N; e++) begin
      if (s_valid[e]) begin
        assume (s_data[WIDTH*e + SLOT_BITS +: SLOT_BITS] == s_data[WIDTH*e +: SLOT_BITS]);
        assume (32'(s_data[WIDTH*e + SLOT_BITS + CLASS_BITS + 4 +: 2]) == e);
        if (f_order && !clear) begin
          // inside the window, and not waiting already
          assume (s_data[WIDTH*e +: SLOT_BITS] == ~s_data[WIDTH*e + SLOT_BITS + CLASS_BITS +: SLOT_BITS]);
          assume (F'(~s_data[WIDTH*e + SLOT_BITS + CLASS_BITS +: F] - f_turn) < F'(IN_FLIGHT));
          assume (!f_full[s_data[WIDTH*e +: SLOT_BITS]]);
        end
      end
    end
    if (f_past) begin
      assert (f_turn[SLOT_BITS:0] == turn_q);
      assert (f_come[SLOT_BITS-1:0] == come_q);
      assert (F'(f_come - f_turn) == F'(f_stored));
      assert (f_since + 32'd1 == next_q);
      assert ((s_ready & (s_ready - 1'b1)) == '0);  // one at a time
      if (!clear) assert (!(store && f_full[place]));
      if (f_kept) assert (m_valid);
      assert (f_in == f_out + 4'(valid_q && !f_kept) + 4'(f_stored));
      if (store) assert (|(s_valid & s_ready));  // always accepted
      if (load) assert (slot == winner[SLOT_BITS-1:0]);
      if (m_valid && !f_kept) assert (m_data[32 +: F] == ~f_id);
    end
  end
  for (genvar i = 0; i < IN_FLIGHT; i++) begin : g_f_place
    wire [SLOT_BITS-1:0] away = SLOT_BITS'(i) - turn_q[SLOT_BITS-1:0];
    wire [F-1:0] id = f_turn + F'(away);
    assign f_full[i] = laps_q[i] != turn_q[SLOT_BITS] ^ (SLOT_BITS'(i) < turn_q[SLOT_BITS-1:0]);
    always_comb begin
      if (f_past && !f_order) assert (f_full[i] == (F'(away) < F'(f_stored)));
      if (f_past && f_full[i]) begin
        assert (memory[i][SLOT_BITS + CLASS_BITS +: F] == ~id);
        assert (memory[i][SLOT_BITS +: SLOT_BITS] == memory[i][SLOT_BITS-1:0]);
        assert (memory[i][WIDTH +: EXIT_BITS] == memory[i][SLOT_BITS + CLASS_BITS + 4 +: EXIT_BITS]);
        if (f_order) assert (memory[i][SLOT_BITS-1:0] == SLOT_BITS'(i));
      end
    end
  end
