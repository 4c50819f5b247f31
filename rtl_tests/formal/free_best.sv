// Stands for ex_best in proofs of the blocks around it: it may say anything; they assume what the
// proof of ex_best says.
module ex_best #(
    parameter int PE = 1,
    parameter int CLASSES = 10,
    parameter int BITS = 16,
    parameter int LEVELS_A_STAGE = 4,
    parameter bit SECOND = 1'b1,
    localparam int CLASS_BITS = CLASSES > 2 ? $clog2(CLASSES) : 1
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  go,
    input  wire                  s_valid,
    input  wire [PE*BITS-1:0]    s_data,
    output wire                  m_valid,
    output wire [BITS-1:0]       m_max,
    output wire [BITS-1:0]       m_second,
    output wire [CLASS_BITS-1:0] m_class,
    output wire                  busy
);
  (* anyseq *) logic                  valid, moving;
  (* anyseq *) logic [BITS-1:0]       max, second;
  (* anyseq *) logic [CLASS_BITS-1:0] winner;
  assign m_valid = valid;
  assign m_max = max;
  assign m_second = second;
  assign m_class = winner;
  assign busy = moving;
endmodule
