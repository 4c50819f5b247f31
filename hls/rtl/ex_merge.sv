// ex_merge: the results of N exits as one stream of 128-bit results.
//
// put: {bad, bank, stamp[31:0], id[31:0]} of the next frame, which gets the place put_slot for it in
// that cycle (see ex_records). s: {score, class, slot} of each exit, that place in the low bits. m =
// {flags u8, exit u8, class u16, latency u32, score i32, id u32}, id in the low bits; latency = now -
// stamp in the cycle in which the result moves into the output register; flags: bit 0 bad, bit 1
// bank. m_last with every batch-th result; batch 0: never.
// Results wait in a memory of IN_FLIGHT places; one a cycle is accepted, always, since no more than
// IN_FLIGHT frames are inside: that of the highest exit that has one.
// order 0, arrival order: they leave as they were accepted. order 1, input order: slot is the low
// bits of the frame's id, and they leave by it.
// raw: frames leave by another way, in order; skip: one does. order and raw only change while none
// is inside.
// Latency 2, one result a cycle. On stall m holds. busy: the next result is in the memory.
// Reset: empty, the next id is 0, a batch starts. clear is a reset that leaves the word on m: it
// stays, unchanged, until it is taken.
`default_nettype none

module ex_merge #(
    parameter int N = 3,           // exits
    parameter int IN_FLIGHT = 16,  // most frames inside, a power of two
    parameter int CLASS_BITS = 4,
    parameter int SCORE_BITS = 16,
    localparam int SLOT_BITS = $clog2(IN_FLIGHT),
    localparam int WIDTH = SLOT_BITS + CLASS_BITS + SCORE_BITS
) (
    input  wire                 clk,
    input  wire                 rst,
    input  wire                 clear,
    input  wire [31:0]          now,
    input  wire                 order,
    input  wire [31:0]          batch,
    input  wire                 raw,
    input  wire                 skip,
    input  wire                 put,
    input  wire [65:0]          put_data,
    output wire [SLOT_BITS-1:0] put_slot,
    input  wire [N-1:0]         s_valid,
    output wire [N-1:0]         s_ready,
    input  wire [N*WIDTH-1:0]   s_data,
    output wire                 m_valid,
    input  wire                 m_ready,
    output wire [127:0]         m_data,
    output wire                 m_last,
    output wire                 busy
);
  localparam int EXIT_BITS = N > 1 ? $clog2(N) : 1;

  if (N < 1 || N > 256) begin : g_bad_n
    $error("ex_merge: N must be 1 to 256, is %0d", N);
  end
  if (IN_FLIGHT < 2 || (1 << SLOT_BITS) != IN_FLIGHT) begin : g_bad_in_flight
    $error("ex_merge: IN_FLIGHT must be a power of two from 2, is %0d", IN_FLIGHT);
  end
  if (CLASS_BITS < 1 || CLASS_BITS > 16) begin : g_bad_class
    $error("ex_merge: CLASS_BITS must be 1 to 16, is %0d", CLASS_BITS);
  end
  if (SCORE_BITS < 1 || SCORE_BITS > 32) begin : g_bad_score
    $error("ex_merge: SCORE_BITS must be 1 to 32, is %0d", SCORE_BITS);
  end

  logic [EXIT_BITS+WIDTH-1:0] memory [0:IN_FLIGHT-1];
  logic [IN_FLIGHT-1:0]       laps_q;    // of each place: results that came there, modulo 2
  logic [SLOT_BITS:0]         turn_q;    // frames that left
  logic [SLOT_BITS-1:0]       come_q;    // results that came and frames that left another way
  logic [31:0]                next_q;    // one more than results since the last m_last
  logic                       valid_q, last_q;
  logic [127:0]               data_q;

  wire out_free = !valid_q || m_ready;
  wire [SLOT_BITS-1:0] turn = turn_q[SLOT_BITS-1:0];

  // the highest exit that has a result
  logic [N-1:0]         grant;
  logic [EXIT_BITS-1:0] source;
  logic [WIDTH-1:0]     chosen;
  always_comb begin
    grant = '0;
    source = '0;
    chosen = s_data[WIDTH-1:0];
    for (int i = 0; i < N; i++) begin
      if (s_valid[i]) begin
        grant = '0;
        grant[i] = 1'b1;
        source = EXIT_BITS'(i);
        chosen = s_data[WIDTH*i +: WIDTH];
      end
    end
  end
  assign s_ready = grant;

  wire store = |s_valid;
  wire [SLOT_BITS-1:0] place = order && !skip ? chosen[SLOT_BITS-1:0] : come_q;
  wire full = laps_q[turn] != turn_q[SLOT_BITS];  // the result whose turn it is has come
  wire load = out_free && full;
  wire ends = batch != '0 && next_q >= batch;

  wire [EXIT_BITS-1:0]  exit;
  wire [SCORE_BITS-1:0] score;
  wire [CLASS_BITS-1:0] winner;
  wire [SLOT_BITS-1:0]  slot;
  wire [65:0]           record;
  assign {exit, score, winner, slot} = memory[turn];
  ex_records #(.IN_FLIGHT(IN_FLIGHT)) u_records (
      .clk(clk), .rst(rst || clear), .plain(order || raw),
      .put(put), .put_data(put_data), .put_slot(put_slot),
      .get(load), .skip(skip), .get_slot(slot), .get_data(record)
  );

  assign m_valid = valid_q;
  assign m_data = data_q;
  assign m_last = last_q;
  assign busy = full;

  always_ff @(posedge clk) begin
    if (store) memory[place] <= {source, chosen};
    if (load) begin
      data_q <= {6'd0, record[64], record[65], 8'(exit), 16'(winner), now - record[63:32],
                 32'($signed(score)), record[31:0]};
      last_q <= ends;
    end
  end

  always_ff @(posedge clk) begin
    if (load && !clear) valid_q <= 1'b1;
    else if (m_ready) valid_q <= 1'b0;
    if (load) next_q <= next_q + 1'b1;
    if (load || skip) turn_q <= turn_q + 1'b1;
    if (store || skip) begin
      come_q <= come_q + 1'b1;
      for (int i = 0; i < IN_FLIGHT; i++) begin
        if (32'(place) == i) laps_q[i] <= !laps_q[i];
      end
    end
    if (rst || clear || (load && ends)) next_q <= 32'd1;
    if (rst || clear) begin
      turn_q <= '0;
      come_q <= '0;
      laps_q <= '0;
    end
    if (rst) valid_q <= 1'b0;
  end
endmodule

`default_nettype wire
