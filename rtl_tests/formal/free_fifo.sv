// Stands for ex_fifo in the proof of ex_look_buffer: shows any word at any time until it is taken.
`default_nettype none

module ex_fifo #(
    parameter int WIDTH = 8,
    parameter int DEPTH = 2
) (
    input  wire                           clk,
    input  wire                           rst,
    input  wire                           s_valid,
    output wire                           s_ready,
    input  wire  [WIDTH-1:0]              s_data,
    output wire                           m_valid,
    input  wire                           m_ready,
    output wire  [WIDTH-1:0]              m_data,
    output wire  [$clog2(DEPTH + 1)-1:0]  count
);
  (* anyseq *) wire any;
  (* anyseq *) wire [WIDTH-1:0] any_data;
  logic valid_q;
  logic [WIDTH-1:0] data_q;
  assign s_ready = 1'b1;
  assign m_valid = valid_q;
  assign m_data = data_q;
  assign count = '0;
  always_ff @(posedge clk) begin
    if (!valid_q || m_ready) begin
      valid_q <= any;
      data_q  <= any_data;
    end
    if (rst) valid_q <= 1'b0;
  end
endmodule

`default_nettype wire
