// ex_merge: the results of N exits as one stream of 128-bit results.
//
// s: {flags u8, exit u8, class u16, stamp u32, score i32, id u32}, id in the low bits; m is
// the same with latency = now - stamp in the place of stamp, taken in the cycle in which the result
// moves into the output register. m_last with every batch-th result; batch 0: never.
// order 0, arrival order: the highest exit that has a result goes first.
// order 1, input order: results wait in a memory of IN_FLIGHT places, indexed by the low bits of
// their id, until it is their turn; a result is always accepted, since no more than IN_FLIGHT
// frames are inside. order may only change while none is inside. skip: a frame left by another way.
// Latency 1 (arrival) or 2 (input order), one result a cycle. On stall m holds.
// Reset: empty, the next id is 0, a batch starts. clear is a reset that leaves the word on m: it
// stays, unchanged, until it is taken.
`default_nettype none

module ex_merge #(
    parameter int N = 3,          // exits
    parameter int IN_FLIGHT = 16  // most frames inside, a power of two
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             clear,
    input  wire [31:0]      now,
    input  wire             order,
    input  wire [31:0]      batch,
    input  wire             skip,
    input  wire [N-1:0]     s_valid,
    output wire [N-1:0]     s_ready,
    input  wire [N*128-1:0] s_data,
    output wire             m_valid,
    input  wire             m_ready,
    output wire [127:0]     m_data,
    output wire             m_last
);
  localparam int SLOT_BITS = $clog2(IN_FLIGHT);

  if (N < 1) begin : g_bad_n
    $error("ex_merge: N must be at least 1, is %0d", N);
  end
  if (IN_FLIGHT < 2 || (1 << SLOT_BITS) != IN_FLIGHT) begin : g_bad_in_flight
    $error("ex_merge: IN_FLIGHT must be a power of two from 2, is %0d", IN_FLIGHT);
  end

  logic [127:0]          memory [0:IN_FLIGHT-1];
  logic [IN_FLIGHT-1:0]  full_q;   // a result waits in this place
  logic [SLOT_BITS-1:0]  turn_q;   // frames that left: the place whose turn it is
  logic [31:0]           count_q;  // results since the last m_last
  logic                  valid_q, last_q;
  logic [127:0]          data_q;

  wire out_free = !valid_q || m_ready;

  // the highest exit that has a result
  logic [N-1:0] grant;
  logic [127:0] chosen;
  always_comb begin
    grant = '0;
    chosen = s_data[127:0];
    for (int i = 0; i < N; i++) begin
      if (s_valid[i]) begin
        grant = '0;
        grant[i] = 1'b1;
        chosen = s_data[128*i +: 128];
      end
    end
  end
  assign s_ready = (order || out_free) ? grant : '0;

  wire any = |s_valid;
  wire [SLOT_BITS-1:0] slot = chosen[SLOT_BITS-1:0];
  wire store = any && order;
  wire load = out_free && (order ? full_q[turn_q] : any);
  wire [127:0] next = order ? memory[turn_q] : chosen;
  wire ends = batch != '0 && count_q + 1'b1 >= batch;

  assign m_valid = valid_q;
  assign m_data = data_q;
  assign m_last = last_q;

  always_ff @(posedge clk) begin
    if (store) memory[slot] <= chosen;
    if (load) begin
      data_q <= {next[127:96], now - next[95:64], next[63:0]};
      last_q <= ends;
    end
  end

  always_ff @(posedge clk) begin
    if (load && !clear) valid_q <= 1'b1;
    else if (m_ready) valid_q <= 1'b0;
    if (load) count_q <= ends ? '0 : count_q + 1'b1;
    if (load || skip) turn_q <= turn_q + 1'b1;
    if (load && order) full_q[turn_q] <= 1'b0;
    if (store) full_q[slot] <= 1'b1;
    if (rst || clear) begin
      count_q <= '0;
      turn_q  <= '0;
      full_q  <= '0;
    end
    if (rst) valid_q <= 1'b0;
  end
endmodule

`default_nettype wire
