// Stands for ex_explain_tiles in the proof of ex_explain_encode: any piece at any time, until it is
// taken.
module ex_explain_tiles #(
    parameter int BITS   = 8,
    parameter bit LOG    = 1'b0,
    parameter int STORED = LOG ? 1 + $clog2(BITS) : BITS,
    parameter int PIECE  = STORED + 2,
    parameter int W_BITS = $clog2(PIECE + 1)
) (
    input  wire              clk,
    input  wire              rst,
    input  wire              s_valid,
    output wire              s_ready,
    input  wire [BITS-1:0]   s_data,
    input  wire              s_last,
    output wire              m_valid,
    input  wire              m_ready,
    output wire [PIECE-1:0]  m_bits,
    output wire [W_BITS-1:0] m_width,
    output wire              m_ends
);
  (* anyseq *) wire valid, ready, ends;
  (* anyseq *) wire [PIECE-1:0] bits;
  (* anyseq *) wire [W_BITS-1:0] width;
  assign s_ready = ready;
  assign m_valid = valid;
  assign m_bits = bits;
  assign m_width = width;
  assign m_ends = ends;
endmodule
