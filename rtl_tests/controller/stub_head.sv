// stub_head: a head that computes nothing: its logits are the first CLASSES words of a frame, PE a
// beat, LATENCY cycles after the last of them (or of the frame, if WHOLE) came.
`default_nettype none

module stub_head #(
    parameter int WIDTH = 16,
    parameter int WORDS = 12,
    parameter int CLASSES = 4,
    parameter int PE = 2,
    parameter int BITS = 14,
    parameter int LATENCY = 3,
    parameter bit WHOLE = 1'b0
) (
    input  wire                 clk,
    input  wire                 rst,
    input  wire                 s_valid,
    output wire                 s_ready,
    input  wire  [WIDTH-1:0]    s_data,
    output wire                 m_valid,
    input  wire                 m_ready,
    output wire  [PE*BITS-1:0]  m_data
);
  localparam int DEPTH = 4;  // frames of logits inside
  logic [BITS-1:0] logits [0:DEPTH*CLASSES-1];
  logic [31:0]     due [0:DEPTH-1];
  logic [31:0]     now_q;
  integer          at_q, beat_q, write_q, read_q, count_q;

  wire put = s_valid && s_ready;
  wire done = put && at_q == (WHOLE ? WORDS - 1 : CLASSES - 1);
  wire give = m_valid && m_ready;
  wire last = give && beat_q == CLASSES / PE - 1;
  assign s_ready = count_q < DEPTH;
  assign m_valid = count_q > 0 && $signed(now_q - due[read_q]) >= 0;
  for (genvar k = 0; k < PE; k++) begin : g_lane
    assign m_data[BITS*k +: BITS] = logits[read_q * CLASSES + beat_q * PE + k];
  end

  always_ff @(posedge clk) begin
    now_q <= now_q + 1;
    if (put) at_q <= at_q == WORDS - 1 ? 0 : at_q + 1;
    if (put && at_q < CLASSES) logits[write_q * CLASSES + at_q] <= s_data[BITS-1:0];
    if (done) begin
      due[write_q] <= now_q + LATENCY;
      write_q <= write_q == DEPTH - 1 ? 0 : write_q + 1;
    end
    if (give) beat_q <= last ? 0 : beat_q + 1;
    if (last) read_q <= read_q == DEPTH - 1 ? 0 : read_q + 1;
    count_q <= count_q + (done ? 1 : 0) - (last ? 1 : 0);
    if (rst) begin
      now_q   <= 0;
      at_q    <= 0;
      beat_q  <= 0;
      write_q <= 0;
      read_q  <= 0;
      count_q <= 0;
    end
  end
endmodule

`default_nettype wire
