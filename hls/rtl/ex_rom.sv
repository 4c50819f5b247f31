// A constant memory: q is word `address` of ROM_FILE, one cycle after `enable`; else q stays.
//
// A module of its own, since synthesis by Yosys keeps modules apart: alone, each 64 words of a bit
// become one LUT6 (or the memory becomes blocks), among other logic five times as many.
`default_nettype none

module ex_rom #(
    parameter int WIDTH = 8,  // bits of a word
    parameter int DEPTH = 4,  // words
    parameter int ADDRESS_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1,
    parameter     ROM_FILE = ""  // hexadecimal words, one a line; empty: not initialised
) (
    input  wire                     clk,
    input  wire                     enable,
    input  wire  [ADDRESS_BITS-1:0] address,
    output logic [WIDTH-1:0]        q
);

  if (WIDTH < 1 || DEPTH < 1) begin : g_bad_size
    $error("ex_rom: WIDTH and DEPTH must be at least 1, are %0d and %0d", WIDTH, DEPTH);
  end

  logic [WIDTH-1:0] memory[DEPTH];

  if (ROM_FILE != "") begin : g_file
    initial $readmemh(ROM_FILE, memory);
  end

  always_ff @(posedge clk) if (enable) q <= memory[address];
endmodule

`default_nettype wire
