// Counts thresholds: y = BIAS + #{ t : x >= t } for each of PE lanes, LEVELS thresholds a channel.
//
// Word k of a pixel carries channels k*PE .. k*PE + PE - 1; FOLDS words make a pixel. A binary
// search, one comparison a stage: STAGES = clog2(LEVELS + 1). Latency STAGES + 1, one word a cycle.
// On stall the stages fill up (STAGES + 1 words), then s_ready falls; s_ready depends on m_ready.
// On reset all words inside are forgotten and the next one is the first of a pixel. busy: a word
// moves inside or leaves (see ex_gate).
//
// Stage j of lane p reads <THRESHOLD_FILE>_<j>_<p, three digits>.hex at address {fold, bits found}:
// the threshold minus the smallest input value, IN_BITS + 1 bits, from 0 (always) to 2**IN_BITS
// (never, also in the places behind LEVELS).
//
// With EDGES, m_edge says of each lane of m_data that edges[c][0] <= x < edges[c][1]. One more
// comparison beside the last one of the search: x that did not reach the first threshold that is
// tried is inside from edges[c][0] on, any other below edges[c][1]. Lane p reads
// <EDGE_FILE>_<p, three digits>.hex at address {fold, reached}, words as those of thresholds. Without
// EDGES m_edge is 0 and nothing is built.
`default_nettype none

module ex_threshold #(
    parameter int PE        = 1,    // channels of a word
    parameter int IN_BITS   = 16,   // bits of x
    parameter bit IN_SIGNED = 1'b1, // x is two's complement
    parameter int OUT_BITS  = 4,    // bits of y
    parameter int FOLDS     = 1,    // words of a pixel
    parameter int LEVELS    = 15,   // thresholds of a channel
    parameter int BIAS      = 0,    // y below the first threshold
    parameter     THRESHOLD_FILE = "",  // beginning of the file names; empty: not initialised
    parameter bit EDGES     = 1'b0,     // m_edge is built
    parameter     EDGE_FILE = ""        // the same of the edges
) (
    input  wire                    clk,
    input  wire                    rst,
    input  wire                    s_valid,
    output wire                    s_ready,
    input  wire  [PE*IN_BITS-1:0]  s_data,
    output wire                    m_valid,
    input  wire                    m_ready,
    output logic [PE*OUT_BITS-1:0] m_data,
    output logic [PE-1:0]          m_edge,
    output wire                    busy
);

  localparam int STAGES    = $clog2(LEVELS + 1);
  localparam int FOLD_BITS = FOLDS > 1 ? $clog2(FOLDS) : 1;
  localparam int T_BITS    = IN_BITS + 1;

  if (PE < 1 || PE > 999) begin : g_bad_pe
    $error("ex_threshold: PE must be 1 to 999, is %0d", PE);
  end
  if (LEVELS < 1 || LEVELS > 255) begin : g_bad_levels
    $error("ex_threshold: LEVELS must be 1 to 255, is %0d", LEVELS);
  end
  if (OUT_BITS < STAGES) begin : g_bad_out_bits
    $error("ex_threshold: OUT_BITS must be >= %0d, is %0d", STAGES, OUT_BITS);
  end
  if (BIAS + LEVELS >= 1 << (OUT_BITS - 32'(BIAS < 0))
      || BIAS < -(1 << (OUT_BITS - 1))) begin : g_bad_bias
    $error("ex_threshold: %0d to %0d must fit into %0d bits", BIAS, BIAS + LEVELS, OUT_BITS);
  end
  if (FOLDS < 1) begin : g_bad_folds
    $error("ex_threshold: FOLDS must be at least 1, is %0d", FOLDS);
  end

  // Stage j < STAGES holds words about to be compared, stage STAGES the results.
  logic [STAGES:0] valid_q;
  wire  [STAGES:0] offer = {valid_q[STAGES-1:0], s_valid};  // stage j could get a word
  logic [STAGES:0] enable;                                  // stage j can take one

  always_comb begin
    enable[STAGES] = !valid_q[STAGES] || m_ready;
    for (int j = STAGES - 1; j >= 0; j--) enable[j] = !valid_q[j] || enable[j+1];
  end

  always_ff @(posedge clk) begin
    if (rst) valid_q <= '0;
    else valid_q <= (valid_q & ~enable) | (offer & enable);
  end

  assign s_ready = enable[0];
  assign m_valid = valid_q[STAGES];

  logic [FOLD_BITS-1:0] fold_q;
  if (FOLDS > 1) begin : g_fold
    always_ff @(posedge clk) begin
      if (rst) fold_q <= '0;
      else if (s_valid && s_ready) begin
        fold_q <= fold_q == FOLD_BITS'(FOLDS - 1) ? '0 : fold_q + 1'b1;
      end
    end
  end else begin : g_no_fold
    assign fold_q = '0;
  end

  // Everything of a lane is a variable of its own and is computed where it is loaded, which
  // simulates fastest.
  for (genvar j = 0; j < STAGES; j++) begin : g_stage
    localparam int DEPTH = FOLDS << j;
    localparam int ADDR_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;
    localparam bit [7:0] STAGE_DIGIT = 8'(48 + j);

    wire                  load = offer[j] && enable[j];
    wire [FOLD_BITS-1:0]  fold;

    if (j == 0) begin : g_first
      assign fold = fold_q;
    end else begin : g_later
      assign fold = g_stage[j-1].g_pass.fold_stage_q;
    end

    if (j < STAGES - 1) begin : g_pass
      logic [FOLD_BITS-1:0] fold_stage_q;
      always_ff @(posedge clk) if (load) fold_stage_q <= fold;
    end

    for (genvar p = 0; p < PE; p++) begin : g_lane
      localparam bit [23:0] LANE_DIGITS = {8'(48 + p / 100), 8'(48 + p / 10 % 10), 8'(48 + p % 10)};

      logic [T_BITS-1:0]  memory[DEPTH];
      logic [T_BITS-1:0]  threshold_q;
      logic [IN_BITS-1:0] x_q;
      logic [STAGES-1:0]  found_q;  // the j bits found so far, from the top; the others are 0
      wire                reached = {1'b0, x_q} >= threshold_q;

      if (THRESHOLD_FILE != "") begin : g_file
        initial $readmemh({THRESHOLD_FILE, "_", STAGE_DIGIT, "_", LANE_DIGITS, ".hex"}, memory);
      end

      if (j == 0) begin : g_take
        // The smallest value becomes 0, so that all comparisons are unsigned.
        wire [IN_BITS-1:0] x = s_data[p*IN_BITS+:IN_BITS];
        always_ff @(posedge clk) begin
          if (load) begin
            x_q         <= x ^ (IN_BITS'(IN_SIGNED) << (IN_BITS - 1));
            found_q     <= '0;
            threshold_q <= memory[ADDR_BITS'(fold)];
          end
        end
      end else begin : g_compare
        always_ff @(posedge clk) begin : stage
          logic [STAGES-1:0] found;
          if (load) begin
            found = g_stage[j-1].g_lane[p].found_q;
            found[STAGES-j] = g_stage[j-1].g_lane[p].reached;
            x_q         <= g_stage[j-1].g_lane[p].x_q;
            found_q     <= found;
            threshold_q <= memory[ADDR_BITS'({fold, found} >> (STAGES - j))];
          end
        end
      end
    end
  end

  for (genvar p = 0; p < PE; p++) begin : g_result
    always_ff @(posedge clk) begin : result
      logic [STAGES-1:0] found;
      if (offer[STAGES] && enable[STAGES]) begin
        found = g_stage[STAGES-1].g_lane[p].found_q;
        found[0] = g_stage[STAGES-1].g_lane[p].reached;
        m_data[p*OUT_BITS+:OUT_BITS] <= OUT_BITS'(BIAS + 32'(found));
      end
    end
  end

  if (EDGES) begin : g_edges
    for (genvar p = 0; p < PE; p++) begin : g_lane
      localparam int ADDR_BITS = $clog2(2 * FOLDS);
      localparam bit [23:0] LANE_DIGITS = {8'(48 + p / 100), 8'(48 + p / 10 % 10), 8'(48 + p % 10)};

      logic [T_BITS-1:0] memory[2*FOLDS];
      wire  [T_BITS-1:0] x = {1'b0, g_stage[STAGES-1].g_lane[p].x_q};
      wire               load = g_stage[STAGES-1].load;
      wire [FOLD_BITS-1:0] fold = g_stage[STAGES-1].fold;

      if (EDGE_FILE != "") begin : g_file
        initial $readmemh({EDGE_FILE, "_", LANE_DIGITS, ".hex"}, memory);
      end

      if (STAGES == 1) begin : g_both  // which of the two is only known when both are compared
        logic [T_BITS-1:0] low_q, high_q;
        always_ff @(posedge clk) begin
          if (load) begin
            low_q  <= memory[ADDR_BITS'({fold, 1'b0})];
            high_q <= memory[ADDR_BITS'({fold, 1'b1})];
          end
          if (offer[STAGES] && enable[STAGES]) begin
            m_edge[p] <= g_stage[0].g_lane[p].reached ? x < high_q : x >= low_q;
          end
        end
      end else begin : g_one
        logic [T_BITS-1:0] edge_q;
        wire reached;
        if (STAGES == 2) begin : g_now
          assign reached = g_stage[0].g_lane[p].reached;
        end else begin : g_before
          assign reached = g_stage[STAGES-2].g_lane[p].found_q[STAGES-1];
        end
        always_ff @(posedge clk) begin
          if (load) edge_q <= memory[ADDR_BITS'({fold, reached})];
          if (offer[STAGES] && enable[STAGES]) begin
            m_edge[p] <= (x >= edge_q) != g_stage[STAGES-1].g_lane[p].found_q[STAGES-1];
          end
        end
      end
    end
  end else begin : g_no_edges
    assign m_edge = '0;
  end

`ifdef EX_BULK
  assign busy = |(valid_q & enable);
`else
  assign busy = 1'b1;
`endif
endmodule

`default_nettype wire
