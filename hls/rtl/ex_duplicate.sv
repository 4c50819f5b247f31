// Copies a stream to two kernels: every word of s appears once on m0 and once on m1.
//
// An ex_fork with a word on when its clock may stand still. Latency 0, one word a cycle while both
// branches are ready. m*_valid does not depend on m*_ready; s_ready does. On stall of one branch
// the other sees each word once. On reset no word counts as half delivered. busy: a word is on
// offer, so that a branch may take it (see ex_gate).
`default_nettype none

module ex_duplicate #(
    parameter int WIDTH = 8  // bits of a word
) (
    input  wire              clk,
    input  wire              rst,
    input  wire              s_valid,
    output wire              s_ready,
    input  wire  [WIDTH-1:0] s_data,
    output wire              m0_valid,
    input  wire              m0_ready,
    output wire  [WIDTH-1:0] m0_data,
    output wire              m1_valid,
    input  wire              m1_ready,
    output wire  [WIDTH-1:0] m1_data,
    output wire              busy
);

  ex_fork #(
      .WIDTH(WIDTH)
  ) u_fork (
      .clk(clk), .rst(rst),
      .s_valid(s_valid), .s_ready(s_ready), .s_data(s_data),
      .m0_valid(m0_valid), .m0_ready(m0_ready), .m0_data(m0_data),
      .m1_valid(m1_valid), .m1_ready(m1_ready), .m1_data(m1_data)
  );

`ifdef EX_BULK
  assign busy = s_valid;
`else
  assign busy = 1'b1;
`endif
endmodule

`default_nettype wire
