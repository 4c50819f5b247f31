// ex_explain_gather: watches a stream and makes context words of it, see exeunt.explain.store.
//
// take: a beat of the stream moves in this cycle, s_data: the beat, LANES channels of BITS bits.
// Frames of POSITIONS positions, C channels each, C / LANES beats. It never makes the stream wait.
// A word has min(16, C) lanes, lane i of group g for channel 16*g + i, 0 beyond the last channel;
// groups of a position follow each other, positions too. With LANES > 16, a multiple of 16 or all
// of C, a beat makes WIDE = ceil(LANES / 16) words at once, which share an address.
// w_valid, w_address, w_data: a word in the cycle after the beat that completes it; w_last with the
// last one of a frame. Where LANES does not divide 16, a last beat may complete two words: the rest
// of the position is then written one cycle later, in which no other word can be complete, since
// the first beat of a position is less than a word. Reset: the next beat is the first of a frame.
`default_nettype none

module ex_explain_gather #(
    parameter int LANES     = 4,  // channels of a beat
    parameter int BITS      = 1,  // of a channel
    parameter int C         = 8,  // channels
    parameter int POSITIONS = 4,  // of a frame
    localparam int WIDE     = (LANES + 15) / 16,
    localparam int L        = C < 16 ? C : 16,
    localparam int WORDS    = POSITIONS * ((C + 15) / 16) / WIDE,
    localparam int AW       = WORDS > 1 ? $clog2(WORDS) : 1
) (
    input  wire                   clk,
    input  wire                   rst,
    input  wire                   take,
    input  wire  [LANES*BITS-1:0] s_data,
    output wire                   w_valid,
    output wire                   w_last,
    output wire  [AW-1:0]         w_address,
    output wire  [WIDE*L*BITS-1:0] w_data
);
  localparam int FOLDS = C / LANES;
  localparam int FW    = FOLDS > 1 ? $clog2(FOLDS) : 1;
  localparam int WORD  = WIDE * L * BITS;
  localparam bit WHOLE = FOLDS == 1 || LANES >= 16;                // a beat is a word
  localparam bit EVEN  = !WHOLE && (C <= 16 || 16 % LANES == 0);   // whole beats make a word
  localparam bit CROSS = !WHOLE && !EVEN;                          // a beat may lie in two words

  if (LANES < 1 || C % LANES != 0) begin : g_bad_lanes
    $error("ex_explain_gather: LANES must divide C %0d, not be %0d", C, LANES);
  end
  if (LANES > 16 && LANES % 16 != 0 && LANES != C) begin : g_bad_wide
    $error("ex_explain_gather: LANES above 16 must be a multiple of 16 or C %0d, not %0d", C, LANES);
  end
  if (BITS < 1 || POSITIONS < 1) begin : g_bad_size
    $error("ex_explain_gather: BITS and POSITIONS must be at least 1, not %0d and %0d",
           BITS, POSITIONS);
  end

  logic          valid_q;
  logic [AW-1:0] address_q;  // of the word that is written next
  wire end_word = address_q == AW'(WORDS - 1);
  assign w_valid   = valid_q;
  assign w_address = address_q;
  assign w_last    = valid_q && end_word;

  always_ff @(posedge clk) begin
    if (valid_q) address_q <= end_word ? '0 : address_q + 1'b1;
    if (rst) address_q <= '0;
  end

  logic [FW-1:0] fold_q;  // beat of the position
  wire end_fold = fold_q == FW'(FOLDS - 1);
  if (FOLDS > 1) begin : g_fold
    always_ff @(posedge clk) begin
      if (take) fold_q <= end_fold ? '0 : fold_q + 1'b1;
      if (rst) fold_q <= '0;
    end
  end else begin : g_no_fold
    assign fold_q = '0;
  end

  if (WHOLE) begin : g_whole
    logic [LANES*BITS-1:0] word_q;
    always_ff @(posedge clk) begin
      valid_q <= take && !rst;
      if (take) word_q <= s_data;
    end
    assign w_data = WORD'(word_q);
    wire unused = end_fold;
  end

  if (EVEN) begin : g_slots
    localparam int BEATS = L / LANES;  // of a full word
    localparam int PW    = $clog2(BEATS);
    localparam bit SHORT = C % L != 0;  // the last word of a position is not full
    wire [PW-1:0] place = PW'(fold_q);  // BEATS is all of FOLDS or a power of two
    always_ff @(posedge clk) begin
      valid_q <= take && !rst && (place == PW'(BEATS - 1) || (SHORT && end_fold));
    end
    for (genvar k = 0; k < BEATS; k++) begin : g_slot
      logic [LANES*BITS-1:0] slot_q;
      always_ff @(posedge clk) begin
        if (take) begin
          if (place == PW'(k)) slot_q <= s_data;
          else if (SHORT && place == '0) slot_q <= '0;
        end
      end
      assign w_data[k*LANES*BITS +: LANES*BITS] = slot_q;
    end
  end

  if (CROSS) begin : g_across
    localparam int HELD = 15 * BITS;  // what waits for the rest of its word
    localparam int BOTH = (16 + LANES - 1) * BITS;
    logic [3:0]      count_q;  // lanes that wait
    logic            rest_q;   // the rest of a position is in held_q
    logic [HELD-1:0] held_q;
    logic [WORD-1:0] word_q;
    wire [HELD-1:0] waiting = count_q == 4'd0 ? '0 : held_q;
    wire [BOTH-1:0] both = BOTH'(waiting) | (BOTH'(s_data) << (32'(count_q) * BITS));
    wire [4:0]      count = 5'(count_q) + 5'(LANES);
    wire            full = count[4];  // 16 lanes and perhaps more
    always_ff @(posedge clk) begin
      valid_q <= !rst && (rest_q || (take && (full || end_fold)));
      rest_q  <= !rst && take && end_fold && full && count[3:0] != 4'd0;
      word_q  <= rest_q ? WORD'(held_q) : both[WORD-1:0];
      if (take) begin
        held_q  <= full ? HELD'(both[BOTH-1:WORD]) : both[HELD-1:0];
        count_q <= end_fold ? 4'd0 : count[3:0];
      end
      if (rst) count_q <= 4'd0;
    end
    assign w_data = word_q;
  end
endmodule

`default_nettype wire
