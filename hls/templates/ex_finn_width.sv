// FINN's data width converter (vpc): the same elements, other lanes, lowest first.
//
// IN_WIDTH and OUT_WIDTH differ and one divides the other; full rate on the narrow side. A word
// is offered from the cycle after its last bits were taken on. On stall at most IN_WIDTH +
// OUT_WIDTH bits are held. On reset everything is forgotten. Words leave without further input.
`default_nettype none

module ex_finn_width #(
    parameter int IN_WIDTH  = 8,  // bits of an input word
    parameter int OUT_WIDTH = 4   // bits of an output word
) (
    input  wire                 clk,
    input  wire                 rst,
    input  wire                 s_valid,
    output wire                 s_ready,
    input  wire [IN_WIDTH-1:0]  s_data,
    output wire                 m_valid,
    input  wire                 m_ready,
    output wire [OUT_WIDTH-1:0] m_data
);

  localparam int NARROW = IN_WIDTH < OUT_WIDTH ? IN_WIDTH : OUT_WIDTH;
  localparam int WIDE = IN_WIDTH < OUT_WIDTH ? OUT_WIDTH : IN_WIDTH;

  if (WIDE % NARROW != 0 || WIDE == NARROW) begin : g_widths
    $error("ex_finn_width: widths must differ and divide, are %0d, %0d", IN_WIDTH, OUT_WIDTH);
  end
  if (NARROW < 2) begin : g_narrow
    $error("ex_finn_width: words must have 2 bits or more, have %0d", NARROW);
  end

  vpc #(
      .W(1),
      .N(IN_WIDTH * OUT_WIDTH),
      .PI(IN_WIDTH),
      .PO(OUT_WIDTH)
  ) u_vpc (
      .clk(clk),
      .rst(rst),
      .idat(s_data),
      .ivld(s_valid),
      .irdy(s_ready),
      .odat(m_data),
      .ovld(m_valid),
      .ordy(m_ready)
  );

endmodule

`default_nettype wire
