// ex_rules: the rule unit in front of segment 0: measures a frame and modifies it by its rule.
//
// s: frames of HEIGHT x WIDTH pixels of FOLD beats of LANES values of 8 bits, kept in SLOTS slots.
// When a frame is there, ex_measure says which of the RULES rules matches first (0: none); from then
// on the frame leaves on m, value by value
//   m[y, x] = table[entry][v],  v = p[y - dy, x - s(y)] inside frame and border, else 0,
//   s(y) = (start + shear * y) >> 4, in pixels (start and shear in 1/16, signed)
// with what the words of its rule say; rule 0 has zeros everywhere and no border. Only what MOVES,
// SHEARS, BORDERS and TABLES ask for is built. enable low: no rule for frames whose last beat comes.
//
// Words are written over the bus: A_AT holds {space[18:16], index[15:0]}, a write of A_WORD stores at
// that index of that space and counts the index up. Spaces: 0 conditions, see ex_measure; by rule,
// rule 0 too: 1 {dy, offset} = {Y + 1 bits, address bits}, offset = -(dy * WIDTH * FOLD);
// 2 {start, shear} = {S bits, 8 bits}; 3 {bottom, right, top, left}, 8 bits each: kept are rows top to
// bottom - 1 and columns left to right - 1; 4 entry of the table; 5 tables, index = 256 * entry +
// value. They may change only while no frame is inside. A_FIRED reads how often the rule at the
// index of A_AT fired since reset, two cycles after A_AT was written or more (while frames come in);
// A_RULES reads {TABLES, RULES, 7'b0, enabled}, bit 0 is written.
// rdata is what address named in the cycle before, 0 for other addresses.
//
// LOOKS > 0: a frame may be sent again. There are 1 + LOOKS lists of rules, and a frame's look k is
// the frame as it came, modified by what list k has chosen; a look for which that is 0 is left out,
// but the first. A frame that is judged takes a place, see ex_look_buffer, in the cycle in which
// place_free and place_take are high, and is queued for its first look then; frames that have one go on
// meanwhile. m_info = {more, look, place, slot} is told in the one cycle in which a look starts, to a
// receiver that has room for every place; more: another look may follow. For each look with more comes
// one verdict {again, look, place, slot}, after its last beat was read: the next look is queued behind
// those that wait, or the frame is let go. Without more it is let go when its last beat is read.
// LOOKS = 0: m_info, place and verdict are not used, frames are sent in order.
//
// Latency: with J the cycle in which the frame is judged (see ex_measure) and nothing before it, m
// shows its first beat in J + 3, with tables in J + 4 (with LOOKS one more; a
// verdict in cycle T that sends a frame again is like J = T - 1). Throughput: one beat a cycle, also from frame
// to frame. A slot is free when its last beat is read, one or two cycles before m shows it. A
// frame's last beat is not taken while the frame before is judged. On stall m holds and what is
// before it stands still. Reset, and clear alike: no frame inside, nothing fired, words stay; after
// reset the rules are enabled, clear leaves that as it is.
`default_nettype none

module ex_rules #(
    parameter int LANES = 1,                // values a beat, channels of one pixel
    parameter int FOLD = 1,                 // beats a pixel
    parameter int HEIGHT = 8,
    parameter int WIDTH = 8,
    parameter int SLOTS = 2,                // frames kept
    parameter int PLACES = 1,               // frames with a place, where there are further looks
    parameter logic [6:0] STATISTICS = '0,  // see ex_measure, as the next five
    parameter int INK = 128,
    parameter int EDGE = 32,
    parameter int CONDITIONS = 1,
    parameter int RULES = 1,                // of all lists, at most 255
    parameter int LOOKS = 0,                // further looks, at most 2
    parameter int LIMIT_BITS = 1,
    parameter bit MOVES = 1'b1,             // some rule has dy or start
    parameter bit SHEARS = 1'b1,            // some rule has shear
    parameter bit BORDERS = 1'b1,           // some rule has a border
    parameter int TABLES = 1,               // tables, the first one for rules without; 0: none
    parameter     CONDITION_FILE = "",      // one word a line
    parameter     MOVE_FILE = "",           // spaces 1 to 4
    parameter     SLOPE_FILE = "",
    parameter     BORDER_FILE = "",
    parameter     ENTRY_FILE = "",
    parameter     TABLE_FILE = "",
    parameter logic [11:0] A_RULES = '0,    // addresses in bytes
    parameter logic [11:0] A_AT = '0,
    parameter logic [11:0] A_WORD = '0,
    parameter logic [11:0] A_FIRED = '0,
    localparam int SLOT_BITS = SLOTS > 1 ? $clog2(SLOTS) : 1,
    localparam int PLACE_BITS = PLACES > 1 ? $clog2(PLACES) : 1,
    localparam int WHO_BITS = PLACE_BITS + SLOT_BITS
) (
    input  wire               clk,
    input  wire               rst,
    input  wire               clear,
    input  wire               s_valid,
    output wire               s_ready,
    input  wire [LANES*8-1:0] s_data,
    output wire               m_valid,
    input  wire               m_ready,
    output wire [LANES*8-1:0] m_data,
    output wire               m_info_valid,
    output wire [WHO_BITS+2:0] m_info,
    input  wire               place_free,
    output wire               place_take,
    input  wire [PLACE_BITS-1:0] place,
    input  wire               verdict_valid,
    input  wire               verdict_again,
    input  wire [WHO_BITS+1:0] verdict_info,  // look, place and slot
    input  wire               write,
    input  wire [11:0]        address,
    input  wire [31:0]        wdata,
    output wire [31:0]        rdata
);
  localparam int BEATS = HEIGHT * WIDTH * FOLD;
  localparam int BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int COUNT_BITS = $clog2(SLOTS + 1);
  localparam int ADDRESS_BITS = $clog2(SLOTS << BEAT_BITS);
  localparam int TABLE_BITS = $clog2(TABLES > 1 ? TABLES << 8 : 256);
  localparam int RULE_BITS = $clog2(RULES + 1);
  localparam int LISTS = 1 + LOOKS;
  localparam int INDEX_BITS = CONDITIONS > 1 ? $clog2(CONDITIONS) : 1;
  localparam int X_BITS = $clog2(WIDTH + 1);
  localparam int Y_BITS = $clog2(HEIGHT + 1);
  localparam int F_BITS = FOLD > 1 ? $clog2(FOLD) : 1;
  localparam int SHIFT_BITS = $clog2(4 * HEIGHT + WIDTH + 1) + 1;  // of s(y), signed
  localparam int START_BITS = SHIFT_BITS + 4;
  localparam int SLOPE_BITS = START_BITS + 8;
  localparam int MOVE_BITS = Y_BITS + 1 + BEAT_BITS;
  localparam int ENTRY_BITS = TABLES > 1 ? $clog2(TABLES) : 1;
  localparam logic [BEAT_BITS-1:0] FINAL = BEAT_BITS'(BEATS - 1);
  localparam bit LOCATED = MOVES || SHEARS || BORDERS;  // where a beat is matters

  if (LANES < 1 || FOLD < 1 || HEIGHT < 1 || WIDTH < 1) begin : g_bad_shape
    $error("ex_rules: LANES, FOLD, HEIGHT and WIDTH must be at least 1, are %0d, %0d, %0d, %0d",
           LANES, FOLD, HEIGHT, WIDTH);
  end
  if (HEIGHT > 255 || WIDTH > 255) begin : g_bad_size
    $error("ex_rules: HEIGHT and WIDTH must be at most 255, are %0d and %0d", HEIGHT, WIDTH);
  end
  if (BEATS < 2) begin : g_bad_beats
    $error("ex_rules: a frame must have at least 2 beats, has %0d", BEATS);
  end
  if (SLOTS < 1) begin : g_bad_slots
    $error("ex_rules: SLOTS must be at least 1, is %0d", SLOTS);
  end
  if (PLACES < 1) begin : g_bad_places
    $error("ex_rules: PLACES must be at least 1, is %0d", PLACES);
  end
  if (LOOKS < 0 || LOOKS > 2) begin : g_bad_looks
    $error("ex_rules: LOOKS must be 0 to 2, is %0d", LOOKS);
  end
  if (RULES < 1 || RULES > 255) begin : g_bad_rules
    $error("ex_rules: RULES must be 1 to 255, is %0d", RULES);
  end
  if (TABLES < 0 || TABLES > 255) begin : g_bad_tables
    $error("ex_rules: TABLES must be 0 to 255, is %0d", TABLES);
  end

  wire empty = rst || clear;

  // the bus
  logic        enable_q;
  logic [2:0]  space_q;
  logic [15:0] at_q;
  wire store = write && address == A_WORD;
  wire [4:0] stores;  // of spaces 0 to 4
  for (genvar k = 0; k < 5; k++) begin : g_stores
    assign stores[k] = store && space_q == 3'(k);
  end
  wire [RULE_BITS-1:0] at_rule = at_q[RULE_BITS-1:0];
  wire unused_at = &{1'b0, at_q, wdata};
  always_ff @(posedge clk) begin
    if (write && address == A_RULES) enable_q <= wdata[0];
    if (write && address == A_AT) {space_q, at_q} <= wdata[18:0];
    if (store) at_q <= at_q + 1'b1;
    if (rst) enable_q <= 1'b1;
  end

  // frames come in
  wire  [SLOT_BITS-1:0] fill;                 // the slot that is filled
  logic [BEAT_BITS-1:0] beat_q;
  logic [LANES*8-1:0]   memory[SLOTS << BEAT_BITS];
  wire busy, judged, start, last_read;
  wire room, settled;                         // the slot is free; the frame before is judged
  wire [LISTS*RULE_BITS-1:0] judged_rules;
  wire final_beat = beat_q == FINAL;
  wire begun = beat_q != '0;
  wire take = s_valid && s_ready;
  wire open = take && !begun;
  wire last = take && final_beat;
  assign s_ready = (begun || room) && !(final_beat && !settled);

  ex_measure #(
      .LANES(LANES), .FOLD(FOLD), .HEIGHT(HEIGHT), .WIDTH(WIDTH),
      .STATISTICS(STATISTICS), .INK(INK), .EDGE(EDGE),
      .CONDITIONS(CONDITIONS), .RULES(RULES), .LISTS(LISTS), .LIMIT_BITS(LIMIT_BITS),
      .CONDITION_FILE(CONDITION_FILE)
  ) u_measure (
      .clk(clk), .rst(empty),
      .take(take), .last(last), .data(s_data),
      .busy(busy), .judged(judged), .chosen(judged_rules),
      .write(stores[0]), .write_index(at_q[INDEX_BITS-1:0]), .write_data(wdata)
  );

  // which rules each slot's frame has
  wire  [SLOT_BITS-1:0] judge;            // the slot that is judged
  logic [SLOTS-1:0][LISTS*RULE_BITS-1:0] chosen_q;
  logic enabled_q;                        // in the cycle of the last beat of the frame judged
  always_ff @(posedge clk) begin
    if (take) memory[ADDRESS_BITS'({fill, beat_q})] <= s_data;
    if (take) beat_q <= final_beat ? '0 : beat_q + 1'b1;
    if (last) enabled_q <= enable_q;
    if (judged) chosen_q[judge] <= enabled_q ? judged_rules : '0;
    if (empty) beat_q <= '0;
  end

  // what is sent next, and what is on its way
  logic [SLOT_BITS-1:0] slot_q;
  wire                  next_valid;
  wire [SLOT_BITS-1:0]  next_slot;
  wire [RULE_BITS-1:0]  next_rule;
  logic                 sending_q;
  assign start = next_valid && (!sending_q || last_read);

  if (LOOKS == 0) begin : g_in_order
    localparam logic [SLOT_BITS-1:0] FINAL_SLOT = SLOT_BITS'(SLOTS - 1);
    logic [SLOT_BITS-1:0]  fill_q, judge_q, send_q;
    logic [COUNT_BITS-1:0] held_q, waiting_q;  // slots in use; frames judged that did not start
    assign fill = fill_q;
    assign judge = judge_q;
    assign room = held_q != COUNT_BITS'(SLOTS);
    assign settled = !busy;
    assign next_valid = waiting_q != '0;
    assign next_slot = send_q;
    assign next_rule = chosen_q[send_q];
    always_ff @(posedge clk) begin
      if (last) fill_q <= fill_q == FINAL_SLOT ? '0 : fill_q + 1'b1;
      if (judged) judge_q <= judge_q == FINAL_SLOT ? '0 : judge_q + 1'b1;
      if (start) send_q <= send_q == FINAL_SLOT ? '0 : send_q + 1'b1;
      held_q    <= held_q + COUNT_BITS'(open) - COUNT_BITS'(last_read);
      waiting_q <= waiting_q + COUNT_BITS'(judged) - COUNT_BITS'(start);
      if (empty) begin
        fill_q    <= '0;
        judge_q   <= '0;
        send_q    <= '0;
        held_q    <= '0;
        waiting_q <= '0;
      end
    end
    assign m_info_valid = 1'b0;
    assign m_info = '0;
    assign place_take = 1'b0;
    wire unused_looks = &{1'b0, place_free, place, verdict_valid, verdict_again, verdict_info};
  end else begin : g_looks
    // a judged frame waits for the queue and a place; a look that is made again goes first
    localparam int ENTRY = 2 + WHO_BITS;
    localparam logic [SLOTS-1:0] ONE = SLOTS'(1);
    logic [SLOTS-1:0] used_q;
    logic [SLOT_BITS-1:0] fill_q, judge_q, new_slot_q;
    logic new_q, more_q;
    logic [SLOT_BITS-1:0] unused_slot;  // the first slot that no frame has
    always_comb begin
      unused_slot = '0;
      for (int i = SLOTS - 1; i >= 0; i--) if (!used_q[i]) unused_slot = SLOT_BITS'(i);
    end
    assign fill = begun ? fill_q : unused_slot;
    assign judge = judge_q;
    wire again = verdict_valid && verdict_again;
    wire enter = place_take && place_free;
    wire unused_queue_ready;
    wire [$clog2(SLOTS+1)-1:0] unused_queue_count;
    wire [ENTRY-1:0] entry;
    wire [SLOT_BITS-1:0] verdict_slot = verdict_info[SLOT_BITS-1:0];
    wire [1:0] verdict_look = verdict_info[WHO_BITS +: 2];
    wire [LISTS*RULE_BITS-1:0] verdict_chosen = chosen_q[verdict_slot];
    wire [1:0] second = verdict_look == 2'd0 && verdict_chosen[RULE_BITS +: RULE_BITS] != '0
        ? 2'd1 : 2'd2;
    wire unused_chosen = &verdict_chosen;
    assign place_take = new_q && !again;
    ex_fifo #(.WIDTH(ENTRY), .DEPTH(SLOTS)) u_queue (
        .clk(clk), .rst(empty),
        .s_valid(again || enter), .s_ready(unused_queue_ready),
        .s_data(again ? {second, verdict_info[WHO_BITS-1:0]} : {2'd0, place, new_slot_q}),
        .m_valid(next_valid), .m_ready(start), .m_data(entry),
        .count(unused_queue_count)
    );
    assign next_slot = entry[SLOT_BITS-1:0];
    wire [1:0] next_look = entry[WHO_BITS +: 2];
    wire [LISTS*RULE_BITS-1:0] next_chosen = chosen_q[next_slot];
    wire [RULE_BITS-1:0] last_chosen = next_chosen[LOOKS*RULE_BITS +: RULE_BITS];
    wire [RULE_BITS-1:0] first_chosen = next_chosen[RULE_BITS +: RULE_BITS];
    wire more = (32'(next_look) < LOOKS && last_chosen != '0)
        || (next_look == 2'd0 && first_chosen != '0);
    assign next_rule = next_look == 2'd0 ? next_chosen[0 +: RULE_BITS]
        : next_look == 2'd1 ? first_chosen : last_chosen;
    assign m_info_valid = start;
    assign m_info = {more, entry};
    assign room = used_q != '1;
    assign settled = !busy && !new_q;
    always_ff @(posedge clk) begin
      if (start) more_q <= more;
      if (judged) begin
        new_q      <= 1'b1;
        new_slot_q <= judge_q;
      end else if (enter) begin
        new_q <= 1'b0;
      end
      if (open) fill_q <= fill;
      if (last) judge_q <= fill;
      used_q <= (used_q | (open ? ONE << fill : '0))
          & ~(last_read && !more_q ? ONE << slot_q : '0)
          & ~(verdict_valid && !verdict_again ? ONE << verdict_slot : '0);
      if (empty) begin
        new_q  <= 1'b0;
        used_q <= '0;
      end
    end
  end

  // frames go out: a beat is read in every cycle in which go is high
  logic [RULE_BITS-1:0] rule_q;
  logic [BEAT_BITS-1:0] read_q;
  logic [BEAT_BITS-1:0] count_q;
  logic [LANES*8-1:0]   word_q;
  logic                 word_valid_q;
  wire go = !m_valid || m_ready;
  wire read = sending_q && go;
  wire final_read = count_q == FINAL;
  assign last_read = read && final_read;

  wire [BEAT_BITS-1:0] begin_at;     // address of the frame's first beat
  wire [BEAT_BITS-1:0] address_now;
  wire shown;
  always_ff @(posedge clk) begin
    if (read) begin
      count_q <= count_q + 1'b1;
      read_q  <= read_q + 1'b1;
    end
    if (last_read) sending_q <= 1'b0;
    if (start) begin
      sending_q <= 1'b1;
      slot_q    <= next_slot;
      rule_q    <= next_rule;
      count_q   <= '0;
      read_q    <= begin_at;
    end
    if (go) begin
      if (shown) word_q <= memory[ADDRESS_BITS'({slot_q, address_now})];
      else word_q <= '0;
      word_valid_q <= sending_q;
    end
    if (empty) begin
      sending_q    <= 1'b0;
      word_valid_q <= 1'b0;
    end
  end

  // where the beat on its way is, and where it comes from
  wire row_end;
  logic [X_BITS-1:0] x_q;
  logic [F_BITS-1:0] f_q;
  wire pixel_end = f_q == F_BITS'(FOLD - 1);
  if (LOCATED) begin : g_places
    assign row_end = pixel_end && x_q == X_BITS'(WIDTH - 1);
    always_ff @(posedge clk) begin
      if (read) f_q <= pixel_end ? '0 : f_q + 1'b1;
      if (read && pixel_end) x_q <= row_end ? '0 : x_q + 1'b1;
      if (start) begin
        f_q <= '0;
        x_q <= '0;
      end
    end
  end else begin : g_no_places
    assign row_end = 1'b0;
    assign x_q = '0;
    assign f_q = '0;
    wire unused_places = &{1'b0, row_end, x_q, pixel_end};
  end

  wire rows_inside, columns_inside, border_inside;
  wire [SHIFT_BITS-1:0] shift;       // s(y) of this row
  if (MOVES) begin : g_moves
    logic [MOVE_BITS-1:0] moves[RULES+1];
    if (MOVE_FILE != "") begin : g_file
      initial $readmemh(MOVE_FILE, moves);
    end
    always_ff @(posedge clk) if (stores[1]) moves[at_rule] <= wdata[MOVE_BITS-1:0];
    wire [MOVE_BITS-1:0] move = moves[next_rule];
    logic [Y_BITS:0] y_q;              // the row it comes from
    always_ff @(posedge clk) begin
      if (read && row_end) y_q <= y_q + 1'b1;
      if (start) y_q <= -move[BEAT_BITS +: Y_BITS+1];
    end
    assign begin_at = move[BEAT_BITS-1:0];
    assign rows_inside = y_q < (Y_BITS + 1)'(HEIGHT);
  end else begin : g_no_moves
    wire unused_move = stores[1];
    assign begin_at = '0;
    assign rows_inside = 1'b1;
  end

  if (MOVES || SHEARS) begin : g_slope
    logic [SLOPE_BITS-1:0] slopes[RULES+1];
    if (SLOPE_FILE != "") begin : g_file
      initial $readmemh(SLOPE_FILE, slopes);
    end
    always_ff @(posedge clk) if (stores[2]) slopes[at_rule] <= wdata[SLOPE_BITS-1:0];
    wire [SLOPE_BITS-1:0] slope = slopes[next_rule];
    logic [START_BITS-1:0] at_row_q;   // 16 s(y) and its fraction
    logic [SHIFT_BITS-1:0] from_q;     // x - s(y)
    wire  [START_BITS-1:0] step;
    if (SHEARS) begin : g_shears
      logic [7:0] shear_q;
      always_ff @(posedge clk) if (start) shear_q <= slope[7:0];
      assign step = START_BITS'($signed(shear_q));
    end else begin : g_no_shears
      wire unused_shear = &slope[7:0];
      assign step = '0;
    end
    wire [START_BITS-1:0] at_next = at_row_q + step;
    always_ff @(posedge clk) begin
      if (read && row_end) at_row_q <= at_next;
      if (read && pixel_end) from_q <= row_end ? -at_next[START_BITS-1:4] : from_q + 1'b1;
      if (start) begin
        at_row_q <= slope[SLOPE_BITS-1:8];
        from_q   <= -slope[SLOPE_BITS-1:12];
      end
    end
    wire unused_fraction = &{at_next[3:0], shift};
    assign shift = at_row_q[START_BITS-1:4];
    assign columns_inside = from_q < SHIFT_BITS'(WIDTH);
    assign address_now = read_q - BEAT_BITS'(BEAT_BITS'($signed(shift)) * BEAT_BITS'(FOLD));
  end else begin : g_no_slope
    wire unused_slope = stores[2];
    assign shift = '0;
    wire unused_shift = &shift;
    assign columns_inside = 1'b1;
    assign address_now = read_q;
  end

  if (BORDERS) begin : g_borders
    logic [31:0] borders[RULES+1];
    if (BORDER_FILE != "") begin : g_file
      initial $readmemh(BORDER_FILE, borders);
    end
    always_ff @(posedge clk) if (stores[3]) borders[at_rule] <= wdata;
    wire [31:0] border = borders[rule_q];
    logic [Y_BITS-1:0] y_q;
    always_ff @(posedge clk) begin
      if (read && row_end) y_q <= y_q + 1'b1;
      if (start) y_q <= '0;
    end
    assign border_inside = x_q >= border[X_BITS-1:0] && y_q >= border[8 +: Y_BITS]
        && x_q < border[16 +: X_BITS] && y_q < border[24 +: Y_BITS];
    wire unused_border = &border;
  end else begin : g_no_borders
    wire unused_border = stores[3];
    assign border_inside = 1'b1;
  end
  assign shown = rows_inside && columns_inside && border_inside;

  if (TABLES > 0) begin : g_tables
    logic [ENTRY_BITS-1:0] entries[RULES+1];
    if (ENTRY_FILE != "") begin : g_file
      initial $readmemh(ENTRY_FILE, entries);
    end
    always_ff @(posedge clk) if (stores[4]) entries[at_rule] <= wdata[ENTRY_BITS-1:0];
    logic [ENTRY_BITS-1:0] entry_q;
    logic                  valid_q;
    always_ff @(posedge clk) begin
      if (go) entry_q <= entries[rule_q];
      if (go) valid_q <= word_valid_q;
      if (empty) valid_q <= 1'b0;
    end
    assign m_valid = valid_q;
    for (genvar k = 0; k < LANES; k++) begin : g_lane
      logic [7:0] values[TABLES << 8];
      if (TABLE_FILE != "") begin : g_file
        initial $readmemh(TABLE_FILE, values);
      end
      logic [7:0] value_q;
      always_ff @(posedge clk) begin
        if (store && space_q == 3'd5) values[at_q[TABLE_BITS-1:0]] <= wdata[7:0];
        if (go) value_q <= values[TABLE_BITS'({entry_q, word_q[8*k +: 8]})];
      end
      assign m_data[8*k +: 8] = value_q;
    end
  end else begin : g_no_tables
    wire unused_table = stores[4];
    assign m_valid = word_valid_q;
    assign m_data = word_q;
  end

  // how often each fired: read in the cycle of start, stored in the next one
  (* ram_style = "block" *) logic [31:0] fired[RULES+1];
  logic [RULES:0] known_q;      // fired since reset
  logic           counting_q;
  logic [31:0]    times_q, told_q, rdata_q;
  wire [RULE_BITS-1:0] asked = write && address == A_AT ? wdata[RULE_BITS-1:0] : at_rule;
  wire [RULE_BITS-1:0] times_at = start ? next_rule : asked;
  always_ff @(posedge clk) begin
    if (known_q[times_at]) times_q <= fired[times_at];
    else times_q <= '0;
    if (counting_q) fired[rule_q] <= times_q + 1'b1;
  end
  always_ff @(posedge clk) begin
    counting_q <= start;
    if (!counting_q) told_q <= times_q;  // of the rule at the index of A_AT
    if (counting_q) known_q[rule_q] <= 1'b1;
    if (empty) counting_q <= 1'b0;
    if (empty) known_q <= '0;
  end
  always_ff @(posedge clk) begin
    rdata_q <= '0;
    if (address == A_RULES) rdata_q <= {8'd0, 8'(TABLES), 8'(RULES), 7'd0, enable_q};
    if (address == A_AT) rdata_q <= {13'd0, space_q, at_q};
    if (address == A_FIRED) rdata_q <= told_q;
  end
  assign rdata = rdata_q;
endmodule

`default_nettype wire
