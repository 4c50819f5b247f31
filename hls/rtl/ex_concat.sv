// Puts the channels of two streams one behind the other: of every pixel A_WORDS words of s0, then
// B_WORDS words of s1. Elements of s0 are multiplied by FACTOR_A, those of s1 by FACTOR_B.
//
// Latency 1, one word a cycle. Only the input whose turn it is is ready; its ready depends on
// m_ready. On stall the word is held and nothing is taken. On reset it is forgotten, and the next
// word is the first of a pixel. busy: a word leaves (see ex_gate).
`default_nettype none

module ex_concat #(
    parameter int LANES    = 1,    // elements of a word
    parameter int A_BITS   = 4,    // bits of an element of s0
    parameter bit A_SIGNED = 1'b0, // they are two's complement
    parameter int A_WORDS  = 1,    // words of s0 in a pixel
    parameter int B_BITS   = 4,    // the same of s1
    parameter bit B_SIGNED = 1'b0,
    parameter int B_WORDS  = 1,
    parameter int FACTOR_A = 1,
    parameter int FACTOR_B = 1,
    parameter int OUT_BITS = 4     // bits of an element of m; it must fit
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       s0_valid,
    output wire                       s0_ready,
    input  wire  [LANES*A_BITS-1:0]   s0_data,
    input  wire                       s1_valid,
    output wire                       s1_ready,
    input  wire  [LANES*B_BITS-1:0]   s1_data,
    output wire                       m_valid,
    input  wire                       m_ready,
    output logic [LANES*OUT_BITS-1:0] m_data,
    output wire                       busy
);

  localparam int WORDS = A_WORDS + B_WORDS;
  localparam int COUNT_BITS = $clog2(WORDS);

  if (LANES < 1 || A_WORDS < 1 || B_WORDS < 1) begin : g_bad_words
    $error("ex_concat: LANES, A_WORDS and B_WORDS must be at least 1, are %0d, %0d and %0d", LANES,
           A_WORDS, B_WORDS);
  end
  if (A_BITS < 1 || B_BITS < 1 || OUT_BITS < 1 || A_BITS > 32 || B_BITS > 32 || OUT_BITS > 32)
  begin : g_bad_bits
    $error("ex_concat: elements must have 1 to 32 bits, are %0d, %0d and %0d", A_BITS, B_BITS,
           OUT_BITS);
  end

  logic                  valid_q;
  logic [COUNT_BITS-1:0] count_q;  // words of the pixel that came
  wire                   second = count_q >= COUNT_BITS'(A_WORDS);
  wire                   free = !valid_q || m_ready;
  wire                   take = free && (second ? s1_valid : s0_valid);

  assign s0_ready = free && !second;
  assign s1_ready = free && second;
  assign m_valid  = valid_q;

  always_ff @(posedge clk) begin
    if (rst) begin
      valid_q <= 1'b0;
      count_q <= '0;
    end else begin
      if (free) valid_q <= take;
      if (take) count_q <= count_q == COUNT_BITS'(WORDS - 1) ? '0 : count_q + 1'b1;
    end
  end

  for (genvar p = 0; p < LANES; p++) begin : g_lane
    wire [A_BITS-1:0] a = s0_data[p*A_BITS+:A_BITS];
    wire [B_BITS-1:0] b = s1_data[p*B_BITS+:B_BITS];
    always_ff @(posedge clk) begin
      if (take) begin
        m_data[p*OUT_BITS+:OUT_BITS] <= second
            ? OUT_BITS'(FACTOR_B * 32'($signed({B_SIGNED && b[B_BITS-1], b})))
            : OUT_BITS'(FACTOR_A * 32'($signed({A_SIGNED && a[A_BITS-1], a})));
      end
    end
  end

`ifdef EX_BULK
  assign busy = valid_q && m_ready;
`else
  assign busy = 1'b1;
`endif
endmodule

`default_nettype wire
