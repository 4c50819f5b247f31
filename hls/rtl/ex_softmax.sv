// ex_softmax: class and score of one frame by the softmax probability of its largest logit.
//
// s: CLASSES signed logits z of BITS bits, PE a beat, class 0 first in the low bits. m, one word
// per frame: {score, class}, class = argmax (the first index wins a tie) in the low CLASS_BITS
// bits, score = -(sum over the other classes of T[(largest - z) >> SHIFT]), signed, SCORE_BITS
// bits, where T[i] = 0 for i >= SIZE. With T[i] close to 2**TABLE_BITS * exp(-difference) the
// probability of the answer is 1 / (1 - score / 2**TABLE_BITS): it grows with the score, and
// nothing is divided.
// Two passes: the logits wait in a ring of beats until ex_best knows the largest, then one beat a
// cycle is looked up and summed, while those of the next frame come. A frame may follow another
// without a gap. Throughput: one beat a cycle; latency: m FOUND + STAGES + 1 + CLASSES / PE
// cycles after the last beat: those of ex_best, and of a tree of adders with its registers. On stall m holds, everything inside stands still and s
// waits; the next beat is taken in the cycle in which m is. Reset: empty. busy: something moves
// inside or the word leaves (see ex_gate).
`default_nettype none

module ex_softmax #(
    parameter int PE = 1,              // logits a beat
    parameter int CLASSES = 10,        // logits a frame
    parameter int BITS = 16,           // bits of a logit
    parameter int LEVELS_A_STAGE = 1,  // levels of a tree over the lanes between registers
    parameter int SHIFT = 0,           // low bits of a difference that are not looked at
    parameter int SIZE = 2,            // entries of T, a power of two
    parameter int TABLE_BITS = 12,     // bits of an entry
    parameter     TABLE_FILE = "",     // T, one entry a line; empty: not initialised
    localparam int CLASS_BITS = CLASSES > 2 ? $clog2(CLASSES) : 1,
    localparam int SCORE_BITS = $clog2((CLASSES - 1) * ((1 << TABLE_BITS) - 1) + 1) + 1
) (
    input  wire                             clk,
    input  wire                             rst,
    input  wire                             s_valid,
    output wire                             s_ready,
    input  wire [PE*BITS-1:0]               s_data,
    output wire                             m_valid,
    input  wire                             m_ready,
    output wire [SCORE_BITS+CLASS_BITS-1:0] m_data,
    output wire                             busy
);
  localparam int BEATS = CLASSES / PE;
  localparam int LEVELS = $clog2(PE);
  localparam int LEAVES = 1 << LEVELS;
  localparam int SPAN = LEVELS > 0 ? LEVELS : 1;
  localparam int STAGES = LEVELS > LEVELS_A_STAGE
      ? (LEVELS + LEVELS_A_STAGE - 1) / LEVELS_A_STAGE : 1;
  localparam int FOUND = (LEVELS + LEVELS_A_STAGE - 1) / LEVELS_A_STAGE  // cycles of ex_best
      + (PE < CLASSES ? 1 : 0);
  localparam int DEPTH = BEATS + FOUND;  // the next frame comes until the largest is known
  localparam int ADDRESS_BITS = $clog2(DEPTH);
  localparam int LEFT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int INDEX_BITS = $clog2(SIZE);
  localparam int WIDE = BITS > SHIFT + INDEX_BITS ? BITS : SHIFT + INDEX_BITS;
  localparam int BEAT_BITS = TABLE_BITS + LEVELS;  // of the sum of a beat
  localparam int FLOW = STAGES + 2;  // cycles from the read of a beat to its sum, registers
  localparam logic [ADDRESS_BITS-1:0] FINAL = ADDRESS_BITS'(DEPTH - 1);

  if (SIZE < 2 || SIZE != 1 << INDEX_BITS) begin : g_bad_size
    $error("ex_softmax: SIZE must be a power of two from 2 on, is %0d", SIZE);
  end
  if (TABLE_BITS < 1 || SCORE_BITS > 32) begin : g_bad_table
    $error("ex_softmax: TABLE_BITS must be at least 1 and the score have at most 32 bits, are %0d and %0d",
           TABLE_BITS, SCORE_BITS);
  end
  if (SHIFT < 0 || SHIFT > 30) begin : g_bad_shift
    $error("ex_softmax: SHIFT must be 0 to 30, is %0d", SHIFT);
  end

  wire go = !m_valid || m_ready;
  wire take = s_valid && go;
  assign s_ready = go;

  // the first pass
  wire                  found, moving;
  wire [BITS-1:0]       largest, unused_second;
  wire [CLASS_BITS-1:0] winner;
  ex_best #(
      .PE(PE), .CLASSES(CLASSES), .BITS(BITS), .LEVELS_A_STAGE(LEVELS_A_STAGE), .SECOND(1'b0)
  ) u_best (
      .clk(clk), .rst(rst), .go(go),
      .s_valid(s_valid), .s_data(s_data),
      .m_valid(found), .m_max(largest), .m_second(unused_second), .m_class(winner),
      .busy(moving)
  );

  // the second pass reads a beat in every cycle from the one on in which the largest is found;
  // left: beats after this one
  logic [ADDRESS_BITS-1:0] write_q, read_q;
  logic [LEFT_BITS-1:0]    left_q;
  wire                     read = found || left_q != '0;
  wire                     final_read = found ? BEATS == 1 : left_q == LEFT_BITS'(1);
  logic [PE*BITS-1:0]      memory[DEPTH];
  logic [PE*BITS-1:0]      beat_q;
  logic [BITS-1:0]         largest_q;
  always_ff @(posedge clk) begin
    if (take) memory[write_q] <= s_data;
    if (read && go) beat_q <= memory[read_q];
  end

  // bit or entry j: of the beat in the registers j + 1 cycles after its read
  logic [FLOW-1:0]                 valid_q, first_q, last_q;
  logic [FLOW-1:0][CLASS_BITS-1:0] class_q;

  // of each lane the table's entry, then a tree of adders with a register behind some levels
  for (genvar l = 0; l <= LEVELS; l++) begin : g_level
    localparam int NODES = LEAVES >> l;
    localparam bit CUT = l == 0
        || (l < LEVELS && l * STAGES / SPAN > (l - 1) * STAGES / SPAN);
    logic [NODES*BEAT_BITS-1:0] sum, sum_d;
    for (genvar k = 0; k < NODES; k++) begin : g_node
      if (l > 0) begin : g_add
        assign sum_d[BEAT_BITS*k +: BEAT_BITS] = g_level[l-1].sum[BEAT_BITS*2*k +: BEAT_BITS]
            + g_level[l-1].sum[BEAT_BITS*(2*k+1) +: BEAT_BITS];
      end else if (k < PE) begin : g_lane
        logic [TABLE_BITS-1:0] entries[SIZE];
        if (TABLE_FILE != "") begin : g_file
          initial $readmemh(TABLE_FILE, entries);
        end
        wire [BITS-1:0] difference = largest_q - beat_q[BITS*k +: BITS];  // not below 0
        wire [WIDE-1:0] behind = WIDE'(difference);
        wire [WIDE-SHIFT-1:0] index = behind[WIDE-1:SHIFT];
        wire far = WIDE - SHIFT > INDEX_BITS && index >> INDEX_BITS != '0;
        if (SHIFT > 0) begin : g_low
          wire unused_low = &behind[SHIFT-1:0];
        end
        assign sum_d[BEAT_BITS*k +: BEAT_BITS] = far
            ? '0 : BEAT_BITS'(entries[index[INDEX_BITS-1:0]]);
      end else begin : g_none
        assign sum_d[BEAT_BITS*k +: BEAT_BITS] = '0;
      end
    end
    if (CUT) begin : g_cut
      always_ff @(posedge clk) if (go) sum <= sum_d;
    end else begin : g_through
      assign sum = sum_d;
    end
  end

  // the answer's own entry is in the sum as well, so it starts with it
  logic [TABLE_BITS-1:0] own[SIZE];
  if (TABLE_FILE != "") begin : g_file
    initial $readmemh(TABLE_FILE, own);
  end
  logic [SCORE_BITS-1:0] score_q;
  wire  [SCORE_BITS-1:0] so_far = first_q[FLOW-2] ? SCORE_BITS'(own[0]) : score_q;

  assign m_valid = valid_q[FLOW-1] && last_q[FLOW-1];
  assign m_data = {score_q, class_q[FLOW-1]};

  always_ff @(posedge clk) begin
    if (take) write_q <= write_q == FINAL ? '0 : write_q + 1'b1;
    if (go) begin
      if (found) largest_q <= largest;
      if (found) left_q <= LEFT_BITS'(BEATS - 1);
      else if (left_q != '0) left_q <= left_q - 1'b1;
      if (read) read_q <= read_q == FINAL ? '0 : read_q + 1'b1;
      valid_q <= FLOW'({valid_q, read});
      first_q <= FLOW'({first_q, found});
      last_q  <= FLOW'({last_q, final_read});
      class_q <= (FLOW * CLASS_BITS)'({class_q, found ? winner : class_q[0]});
      if (valid_q[FLOW-2]) score_q <= so_far - SCORE_BITS'(g_level[LEVELS].sum);
    end
    if (rst) begin
      write_q <= '0;
      read_q  <= '0;
      left_q  <= '0;
      valid_q <= '0;
    end
  end

`ifdef EX_BULK
  assign busy = go && (moving || read || valid_q != '0);
`else
  wire unused_moving = moving;
  assign busy = 1'b1;
`endif
endmodule

`default_nettype wire
