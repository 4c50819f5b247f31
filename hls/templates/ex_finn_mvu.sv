// FINN's matrix-vector unit (mvu_vvu_axi) with its weights: y = W x for each vector of MW.
//
// Takes MW / SIMD words of SIMD activations and gives MH / PE words of PE accumulators, rows
// ascending; one multiply step a cycle, (MH / PE) * (MW / SIMD) cycles a vector. The next vector
// is taken while the last repetition of this one is running. On stall the steps stop; results on
// the way wait in FINN's output queue, which holds them all (see exeunt.hls.back.kernels.finn.mvu). On
// reset everything is forgotten. Results leave without further input.
//
// WEIGHT_FILE: one word a line, fold by fold (rows outer, columns inner), PE rows of SIMD weights.
`default_nettype none

module ex_finn_mvu #(
    parameter int MW          = 1,   // columns: activations of a vector
    parameter int MH          = 1,   // rows: results of a vector
    parameter int SIMD        = 1,   // activations a word
    parameter int PE          = 1,   // results a word
    parameter int IN_BITS     = 2,   // bits of an activation
    parameter int IN_SIGNED   = 0,   // 1: activations are signed
    parameter int W_BITS      = 2,   // bits of a weight, signed
    parameter int ACC_BITS    = 4,   // bits of FINN's accumulator, signed
    parameter int OUT_BITS    = 4,   // bits of a result: the low bits of the accumulator
    parameter int NARROW      = 0,   // 1: no weight is -2^(W_BITS-1)
    parameter int DSP_VERSION = 1,   // 1: DSP48E1, 2: DSP48E2
    parameter     WEIGHT_FILE = ""   // memory-init file
) (
    input  wire                    clk,
    input  wire                    rst,
    input  wire                    s_valid,
    output wire                    s_ready,
    input  wire [SIMD*IN_BITS-1:0] s_data,
    output wire                    m_valid,
    input  wire                    m_ready,
    output wire [PE*OUT_BITS-1:0]  m_data
);

  localparam int FOLDS = (MH / PE) * (MW / SIMD);
  localparam int WEIGHT_BITS = PE * SIMD * W_BITS;
  localparam int WEIGHT_BYTES = (WEIGHT_BITS + 7) / 8;
  localparam int IN_BYTES = (SIMD * IN_BITS + 7) / 8;
  localparam int OUT_BYTES = (PE * ACC_BITS + 7) / 8;
  localparam int ADDR_BITS = FOLDS > 1 ? $clog2(FOLDS) : 1;
  localparam logic [ADDR_BITS-1:0] LAST = ADDR_BITS'(FOLDS - 1);

  if (MW % SIMD != 0) begin : g_columns
    $error("ex_finn_mvu: SIMD must divide MW, is %0d for %0d", SIMD, MW);
  end
  if (MH % PE != 0) begin : g_rows
    $error("ex_finn_mvu: PE must divide MH, is %0d for %0d", PE, MH);
  end
  if (OUT_BITS > ACC_BITS) begin : g_result_bits
    $error("ex_finn_mvu: OUT_BITS must be at most ACC_BITS, is %0d for %0d", OUT_BITS, ACC_BITS);
  end

  // The weights are always one read ahead, so a word of them is there in every cycle.
  logic [WEIGHT_BITS-1:0] weights[FOLDS];
  logic [WEIGHT_BITS-1:0] weight_q;
  logic [ADDR_BITS-1:0] address_q, address_d;
  wire weight_taken;

  if (WEIGHT_FILE != "") begin : g_weights
    initial $readmemh(WEIGHT_FILE, weights);
  end

  always_comb begin
    address_d = address_q;
    if (rst) address_d = '0;
    else if (weight_taken) address_d = address_q == LAST ? '0 : address_q + 1'b1;
  end

  always_ff @(posedge clk) begin
    address_q <= address_d;
    weight_q  <= weights[address_d];
  end

  wire [OUT_BYTES*8-1:0] sums;
  wire unused = &{1'b0, sums};

  mvu_vvu_axi #(
      .IS_MVU(1'b1),
      .VERSION(DSP_VERSION),
      .MW(MW),
      .MH(MH),
      .PE(PE),
      .SIMD(SIMD),
      .ACTIVATION_WIDTH(IN_BITS),
      .WEIGHT_WIDTH(W_BITS),
      .ACCU_WIDTH(ACC_BITS),
      .NARROW_WEIGHTS(NARROW[0]),
      .SIGNED_ACTIVATIONS(IN_SIGNED[0]),
`ifdef EX_FINN_DSP
      .FORCE_BEHAVIORAL(1'b0)
`else
      .FORCE_BEHAVIORAL(1'b1)
`endif
  ) u_mvu (
      .ap_clk(clk),
      .ap_clk2x(clk),
      .ap_rst_n(!rst),
      .s_axis_weights_tdata({{(WEIGHT_BYTES * 8 - WEIGHT_BITS){1'b0}}, weight_q}),
      .s_axis_weights_tvalid(1'b1),
      .s_axis_weights_tready(weight_taken),
      .s_axis_input_tdata({{(IN_BYTES * 8 - SIMD * IN_BITS){1'b0}}, s_data}),
      .s_axis_input_tvalid(s_valid),
      .s_axis_input_tready(s_ready),
      .m_axis_output_tdata(sums),
      .m_axis_output_tvalid(m_valid),
      .m_axis_output_tready(m_ready)
  );

  for (genvar p = 0; p < PE; p++) begin : g_result
    assign m_data[p*OUT_BITS+:OUT_BITS] = sums[p*ACC_BITS+:OUT_BITS];
  end

endmodule

`default_nettype wire
