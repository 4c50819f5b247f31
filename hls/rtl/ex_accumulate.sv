// Maximum or sum of input words into a memory of WORDS partial results; a part of ex_pool and
// ex_reduce, which say where each input word belongs.
//
//   r = s_first ? s : f(memory[s_addr], s)     per lane, f = max (FUNCTION 0) or sum (FUNCTION 1)
//   s_last: m = r;  else s_keep: memory[s_addr] = r;  else the word is dropped
//
// s_addr, s_first, s_last and s_keep belong to the input word and must not depend on s_ready.
// Sums are taken modulo 2^OUT_BITS, so only the final one must fit. Latency: 1 cycle from a last
// word to its output. Throughput: 1 word a cycle. Stall: words that complete nothing are still
// accepted while the output is held. Reset: no output; the memory needs none, s_first starts anew.
`default_nettype none
module ex_accumulate #(
    parameter int unsigned FUNCTION  = 0,  // 0 maximum, 1 sum
    parameter int unsigned LANES     = 1,  // elements a beat
    parameter int unsigned IN_BITS   = 4,  // bits of an input element
    parameter int unsigned IN_SIGNED = 0,  // 1: elements are two's complement, in and out
    parameter int unsigned OUT_BITS  = 4,  // bits of an output element
    parameter int unsigned WORDS     = 1,  // partial results
    parameter int unsigned AW        = 1   // bits of s_addr
) (
    input  wire logic                      clk,
    input  wire logic                      rst,
    input  wire logic                      s_valid,
    output      logic                      s_ready,
    input  wire logic [ LANES*IN_BITS-1:0] s_data,
    input  wire logic [            AW-1:0] s_addr,
    input  wire logic                      s_first,
    input  wire logic                      s_last,
    input  wire logic                      s_keep,
    output      logic                      m_valid,
    input  wire logic                      m_ready,
    output      logic [LANES*OUT_BITS-1:0] m_data
);
  if (FUNCTION > 1) begin : gen_illegal_function
    $error("ex_accumulate: FUNCTION must be 0 or 1, not %0d", FUNCTION);
  end
  if (OUT_BITS < IN_BITS) begin : gen_illegal_bits
    $error("ex_accumulate: OUT_BITS must be at least IN_BITS %0d, not %0d", IN_BITS, OUT_BITS);
  end
  if (AW < $clog2(WORDS)) begin : gen_illegal_addr
    $error("ex_accumulate: AW must address WORDS %0d, not be %0d", WORDS, AW);
  end

  // With the top bit inverted, two's complement numbers compare as unsigned ones.
  localparam logic [OUT_BITS-1:0] TOP =
      (IN_SIGNED != 0) ? OUT_BITS'(1) << (OUT_BITS - 1) : OUT_BITS'(0);

  logic [LANES*OUT_BITS-1:0] memory[WORDS];
  logic [LANES*OUT_BITS-1:0] partial, wide, result, data_q;
  logic valid_q, take;

  assign partial = memory[s_addr];
  assign s_ready = !s_last || !valid_q || m_ready;
  assign take = s_valid && s_ready;
  assign m_valid = valid_q;
  assign m_data = data_q;

  if (IN_SIGNED != 0) begin : gen_signed
    always_comb begin
      for (int i = 0; i < LANES; i++) begin
        wide[i*OUT_BITS+:OUT_BITS] = OUT_BITS'($signed(s_data[i*IN_BITS+:IN_BITS]));
      end
    end
  end else begin : gen_unsigned
    always_comb begin
      for (int i = 0; i < LANES; i++) begin
        wide[i*OUT_BITS+:OUT_BITS] = OUT_BITS'(s_data[i*IN_BITS+:IN_BITS]);
      end
    end
  end

  if (FUNCTION == 0) begin : gen_max
    always_comb begin
      result = wide;
      for (int i = 0; i < LANES; i++) begin
        if (!s_first && (partial[i*OUT_BITS+:OUT_BITS] ^ TOP) > (wide[i*OUT_BITS+:OUT_BITS] ^ TOP))
        begin
          result[i*OUT_BITS+:OUT_BITS] = partial[i*OUT_BITS+:OUT_BITS];
        end
      end
    end
  end else begin : gen_sum
    always_comb begin
      result = wide;
      for (int i = 0; i < LANES; i++) begin
        if (!s_first) begin
          result[i*OUT_BITS+:OUT_BITS] =
              partial[i*OUT_BITS+:OUT_BITS] + wide[i*OUT_BITS+:OUT_BITS];
        end
      end
    end
  end

  always_ff @(posedge clk) begin
    if (m_ready) valid_q <= 1'b0;
    if (take) begin
      if (s_last) begin
        data_q  <= result;
        valid_q <= 1'b1;
      end else if (s_keep) begin
        memory[s_addr] <= result;
      end
    end
    if (rst) valid_q <= 1'b0;
  end
endmodule
`default_nettype wire
