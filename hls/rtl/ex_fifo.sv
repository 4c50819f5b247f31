// Buffers up to DEPTH words: the same words leave in the same order.
//
// Latency 1: a word taken in cycle t is offered from cycle t + 1 on. One word a cycle in and out
// for DEPTH >= 2, every second cycle for DEPTH = 1. s_ready is low exactly while DEPTH words are
// stored and does not depend on m_ready. On stall the stored words stay and further ones are
// taken until full. On reset everything stored is forgotten. Words leave without further input.
//
// Up to 64 words live in registers or LUT memory, more in block memory; a word that is written
// while it is the next to be read passes beside the memory, so its read port may return anything
// for an address that is being written.
`default_nettype none

module ex_fifo #(
    parameter int WIDTH = 8,  // bits of a word
    parameter int DEPTH = 2   // words
) (
    input  wire                           clk,
    input  wire                           rst,
    input  wire                           s_valid,
    output wire                           s_ready,
    input  wire  [WIDTH-1:0]              s_data,
    output wire                           m_valid,
    input  wire                           m_ready,
    output wire  [WIDTH-1:0]              m_data,
    output logic [$clog2(DEPTH + 1)-1:0]  count     // words stored now
);

  localparam int COUNT_BITS = $clog2(DEPTH + 1);

  if (WIDTH < 1) begin : g_bad_width
    $error("ex_fifo: WIDTH must be at least 1, is %0d", WIDTH);
  end
  if (DEPTH < 1) begin : g_bad_depth
    $error("ex_fifo: DEPTH must be at least 1, is %0d", DEPTH);
  end

  wire take = s_valid && s_ready;
  wire give = m_valid && m_ready;

  // what the count says of both sides, as registers: long chains of ready and valid begin here
  logic room_q, some_q;
  assign s_ready = room_q;
  assign m_valid = some_q;

  always_ff @(posedge clk) begin
    if (rst) begin
      count  <= '0;
      room_q <= 1'b1;
      some_q <= 1'b0;
    end else if (take != give) begin
      count  <= take ? count + 1'b1 : count - 1'b1;
      room_q <= give || count != COUNT_BITS'(DEPTH - 1);
      some_q <= take || count != COUNT_BITS'(1);
    end
  end

  if (DEPTH == 1) begin : g_one
    logic [WIDTH-1:0] word_q;
    always_ff @(posedge clk) if (take) word_q <= s_data;
    assign m_data = word_q;
  end else begin : g_many
    localparam int ADDR_BITS = $clog2(DEPTH);
    localparam logic [ADDR_BITS-1:0] LAST = ADDR_BITS'(DEPTH - 1);

    logic [ADDR_BITS-1:0] write_q, read_q;
    wire  [ADDR_BITS-1:0] read_next = read_q == LAST ? '0 : read_q + 1'b1;

    always_ff @(posedge clk) begin
      if (rst) begin
        write_q <= '0;
        read_q  <= '0;
      end else begin
        if (take) write_q <= write_q == LAST ? '0 : write_q + 1'b1;
        if (give) read_q <= read_next;
      end
    end

    if (DEPTH <= 64) begin : g_small
      logic [WIDTH-1:0] memory[DEPTH];
      always_ff @(posedge clk) if (take) memory[write_q] <= s_data;
      assign m_data = memory[read_q];
    end else begin : g_deep
      (* no_rw_check *) logic [WIDTH-1:0] memory[DEPTH];
      logic [WIDTH-1:0] read_data_q, beside_q;
      logic             use_beside_q;
      wire [ADDR_BITS-1:0] read_d = give ? read_next : read_q;

      always_ff @(posedge clk) begin
        if (take) memory[write_q] <= s_data;
        if (take || give) begin
          read_data_q  <= memory[read_d];
          use_beside_q <= take && write_q == read_d;
        end
        if (take) beside_q <= s_data;
      end
      assign m_data = use_beside_q ? beside_q : read_data_q;
    end
  end

endmodule

`default_nettype wire
