// Properties of ex_explain_gather: any one channel of any one position stands in the lane and at
// the address that are its own, in the first write of that address after it passed; lanes beyond
// the last channel are 0; every write has the next address, in the cycle after its last beat or,
// for the rest of a position, one later.
  localparam int F_GW = (C + 15) / 16 / WIDE;  // writes of a position
  localparam int F_LANES = 16 * WIDE;
  logic f_past = 1'b0;
  (* anyconst *) wire [6:0] f_position, f_channel;
  logic [6:0] f_at, f_fold;           // position and beat that come next
  logic       f_have;                 // that channel has passed and is not written yet
  logic [BITS-1:0] f_value;
  logic       f_any;                  // there was a beat
  logic [6:0] f_before;               // which beat of its position it was
  wire [6:0] f_beat = f_channel / 7'(LANES);
  wire [6:0] f_in = f_channel % 7'(LANES);
  wire [6:0] f_group = f_channel / 7'(F_LANES);
  wire [6:0] f_lane = f_channel % 7'(F_LANES);
  wire [6:0] f_own = f_position * 7'(F_GW) + f_group;
  wire [6:0] f_full = f_fold * 7'(LANES) / 7'(F_LANES);  // whole words of the present position
  wire [6:0] f_mine = w_data_of(f_lane);
  wire f_hit = take && f_at == f_position && f_fold == f_beat;
  wire f_write = w_valid && 7'(w_address) == f_own;
  wire f_rest;
  wire [7:0] f_due = 8'(f_at) * 8'(F_GW) + 8'(f_full);
  wire [7:0] f_now = 8'(address_q) + 8'(valid_q) + 8'(f_rest);
  function automatic [6:0] w_data_of(input [6:0] lane);
    w_data_of = 7'(w_data[lane*BITS +: BITS]);
  endfunction

  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    if (take) begin
      f_before <= f_fold;
      f_fold <= 32'(f_fold) + 1 == FOLDS ? '0 : f_fold + 1'b1;
      if (32'(f_fold) + 1 == FOLDS) f_at <= 32'(f_at) + 1 == POSITIONS ? '0 : f_at + 1'b1;
    end
    if (f_hit) f_value <= s_data[f_in*BITS +: BITS];
    f_have <= f_hit || (f_have && !f_write);
    f_any <= f_any || take;
    if (rst) begin
      f_any <= 1'b0;
      f_fold <= '0;
      f_at   <= '0;
      f_have <= 1'b0;
    end
    if (f_past && !rst && $past(!rst)) begin
      // a word is due when the count of words rises over whole words, or a position ends
      if ($past(take) && ($past(f_full) != f_full || f_fold == '0)) assert (w_valid);
      if ($past(!take) && !$past(f_rest)) assert (!w_valid);
      if ($past(f_rest)) assert (w_valid);
    end
    cover (f_past && f_write && w_last && f_value == '1);
  end
  always_comb begin
    if (!f_past) assume (rst);
    assume (32'(f_position) < POSITIONS && 32'(f_channel) < C);
    if (f_past) begin
      assert (32'(f_fold) < FOLDS && 32'(f_at) < POSITIONS && 32'(address_q) < WORDS);
      assert (fold_q == FW'(f_fold));
      assert (f_now == f_due || f_now == f_due + 8'(WORDS));
      assert (w_last == (w_valid && 32'(w_address) == WORDS - 1));
      if (f_write) assert (f_have && f_mine == 7'(f_value));
      if (f_have && !f_write && !(f_rest && f_own == 7'(address_q) + 7'(valid_q))) begin
        assert (f_at == f_position && f_group == f_full && f_beat < f_fold);
      end
      if (f_at == f_position && f_group == f_full && f_beat < f_fold) assert (f_have);
      if (f_any && f_fold != '0) assert (f_before == f_fold - 1'b1);
      if (f_any && f_fold == '0) assert (f_before == 7'(FOLDS - 1));
      if (!f_any) assert (!valid_q && !f_rest && f_fold == '0 && f_at == '0);
      if (valid_q && f_fold == '0) assert (f_any);
    end
  end
  for (genvar i = C % F_LANES; i < F_LANES && i < L * WIDE && C % F_LANES != 0; i++) begin : g_f_none
    always_comb begin
      if (f_past && w_valid && 32'(w_address) % F_GW == F_GW - 1) begin
        assert (w_data[i*BITS +: BITS] == '0);
      end
    end
  end
  if (WHOLE) begin : g_f_whole
    assign f_rest = 1'b0;
    always_comb begin
      if (f_past && f_have) assert (w_valid);
    end
  end
  if (EVEN) begin : g_f_slots
    assign f_rest = 1'b0;
    always_comb begin
      if (f_past && f_have) assert (f_mine == 7'(f_value));
    end
    for (genvar k = 0; k < L / LANES; k++) begin : g_f_slot
      always_comb begin
        if (f_past && f_any && C % L != 0 && k > 32'(f_before) % (L / LANES)) begin
          assert (w_data[k*LANES*BITS +: LANES*BITS] == '0);
        end
      end
    end
  end
  if (CROSS) begin : g_f_across
    wire [6:0] count = f_fold * 7'(LANES) % 7'd16;
    assign f_rest = g_across.rest_q;
    wire waits = f_rest && f_own == 7'(address_q) + 7'(valid_q);
    always_comb begin
      if (f_past) begin
        assert (7'(g_across.count_q) == count);
        assert (g_across.count_q == 4'd0 || (g_across.held_q >> (count * BITS)) == '0);
        if (f_rest) assert (valid_q && f_fold == '0 && (g_across.held_q >> (C % 16 * BITS)) == '0);
        if (f_have && (waits || !f_write)) begin
          assert (g_across.held_q[f_lane*BITS +: BITS] == f_value);
        end
        if (waits) assert (f_have);
      end
    end
  end
