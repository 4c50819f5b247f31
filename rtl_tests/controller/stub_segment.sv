// stub_segment: a segment that computes nothing: of every WORDS input words it drops the first SKIP
// and passes the others on, each LATENCY cycles after it came, PACE cycles apart, DEPTH inside.
`default_nettype none

module stub_segment #(
    parameter int WIDTH = 16,
    parameter int WORDS = 12,   // words a frame at the input
    parameter int SKIP = 0,     // of which dropped
    parameter int LATENCY = 3,  // cycles
    parameter int PACE = 1,     // cycles from word to word, at least
    parameter int DEPTH = 16
) (
    input  wire              clk,
    input  wire              rst,
    input  wire              s_valid,
    output wire              s_ready,
    input  wire  [WIDTH-1:0] s_data,
    output wire              m_valid,
    input  wire              m_ready,
    output wire  [WIDTH-1:0] m_data
);
  logic [WIDTH-1:0] words [0:DEPTH-1];
  logic [31:0]      due [0:DEPTH-1];
  logic [31:0]      now_q, next_q;
  integer           write_q, read_q, count_q, at_q;

  wire put = s_valid && s_ready && at_q >= SKIP;
  wire give = m_valid && m_ready;
  assign s_ready = count_q < DEPTH;
  assign m_valid = count_q > 0 && $signed(now_q - due[read_q]) >= 0
      && $signed(now_q - next_q) >= 0;
  assign m_data = words[read_q];

  always_ff @(posedge clk) begin
    now_q <= now_q + 1;
    if (s_valid && s_ready) at_q <= at_q == WORDS - 1 ? 0 : at_q + 1;
    if (put) begin
      words[write_q] <= s_data;
      due[write_q] <= now_q + LATENCY;
      write_q <= write_q == DEPTH - 1 ? 0 : write_q + 1;
    end
    if (give) begin
      read_q <= read_q == DEPTH - 1 ? 0 : read_q + 1;
      next_q <= now_q + PACE;
    end
    count_q <= count_q + (put ? 1 : 0) - (give ? 1 : 0);
    if (rst) begin
      now_q   <= 0;
      next_q  <= 0;
      write_q <= 0;
      read_q  <= 0;
      count_q <= 0;
      at_q    <= 0;
    end
  end
endmodule

`default_nettype wire
