// The sign turned: m = OFFSET - s of each of LANES elements.
//
// Latency: 1 cycle. Throughput: a word a cycle. Stall: the word is held. Reset: empty.
// busy: a word leaves (see ex_gate).
`default_nettype none
module ex_negate #(
    parameter int unsigned LANES     = 1,  // elements a beat
    parameter int unsigned IN_BITS   = 4,  // bits
    parameter bit          IN_SIGNED = 0,  // two's complement in
    parameter int unsigned OUT_BITS  = 5,  // bits, two's complement
    parameter int          OFFSET    = 0
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
  logic valid_q;
  logic [LANES*OUT_BITS-1:0] data_q;
  assign s_ready = !valid_q || m_ready;
  assign m_valid = valid_q;
  assign m_data  = data_q;
  for (genvar i = 0; i < LANES; i++) begin : gen_lane
    wire [IN_BITS-1:0] x = s_data[i*IN_BITS+:IN_BITS];
    wire signed [IN_BITS:0] wide = {IN_SIGNED && x[IN_BITS-1], x};
    always_ff @(posedge clk) begin
      if (s_valid && s_ready) data_q[i*OUT_BITS+:OUT_BITS] <= OUT_BITS'(OFFSET - 32'(wide));
    end
  end
  always_ff @(posedge clk) begin
    if (s_ready) valid_q <= s_valid;
    if (rst) valid_q <= 1'b0;
  end

`ifdef EX_BULK
  assign busy = valid_q && m_ready;
`else
  assign busy = 1'b1;
`endif
endmodule
`default_nettype wire
