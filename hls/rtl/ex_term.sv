// m = a + t, where t is one of the numbers of TABLE, chosen by k: a digit times a shared weight.
//
// A module of its own, since synthesis by Yosys keeps modules apart: alone, an index of up to five
// bits and the addition take one LUT6 a bit; among others additions become larger ones. Combinational.
`default_nettype none

module ex_term #(
    parameter int BITS       = 10,  // of a and m, which wrap
    parameter int KEY_BITS   = 5,   // bits of k
    parameter int TABLE_BITS = 10,  // bits of a number of TABLE, two's complement
    parameter bit [(1<<KEY_BITS)*TABLE_BITS-1:0] TABLE = '0  // number k at k * TABLE_BITS
) (
    input  wire [BITS-1:0]     a,
    input  wire [KEY_BITS-1:0] k,
    output wire [BITS-1:0]     m
);
  wire signed [TABLE_BITS-1:0] t = TABLE[32'(k)*TABLE_BITS+:TABLE_BITS];
  assign m = a + BITS'(t);
endmodule

`default_nettype wire
