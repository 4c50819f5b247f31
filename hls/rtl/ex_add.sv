// Adds two streams element by element: m = FACTOR_A * s0 + FACTOR_B * s1.
//
// Latency 1: a word of each input is taken in the same cycle, once both are on offer, and their
// sum is offered from the next cycle on. One word a cycle. s0_ready depends on s1_valid and
// s1_ready on s0_valid, both on m_ready; m_valid on none of them. On stall the sum is held and
// nothing is taken. On reset it is forgotten. busy: a word leaves (see ex_gate).
`default_nettype none

module ex_add #(
    parameter int LANES    = 1,    // elements of a word
    parameter int A_BITS   = 4,    // bits of an element of s0
    parameter bit A_SIGNED = 1'b0, // they are two's complement
    parameter int B_BITS   = 4,    // bits of an element of s1
    parameter bit B_SIGNED = 1'b0,
    parameter int FACTOR_A = 1,    // what they are multiplied by
    parameter int FACTOR_B = 1,
    parameter int OUT_BITS = 5     // bits of a sum; it must fit
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       s0_valid,
    output wire                       s0_ready,
    input  wire  [LANES*A_BITS-1:0]   s0_data,
    input  wire                       s1_valid,
    output wire                       s1_ready,
    input  wire  [LANES*B_BITS-1:0]   s1_data,
    output wire                       m_valid,
    input  wire                       m_ready,
    output logic [LANES*OUT_BITS-1:0] m_data,
    output wire                       busy
);

  if (LANES < 1) begin : g_bad_lanes
    $error("ex_add: LANES must be at least 1, is %0d", LANES);
  end
  if (A_BITS < 1 || B_BITS < 1 || OUT_BITS < 1 || A_BITS > 32 || B_BITS > 32 || OUT_BITS > 32)
  begin : g_bad_bits
    $error("ex_add: elements must have 1 to 32 bits, are %0d, %0d and %0d", A_BITS, B_BITS,
           OUT_BITS);
  end

  logic valid_q;
  wire  free = !valid_q || m_ready;
  wire  take = s0_valid && s1_valid && free;

  assign s0_ready = s1_valid && free;
  assign s1_ready = s0_valid && free;
  assign m_valid  = valid_q;

  always_ff @(posedge clk) begin
    if (rst) valid_q <= 1'b0;
    else if (free) valid_q <= s0_valid && s1_valid;
  end

  for (genvar p = 0; p < LANES; p++) begin : g_lane
    wire [A_BITS-1:0] a = s0_data[p*A_BITS+:A_BITS];
    wire [B_BITS-1:0] b = s1_data[p*B_BITS+:B_BITS];
    always_ff @(posedge clk) begin
      if (take) begin
        m_data[p*OUT_BITS+:OUT_BITS] <=
            OUT_BITS'(FACTOR_A * 32'($signed({A_SIGNED && a[A_BITS-1], a}))
                      + FACTOR_B * 32'($signed({B_SIGNED && b[B_BITS-1], b})));
      end
    end
  end

`ifdef EX_BULK
  assign busy = valid_q && m_ready;
`else
  assign busy = 1'b1;
`endif
endmodule

`default_nettype wire
