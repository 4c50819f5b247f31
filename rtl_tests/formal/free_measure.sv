// Stands for ex_measure in the proof of ex_rules: judges each frame at any time after its last beat.
`default_nettype none

module ex_measure #(
    parameter int LANES = 1,
    parameter int FOLD = 1,
    parameter int HEIGHT = 8,
    parameter int WIDTH = 8,
    parameter logic [6:0] STATISTICS = '1,
    parameter int INK = 128,
    parameter int EDGE = 32,
    parameter int CONDITIONS = 1,
    parameter int RULES = 1,
    parameter int LISTS = 1,
    parameter int LIMIT_BITS = 12,
    parameter     CONDITION_FILE = "",
    localparam int RULE_BITS = $clog2(RULES + 1),
    localparam int INDEX_BITS = CONDITIONS > 1 ? $clog2(CONDITIONS) : 1
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       take,
    input  wire                       last,
    input  wire [LANES*8-1:0]         data,
    output wire                       busy,
    output wire                       judged,
    output wire [LISTS*RULE_BITS-1:0] chosen,
    input  wire                       write,
    input  wire [INDEX_BITS-1:0]      write_index,
    input  wire [31:0]                write_data
);
  (* anyseq *) wire any;
  (* anyseq *) wire [LISTS*RULE_BITS-1:0] any_chosen;
  logic busy_q;
  assign busy = busy_q;
  assign judged = busy_q && any;
  assign chosen = any_chosen;
  always_ff @(posedge clk) begin
    if (take && last) busy_q <= 1'b1;
    else if (judged) busy_q <= 1'b0;
    if (rst) busy_q <= 1'b0;
  end
  for (genvar k = 0; k < LISTS; k++) begin : g_list
    always_comb assume (32'(any_chosen[k*RULE_BITS +: RULE_BITS]) <= RULES);
  end
endmodule

`default_nettype wire
