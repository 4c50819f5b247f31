// Control of a row of STAGES registers in logic that somebody else has written: a constant matrix.
//
// move[i]: what stands in front of register i goes into it at the end of this cycle, and what it
// held goes on; the logic has `if (move[i]) register <= ...;` for every register of stage i.
// Latency STAGES, one word a cycle. On stall the registers close up: a word moves on as long as
// there is a free register in front of it. Reset: empty. busy: words are inside.
`default_nettype none

module ex_logic #(
    parameter int STAGES = 2  // registers on the way
) (
    input  wire              clk,
    input  wire              rst,
    input  wire              s_valid,
    output wire              s_ready,
    output wire              m_valid,
    input  wire              m_ready,
    output wire [STAGES-1:0] move,
    output wire              busy
);
  if (STAGES < 1) begin : g_bad_stages
    $error("ex_logic: STAGES must be at least 1, is %0d", STAGES);
  end

  logic [STAGES-1:0] valid_q;
  wire [STAGES:0] ahead;  // what leaves a register has a place
  assign ahead[STAGES] = m_ready;
  for (genvar i = 0; i < STAGES; i++) begin : g_stage
    assign ahead[i] = !valid_q[i] || ahead[i+1];
    wire comes = i == 0 ? s_valid : valid_q[i == 0 ? 0 : i-1];
    always_ff @(posedge clk) begin
      if (ahead[i]) valid_q[i] <= comes;
      if (rst) valid_q[i] <= 1'b0;
    end
  end
  assign move = ahead[STAGES-1:0];
  assign s_ready = ahead[0];
  assign m_valid = valid_q[STAGES-1];
  assign busy = |valid_q;
endmodule

`default_nettype wire
