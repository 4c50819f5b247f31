// Properties of ex_records: a frame gets a place that no other one inside has, and its record is there
// until it leaves; in order, the place is that of its id. The environment keeps its side: ids count,
// at most IN_FLIGHT frames are inside, those that leave are inside, plain ones in turn.
  localparam int F = SLOT_BITS + 2;
  logic                 f_past = 1'b0;
  logic [F-1:0]         f_puts, f_left;  // frames put and left
  logic [IN_FLIGHT-1:0] f_used;          // places of frames inside
  (* anyconst *) logic [SLOT_BITS-1:0] f_slot;  // any place
  logic [65:0]          f_record;        // what was last put there
  wire [F-1:0]          f_inside = f_puts - f_left;
  wire [F-1:0]          f_free = F'(IN_FLIGHT) - f_inside;
  wire [SLOT_BITS-1:0]  f_turn = f_left[SLOT_BITS-1:0];

  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    f_puts <= rst ? '0 : f_puts + F'(put);
    f_left <= rst ? '0 : f_left + F'(get) + F'(skip);
    for (int i = 0; i < IN_FLIGHT; i++) begin
      if (put && 32'(put_slot) == i) f_used[i] <= 1'b1;
      if (get && 32'(get_slot) == i) f_used[i] <= 1'b0;
      if (skip && 32'(f_turn) == i) f_used[i] <= 1'b0;
    end
    if (rst) f_used <= '0;
    if (put && put_slot == f_slot) f_record <= put_data;
    if (f_past && !rst && $past(!rst && plain != 1'b0) && !plain) assume (f_inside == '0);
    if (f_past && !rst && $past(!rst && plain == 1'b0) && plain) assume (f_inside == '0);
    cover (f_past && !plain && f_left == F'(IN_FLIGHT + 1) && fresh_q == '0 && put);
    cover (f_past && plain && f_puts == F'(IN_FLIGHT + 1) && !$past(plain));
  end

  always_comb begin
    if (!f_past) assume (rst);
    if (put) assume (f_inside < F'(IN_FLIGHT) && put_data[SLOT_BITS-1:0] == f_puts[SLOT_BITS-1:0]);
    if (get) assume (f_used[get_slot]);
    if (get && plain) assume (get_slot == f_turn);
    if (skip) assume (!get && plain && f_inside != '0);
    if (f_past && !rst) begin
      assert (f_inside <= F'(IN_FLIGHT));
      assert (left_q == f_turn);
      assert (fresh_q <= ALL);
      if (!plain) assert (F'(fresh_q) <= f_free);
      if (put) assert (!f_used[put_slot]);
      if (put && plain) assert (put_slot == f_puts[SLOT_BITS-1:0]);
      if (f_used[f_slot]) begin
        assert (records[f_slot] == f_record);
        if (get_slot == f_slot) assert (get_data == f_record);
      end
    end
  end

  wire [IN_FLIGHT*SLOT_BITS-1:0] f_next;
  // the places of frames to come are free, and no two are the same
  for (genvar j = 0; j < IN_FLIGHT; j++) begin : g_f_next
    wire [SLOT_BITS-1:0] at = f_puts[SLOT_BITS-1:0] + SLOT_BITS'(j);
    wire [SLOT_BITS-1:0] slot = plain || (SLOT_BITS + 1)'(j) < fresh_q ? at : freed[at];
    wire                 there = F'(j) < f_free;
    always_comb begin
      if (f_past && !rst && there) begin
        assert (!f_used[slot]);
        for (int k = 0; k < j; k++) assert (f_next[k*SLOT_BITS +: SLOT_BITS] != slot);
      end
    end
    assign f_next[j*SLOT_BITS +: SLOT_BITS] = slot;
  end
  logic [F-1:0] f_count;
  always_comb begin
    f_count = '0;
    for (int i = 0; i < IN_FLIGHT; i++) f_count = f_count + F'(f_used[i]);
    if (f_past && !rst) assert (f_count == f_inside);
  end
  for (genvar i = 0; i < IN_FLIGHT; i++) begin : g_f_place
    wire [SLOT_BITS-1:0] away = SLOT_BITS'(i) - f_turn;
    always_comb begin
      if (f_past && !rst && plain) assert (f_used[i] == (F'(away) < f_inside));
    end
  end
