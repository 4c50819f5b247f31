// exeunt_core as far as a test of map streams needs it: beat n (from 0) of the input is answered
// with a result of value n and with a packet of n % 5 + 1 words, n * 16 and on. Registers read zero.
`default_nettype none

module exeunt_core (
    input  wire         clk,
    input  wire         rst,
    input  wire         s_valid,
    output wire         s_ready,
    input  wire [7:0]   s_data,
    input  wire         s_last,
    output wire         m_valid,
    input  wire         m_ready,
    output wire [127:0] m_data,
    output wire         m_last,
    input  wire         reg_write,
    input  wire [11:0]  reg_address,
    input  wire [31:0]  reg_wdata,
    output wire [31:0]  reg_rdata,
    output wire         ev_accept,
    output wire         ev_decide,
    output wire         ev_take,
    output wire         map_valid,
    input  wire         map_ready,
    output wire [31:0]  map_data,
    output wire         map_last
);
  logic [31:0] in_q, out_q, map_q;  // beats taken, results given, packets given
  logic [2:0]  word_q;
  assign s_ready = in_q - map_q < 32'd64 && in_q - out_q < 32'd64;
  assign m_valid = out_q != in_q;
  assign m_data = 128'(out_q);
  assign m_last = 1'b0;
  assign map_valid = map_q != in_q;
  assign map_data = {map_q[27:0], 1'b0, word_q};
  assign map_last = 32'(word_q) == map_q % 32'd5;
  assign reg_rdata = '0;
  assign ev_accept = s_valid && s_ready;
  assign {ev_decide, ev_take} = '0;
  wire unused = &{1'b0, s_data, s_last, reg_write, reg_address, reg_wdata};
  always_ff @(posedge clk) begin
    if (s_valid && s_ready) in_q <= in_q + 1'b1;
    if (m_valid && m_ready) out_q <= out_q + 1'b1;
    if (map_valid && map_ready) begin
      word_q <= map_last ? '0 : word_q + 1'b1;
      if (map_last) map_q <= map_q + 1'b1;
    end
    if (rst) begin
      in_q   <= '0;
      out_q  <= '0;
      map_q  <= '0;
      word_q <= '0;
    end
  end
endmodule

`default_nettype wire
