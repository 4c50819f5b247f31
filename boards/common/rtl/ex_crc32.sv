// ex_crc32: CRC-32 of Ethernet and zlib, one byte in each cycle in which s_valid is high.
//
// crc is the value over every byte since the last rst (polynomial 0x04c11db7, reflected, begun and
// ended inverted), from the cycle after the byte on. good says that those bytes end with their own
// CRC, lowest byte first. A byte in a cycle of rst does not count.
`default_nettype none

module ex_crc32 (
    input  wire        clk,
    input  wire        rst,
    input  wire        s_valid,
    input  wire [7:0]  s_data,
    output wire [31:0] crc,
    output wire        good
);
  localparam logic [31:0] POLYNOMIAL = 32'hedb8_8320;
  localparam logic [31:0] RESIDUE = 32'hdebb_20e3;

  logic [31:0] state_q, next;

  assign crc = ~state_q;
  assign good = state_q == RESIDUE;

  always_comb begin
    next = state_q;
    next[7:0] = next[7:0] ^ s_data;
    for (int i = 0; i < 8; i++) next = {1'b0, next[31:1]} ^ (next[0] ? POLYNOMIAL : '0);
  end
  always_ff @(posedge clk) begin
    if (s_valid) state_q <= next;
    if (rst) state_q <= '1;
  end
endmodule

`default_nettype wire
