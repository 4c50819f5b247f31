// Copies a stream to two: every word of s appears once on m0 and once on m1.
//
// Latency 0. Eager: each branch takes a word as soon as it can, whether or not the other one
// does; s is released in the cycle in which the second of them takes it, so one word a cycle
// passes while both are ready. m*_valid does not depend on m*_ready; s_ready does. On stall of one
// branch the other sees each word once. On reset no word counts as half delivered.
`default_nettype none

module ex_fork #(
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
    output wire  [WIDTH-1:0] m1_data
);

  if (WIDTH < 1) begin : g_bad_width
    $error("ex_fork: WIDTH must be at least 1, is %0d", WIDTH);
  end

  logic done0_q, done1_q;  // this branch already has the word on offer
  wire  has0 = done0_q || m0_ready;
  wire  has1 = done1_q || m1_ready;

  assign s_ready  = has0 && has1;
  assign m0_valid = s_valid && !done0_q;
  assign m1_valid = s_valid && !done1_q;
  assign m0_data  = s_data;
  assign m1_data  = s_data;

  always_ff @(posedge clk) begin
    if (rst || (s_valid && s_ready)) begin
      done0_q <= 1'b0;
      done1_q <= 1'b0;
    end else if (s_valid) begin
      done0_q <= has0;
      done1_q <= has1;
    end
  end

endmodule

`default_nettype wire
