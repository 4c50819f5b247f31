// ex_best: the largest and second largest logit of one frame, and the class of the largest.
//
// s: CLASSES signed logits of BITS bits, PE a beat, class 0 first in the low bits; a beat is taken
// in every cycle with s_valid && go. m_valid: a frame is complete, with m_max its largest logit,
// m_class its class (the first index wins a tie) and, with SECOND, m_second the largest other one.
// A frame may follow another without a gap. go holds everything still while it is low, m_* too:
// whoever uses this makes go low while it cannot take a frame (ex_leaders, or a score block).
// Throughput: one beat a cycle; latency: m is there STAGES cycles with go after the last beat. The
// tree over the lanes has a register after at most LEVELS_A_STAGE levels, TREE = ceil(log2(PE) /
// LEVELS_A_STAGE) of them, and what it gives is taken up by registers where a frame has several
// beats: STAGES = TREE + (PE < CLASSES). m comes from a register. Reset: empty. busy: a beat is
// inside.
`default_nettype none

module ex_best #(
    parameter int PE = 1,              // logits a beat
    parameter int CLASSES = 10,        // logits a frame
    parameter int BITS = 16,           // bits of a logit
    parameter int LEVELS_A_STAGE = 1,  // comparisons one after the other between registers
    parameter bit SECOND = 1'b1,       // m_second is wanted
    localparam int CLASS_BITS = CLASSES > 2 ? $clog2(CLASSES) : 1
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  go,
    input  wire                  s_valid,
    input  wire [PE*BITS-1:0]    s_data,
    output wire                  m_valid,
    output wire [BITS-1:0]       m_max,
    output wire [BITS-1:0]       m_second,
    output wire [CLASS_BITS-1:0] m_class,
    output wire                  busy
);
  localparam int LEVELS = $clog2(PE);
  localparam int LEAVES = 1 << LEVELS;
  localparam int TREE = (LEVELS + LEVELS_A_STAGE - 1) / LEVELS_A_STAGE;
  localparam int CUTS = TREE > 0 ? TREE : 1;
  localparam int LANE_BITS = LEVELS > 0 ? LEVELS : 1;
  localparam int SPAN = LEVELS > 0 ? LEVELS : 1;
  localparam logic [BITS-1:0] LOWEST = {1'b1, {(BITS - 1){1'b0}}};
  localparam bit ONE_BEAT = PE == CLASSES;
  localparam logic [CLASS_BITS-1:0] FINAL = CLASS_BITS'(CLASSES - PE);

  if (CLASSES < 2 || CLASSES > 65536) begin : g_bad_classes
    $error("ex_best: CLASSES must be 2 to 65536, is %0d", CLASSES);
  end
  if (PE < 1 || CLASSES % PE != 0) begin : g_bad_pe
    $error("ex_best: PE %0d must divide CLASSES %0d", PE, CLASSES);
  end
  if (BITS < 2 || BITS > 32) begin : g_bad_bits
    $error("ex_best: BITS must be 2 to 32, is %0d", BITS);
  end
  if (LEVELS_A_STAGE < 1) begin : g_bad_levels
    $error("ex_best: LEVELS_A_STAGE must be at least 1, is %0d", LEVELS_A_STAGE);
  end

  logic [CLASS_BITS-1:0] next_q;  // class of lane 0 of the next beat

  wire take = s_valid && go;
  wire first = ONE_BEAT || next_q == '0;
  wire last = ONE_BEAT || next_q == FINAL;

  // a tree over the lanes: level l has LEAVES >> l nodes; node k is the better of 2k, which has
  // the lower classes, and 2k + 1 of the level before. Behind some levels is a register.
  for (genvar l = 0; l <= LEVELS; l++) begin : g_level
    localparam int NODES = LEAVES >> l;
    localparam bit CUT = l > 0 && l * TREE / SPAN > (l - 1) * TREE / SPAN;
    logic [NODES*BITS-1:0]      max, second, max_d, second_d;
    logic [NODES*LANE_BITS-1:0] lane, lane_d;
    if (l == 0) begin : g_leaves
      for (genvar k = 0; k < NODES; k++) begin : g_leaf
        if (k < PE) begin : g_lane
          assign max_d[BITS*k +: BITS] = s_data[BITS*k +: BITS];
        end else begin : g_none
          assign max_d[BITS*k +: BITS] = LOWEST;
        end
        assign second_d[BITS*k +: BITS] = LOWEST;
        assign lane_d[LANE_BITS*k +: LANE_BITS] = LANE_BITS'(k);
      end
    end else begin : g_nodes
      for (genvar k = 0; k < NODES; k++) begin : g_node
        wire [BITS-1:0] a = g_level[l-1].max[BITS*2*k +: BITS];
        wire [BITS-1:0] b = g_level[l-1].max[BITS*(2*k+1) +: BITS];
        wire wins = $signed(b) > $signed(a);
        assign max_d[BITS*k +: BITS] = wins ? b : a;
        assign lane_d[LANE_BITS*k +: LANE_BITS] = wins
            ? g_level[l-1].lane[LANE_BITS*(2*k+1) +: LANE_BITS]
            : g_level[l-1].lane[LANE_BITS*2*k +: LANE_BITS];
        if (l == 1) begin : g_two  // of two lanes the other one is second
          wire [2*BITS-1:0] unused_seconds = g_level[l-1].second[2*BITS*k +: 2*BITS];
          assign second_d[BITS*k +: BITS] = !SECOND ? LOWEST : wins ? a : b;
        end else begin : g_many
          wire [BITS-1:0] a2 = g_level[l-1].second[BITS*2*k +: BITS];
          wire [BITS-1:0] b2 = g_level[l-1].second[BITS*(2*k+1) +: BITS];
          wire [BITS-1:0] with_a = $signed(b) > $signed(a2) ? b : a2;
          wire [BITS-1:0] with_b = $signed(b2) > $signed(a) ? b2 : a;
          assign second_d[BITS*k +: BITS] = !SECOND ? LOWEST : wins ? with_b : with_a;
        end
      end
    end
    if (CUT) begin : g_cut
      always_ff @(posedge clk) begin
        if (go) begin
          max    <= max_d;
          second <= second_d;
          lane   <= lane_d;
        end
      end
    end else begin : g_through
      assign max = max_d;
      assign second = second_d;
      assign lane = lane_d;
    end
  end

  // what the tree gives: a_valid, of the first or last beat of its frame, and the beat's best
  wire                  a_valid, a_first, a_last;
  wire [CLASS_BITS-1:0] a_base;
  wire [BITS-1:0]       a_max = g_level[LEVELS].max;
  wire [BITS-1:0]       a_second = g_level[LEVELS].second;
  wire [CLASS_BITS-1:0] a_class = a_base + CLASS_BITS'(g_level[LEVELS].lane);
  wire                  moving;  // a beat is in the tree
  if (TREE > 0) begin : g_tree
    // bit j of these belongs to the beat in the registers behind stage j of the tree
    logic [CUTS-1:0] valid_q, first_q, last_q;
    logic [CUTS*CLASS_BITS-1:0] base_q;
    always_ff @(posedge clk) begin
      if (go) begin
        valid_q <= CUTS'({valid_q, take});
        first_q <= CUTS'({first_q, first});
        last_q  <= CUTS'({last_q, last});
        base_q  <= (CUTS * CLASS_BITS)'({base_q, next_q});
      end
      if (rst) valid_q <= '0;
    end
    assign a_valid = valid_q[CUTS-1];
    assign a_first = first_q[CUTS-1];
    assign a_last = last_q[CUTS-1];
    assign a_base = base_q[CUTS*CLASS_BITS-1 -: CLASS_BITS];
    assign moving = valid_q != '0;
  end else begin : g_no_tree
    assign a_valid = s_valid;
    assign a_first = first;
    assign a_last = last;
    assign a_base = next_q;
    assign moving = 1'b0;
  end

  if (ONE_BEAT) begin : g_one
    assign m_valid = a_valid;
    assign m_max = a_max;
    assign m_second = a_second;
    assign m_class = a_class;
    assign busy = moving;
    wire unused = &{1'b0, a_first, a_last};
  end else begin : g_many_beats
    // b: the best of the frame so far
    logic                  whole_q;
    logic [BITS-1:0]       b_max_q;
    logic [CLASS_BITS-1:0] b_class_q;
    wire wins = a_first || $signed(a_max) > $signed(b_max_q);
    always_ff @(posedge clk) begin
      if (go) begin
        whole_q <= a_valid && a_last;
        if (a_valid && wins) begin
          b_max_q   <= a_max;
          b_class_q <= a_class;
        end
      end
      if (rst) whole_q <= 1'b0;
    end
    if (SECOND) begin : g_second
      logic [BITS-1:0] b_second_q;
      wire [BITS-1:0] rest = a_first || $signed(a_second) > $signed(b_max_q) ? a_second : b_max_q;
      wire above = $signed(a_max) > $signed(b_second_q);
      always_ff @(posedge clk) begin
        if (go && a_valid && (wins || above)) b_second_q <= wins ? rest : a_max;
      end
      assign m_second = b_second_q;
    end else begin : g_no_second
      wire [BITS-1:0] unused_second = a_second;
      assign m_second = LOWEST;
    end
    assign m_valid = whole_q;
    assign m_max = b_max_q;
    assign m_class = b_class_q;
    assign busy = moving || whole_q;
  end

  always_ff @(posedge clk) begin
    if (take) next_q <= last ? '0 : next_q + CLASS_BITS'(PE);
    if (rst) next_q <= '0;
  end
endmodule

`default_nettype wire
