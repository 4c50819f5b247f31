// Maximum or sum over each COUNT successive vectors of C elements: a global pool, or behind a
// sliding window a pool with overlap or padding.
//
//   m[c] = f(s[0][c], ..., s[COUNT-1][c]),  f = max (FUNCTION 0) or sum (FUNCTION 1)
//
// A vector is C / LANES beats, in and out. Latency: 1 cycle from a beat of the last vector to its
// output. Throughput: 1 beat a cycle, also from group to group. Stall: beats of all but the last
// vector are still accepted while the output is held. Reset: empty, at the start of a group.
// busy: a word leaves (see ex_gate).
`default_nettype none
module ex_reduce #(
    parameter int unsigned FUNCTION  = 0,  // 0 maximum, 1 sum
    parameter int unsigned LANES     = 1,  // elements a beat
    parameter int unsigned IN_BITS   = 4,  // bits of an input element
    parameter int unsigned IN_SIGNED = 0,  // 1: elements are two's complement, in and out
    parameter int unsigned OUT_BITS  = 4,  // bits of an output element; sums wrap
    parameter int unsigned C         = 1,  // elements of a vector
    parameter int unsigned COUNT     = 4   // vectors of a group
) (
    input  wire logic                      clk,
    input  wire logic                      rst,
    input  wire logic                      s_valid,
    output      logic                      s_ready,
    input  wire logic [ LANES*IN_BITS-1:0] s_data,
    output      logic                      m_valid,
    input  wire logic                      m_ready,
    output      logic [LANES*OUT_BITS-1:0] m_data,
    output      logic                      busy
);
  if (C % LANES != 0) begin : gen_illegal_lanes
    $error("ex_reduce: LANES must divide C %0d, not be %0d", C, LANES);
  end

  localparam int unsigned FOLDS = C / LANES;
  localparam int unsigned FW = FOLDS > 1 ? $clog2(FOLDS) : 1;
  localparam int unsigned CW = COUNT > 1 ? $clog2(COUNT) : 1;

  logic [FW-1:0] fold_q;
  logic [CW-1:0] count_q;
  logic fold_end, last;

  assign fold_end = fold_q == FW'(FOLDS - 1);
  assign last = count_q == CW'(COUNT - 1);

  always_ff @(posedge clk) begin
    if (s_valid && s_ready) begin
      fold_q <= fold_end ? '0 : fold_q + FW'(1);
      if (fold_end) count_q <= last ? '0 : count_q + CW'(1);
    end
    if (rst) begin
      fold_q  <= '0;
      count_q <= '0;
    end
  end

  ex_accumulate #(
      .FUNCTION(FUNCTION),
      .LANES(LANES),
      .IN_BITS(IN_BITS),
      .IN_SIGNED(IN_SIGNED),
      .OUT_BITS(OUT_BITS),
      .WORDS(FOLDS),
      .AW(FW)
  ) accumulate (
      .clk,
      .rst,
      .s_valid,
      .s_ready,
      .s_data,
      .s_addr(fold_q),
      .s_first(count_q == '0),
      .s_last(last),
      .s_keep(1'b1),
      .m_valid,
      .m_ready,
      .m_data
  );

`ifdef EX_BULK
  assign busy = m_valid && m_ready;
`else
  assign busy = 1'b1;
`endif
endmodule
`default_nettype wire
