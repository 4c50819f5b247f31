// ex_explain_port: the stream of maps to the outside, which stays whole over a soft reset.
//
// Words of packets, the last one of each with last. A word that is taken in cycle t is offered from
// cycle t + 1 on, one a cycle; s_ready follows m_ready in the same cycle while a word is on offer.
// clear: what feeds this block is reset. A word on offer stays until it is taken, as AXI demands.
// If it was inside a packet, that packet is ended behind it by one word 0 with last, so that a
// reader finds the beginning of the next one; it is too short, which its length and its CRC tell.
// In cycles with clear nothing is taken. Reset: nothing on offer, the next word begins a packet.
`default_nettype none

module ex_explain_port #(
    parameter int WIDTH = 32  // bits of a word
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             clear,
    input  wire             s_valid,
    output wire             s_ready,
    input  wire [WIDTH-1:0] s_data,
    input  wire             s_last,
    output wire             m_valid,
    input  wire             m_ready,
    output wire [WIDTH-1:0] m_data,
    output wire             m_last
);
  logic             valid_q, last_q;
  logic [WIDTH-1:0] data_q;
  logic             inside_q;  // words of a packet have been taken, its last one has not
  logic             cut_q;     // that packet will get no more

  if (WIDTH < 1) begin : g_bad_width
    $error("ex_explain_port: WIDTH must be at least 1, is %0d", WIDTH);
  end

  wire free = !valid_q || m_ready;
  wire take = s_valid && s_ready;
  wire cut  = cut_q && free && !clear;
  assign s_ready = free && !cut_q && !clear;
  assign m_valid = valid_q;
  assign m_data  = data_q;
  assign m_last  = last_q;

  always_ff @(posedge clk) begin
    if (free) valid_q <= take || cut;
    if (take) begin
      data_q   <= s_data;
      last_q   <= s_last;
      inside_q <= !s_last;
    end
    if (clear && inside_q) cut_q <= 1'b1;
    if (cut) begin
      data_q   <= '0;
      last_q   <= 1'b1;
      inside_q <= 1'b0;
      cut_q    <= 1'b0;
    end
    if (rst) begin
      valid_q  <= 1'b0;
      inside_q <= 1'b0;
      cut_q    <= 1'b0;
    end
  end
endmodule

`default_nettype wire
