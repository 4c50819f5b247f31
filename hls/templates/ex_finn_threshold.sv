// FINN's thresholding: y = BIAS + #{t : x >= t}, thresholds of the channel, PE channels a word.
//
// One word a cycle; a word taken in cycle t is offered from cycle t + clog2(LEVELS + 1) + 2 on.
// Channels rotate: word k of a frame is fold k mod FOLDS. On stall clog2(LEVELS + 1) + 3 words are
// taken, then no more. On reset everything is forgotten and the fold is 0. Words leave without
// further input.
//
// THRESHOLD_PREFIX: the files <prefix>threshs_<pe>_<stage>.dat hold the search tree; thresholds
// are one bit wider than the input, so that one above every input can be stored.
`default_nettype none

module ex_finn_threshold #(
    parameter int PE               = 1,  // channels a word
    parameter int IN_BITS          = 2,  // bits of an input
    parameter int IN_SIGNED        = 0,  // 1: inputs and thresholds are signed
    parameter int OUT_BITS         = 1,  // bits of an output
    parameter int FOLDS            = 1,  // words until the channels repeat
    parameter int LEVELS           = 1,  // thresholds of a channel
    parameter int BIAS             = 0,  // output below all thresholds
    parameter     THRESHOLD_PREFIX = ""  // what the names of the memory-init files start with
) (
    input  wire                   clk,
    input  wire                   rst,
    input  wire                   s_valid,
    output wire                   s_ready,
    input  wire [PE*IN_BITS-1:0]  s_data,
    output wire                   m_valid,
    input  wire                   m_ready,
    output wire [PE*OUT_BITS-1:0] m_data
);

  localparam int WIDE_BITS = IN_BITS + 1;
  localparam int COUNT_BITS = $clog2(LEVELS + 1);
  localparam int ADDRESS_BITS = $clog2(FOLDS) + $clog2(PE) + $clog2(LEVELS);

  wire [PE-1:0][WIDE_BITS-1:0] wide;
  wire [PE-1:0][COUNT_BITS-1:0] counts;

  wire unused_rack;
  wire [WIDE_BITS-1:0] unused_word;

  for (genvar p = 0; p < PE; p++) begin : g_lane
    wire sign = IN_SIGNED != 0 && s_data[p*IN_BITS+IN_BITS-1];
    assign wide[p] = {sign, s_data[p*IN_BITS+:IN_BITS]};
    assign m_data[p*OUT_BITS+:OUT_BITS] = OUT_BITS'(int'(counts[p]) + BIAS);
  end

  thresholding #(
      .K(WIDE_BITS),
      .N(LEVELS),
      .C(FOLDS * PE),
      .PE(PE),
      .SIGNED(IN_SIGNED[0]),
      .FPARG(1'b0),
      .BIAS(0),
      .SETS(1),
      .THRESHOLDS_PATH(THRESHOLD_PREFIX),
      .USE_CONFIG(1'b0)
  ) u_thresholding (
      .clk(clk),
      .rst(rst),
      .cfg_en(1'b0),
      .cfg_we(1'b0),
      .cfg_a({(ADDRESS_BITS > 0 ? ADDRESS_BITS : 2) {1'b0}}),
      .cfg_d({WIDE_BITS{1'b0}}),
      .cfg_rack(unused_rack),
      .cfg_q(unused_word),
      .irdy(s_ready),
      .ivld(s_valid),
      .iset(1'b0),
      .idat(wide),
      .ordy(m_ready),
      .ovld(m_valid),
      .odat(counts)
  );

endmodule

`default_nettype wire
