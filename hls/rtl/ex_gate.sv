// ex_gate: the clock of a part of the design, which may stand still while the part sleeps.
//
// A part is awake in a cycle with rst, when it is busy, and when a word moves on one of its streams
// (valid and ready); in all other cycles the clock edge must change nothing in it.
// gated is clk: synthesis and ordinary simulation give the part every edge. In the bulk simulation
// (EX_BULK) the C++ loop reads want, moves tick, and so skips what sleeps. A clock buffer with an
// enable could stand here as well. Latency 0; no state.
`default_nettype none

module ex_gate #(
    parameter int STREAMS = 2,  // whose words may move
    parameter int PARTS   = 1   // that say whether they are busy
) (
    input  wire               clk,
    input  wire [PARTS-1:0]   busy,
    input  wire [STREAMS-1:0] valid,
    input  wire [STREAMS-1:0] ready,
    output wire               gated
);
`ifdef EX_BULK
  logic tick  /* verilator public_flat_rw */;
  wire  want  /* verilator public_flat_rd */;
  assign want  = |busy || |(valid & ready);
  assign gated = tick;
  wire unused = clk;
`else
  assign gated = clk;
  wire unused = &{1'b0, busy, valid, ready};
`endif
endmodule

`default_nettype wire
