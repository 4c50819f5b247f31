// exeunt_core as far as the shell with heat maps needs it: frame n with the first beat w is answered
// with the result {w, n}, and with a packet of 5 + w % 64 words {n, k}, of which word 3 is the length
// in bits that a packet of a map has. Results and maps wait for one another never. A soft reset
// forgets all; a packet under way is ended by one word 0. Register 0 reads as it does in every core.
`default_nettype none

module exeunt_core #(
    parameter int WIDTH = 16,
    parameter int FRAME = 4,
    parameter logic [31:0] ID = 32'd0,
    parameter logic [11:0] A_CONTROL = 12'd12
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             s_valid,
    output wire             s_ready,
    input  wire [WIDTH-1:0] s_data,
    input  wire             s_last,
    output wire             m_valid,
    input  wire             m_ready,
    output wire [127:0]     m_data,
    output wire             m_last,
    input  wire             reg_write,
    input  wire [11:0]      reg_address,
    input  wire [31:0]      reg_wdata,
    output wire [31:0]      reg_rdata,
    output wire             map_valid,
    input  wire             map_ready,
    output wire [31:0]      map_data,
    output wire             map_last,
    output wire             ev_accept,
    output wire [2:0]       ev_decide,
    output wire [2:0]       ev_take
);
  localparam int DEPTH = 256;
  logic [15:0] frames[DEPTH];  // first beats
  logic [15:0] in_q, out_q, map_q;
  logic [7:0]  beat_q, word_q;
  logic [3:0]  reset_q;
  logic        cut_q;
  logic [31:0] rdata_q;
  wire clear = reset_q != '0;
  wire [15:0] first = frames[map_q[7:0]];
  wire [7:0] length = 8'd5 + {2'b00, first[5:0]};

  assign s_ready = !clear;
  assign m_valid = out_q != in_q;
  assign m_data = {96'(frames[out_q[7:0]]), 16'd0, out_q};
  assign m_last = m_valid;
  assign map_valid = cut_q || map_q != in_q;
  assign map_data = cut_q ? '0 : word_q == 8'd3 ? {19'd0, length - 8'd5, 5'd0} : {map_q, 8'd0, word_q};
  assign map_last = cut_q || word_q == length - 8'd1;
  assign reg_rdata = rdata_q;
  assign ev_accept = s_valid && s_ready && beat_q == '0;
  assign {ev_decide, ev_take} = '0;
  wire unused = &{1'b0, s_last, reg_wdata[31:1], first[15:6]};

  always_ff @(posedge clk) begin
    rdata_q <= reg_address == '0 ? ID : '0;
    reset_q <= clear ? reset_q - 1'b1 : '0;
    if (s_valid && s_ready) begin
      if (beat_q == '0) frames[in_q[7:0]] <= 16'(s_data);
      beat_q <= 32'(beat_q) == FRAME - 1 ? '0 : beat_q + 1'b1;
      if (32'(beat_q) == FRAME - 1) in_q <= in_q + 1'b1;
    end
    if (m_valid && m_ready) out_q <= out_q + 1'b1;
    if (map_valid && map_ready) begin
      word_q <= map_last ? '0 : word_q + 1'b1;
      if (map_last && !cut_q) map_q <= map_q + 1'b1;
      cut_q <= 1'b0;
    end
    if (reg_write && reg_address == A_CONTROL && reg_wdata[0]) begin
      reset_q <= 4'd15;
      cut_q   <= word_q != '0;
    end
    if (rst || (reg_write && reg_address == A_CONTROL && reg_wdata[0])) begin
      in_q   <= '0;
      out_q  <= '0;
      map_q  <= '0;
      beat_q <= '0;
      word_q <= '0;
    end
    if (rst) begin
      reset_q <= '0;
      cut_q   <= 1'b0;
    end
  end
endmodule

`default_nettype wire
