// ex_hold: offsets to the thresholds of exits that hold a rate or a latency within limits.
//
// EXITS: those that may keep a frame, all but the last. decide[i]: exit i decides a frame in this
// cycle, and keeps it with keep[i]; leave: a result leaves, of that latency. What each exit counts:
//   for a rate      its own decisions, hits are frames that it keeps;
//   for a latency   results one cycle after they leave, hits are those above the limit.
// held has the offset of each exit, HELD bits, signed, which its ex_band makes of them: too many
// hits lower the threshold, so that more frames leave, too few raise it.
// On the bus of ex_registers: write stores wdata at address in that cycle; rdata is what address
// named in the cycle before, 0 for the addresses of others. The map is HOLD of
// python/exeunt/registers.py, which gives the A_* parameters. Writing A_HOLD {latency, on} begins
// anew; while it is off nothing counts and every offset is 0. Limits are written while it is off.
// Changes are counted by exit, 16 bits up and down, and read as they were at the last snapshot (bit
// 2 of A_CONTROL). Reset: off, all limits 0; clear: begins anew, counts 0.
`default_nettype none

module ex_hold #(
    parameter int EXITS = 2,                // that hold
    parameter int HELD = 12,                // bits of an offset
    parameter logic [11:0] A_CONTROL = '0,  // addresses in bytes
    parameter logic [11:0] A_HOLD = '0,
    parameter logic [11:0] A_WINDOW = '0,
    parameter logic [11:0] A_LIMIT = '0,
    parameter logic [11:0] A_BAND = '0,
    parameter logic [11:0] A_STEP = '0,
    parameter logic [11:0] A_FLOOR = '0,
    parameter logic [11:0] A_CEILING = '0,
    parameter logic [11:0] A_OFFSET = '0,
    parameter logic [11:0] A_CHANGES = '0
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  clear,
    input  wire                  write,
    input  wire [11:0]           address,
    input  wire [31:0]           wdata,
    output wire [31:0]           rdata,
    input  wire [EXITS-1:0]      decide,
    input  wire [EXITS-1:0]      keep,
    input  wire                  leave,
    input  wire [31:0]           latency,
    output wire [EXITS*HELD-1:0] held
);
  if (EXITS < 1 || EXITS > 7) begin : g_bad_exits
    $error("ex_hold: EXITS must be 1 to 7, is %0d", EXITS);
  end
  if ((A_BAND[4:0] | A_STEP[4:0] | A_FLOOR[4:0] | A_CEILING[4:0] | A_OFFSET[4:0]
      | A_CHANGES[4:0]) != 0) begin : g_bad_align
    $error("ex_hold: addresses of registers per exit must be multiples of 32");
  end

  logic        on_q, by_latency_q;
  logic [15:0] last_q;
  logic [31:0] limit_q;
  logic        leave_q, late_q;
  logic [EXITS-1:0][31:0]     band_q;
  logic [EXITS-1:0][HELD-1:0] step_q, floor_q, ceiling_q;
  logic [EXITS-1:0][15:0]     raised_q, lowered_q;
  logic [EXITS-1:0][31:0]     changes_q;  // at the last snapshot

  wire [11:0] group = {address[11:5], 3'd0, address[1:0]};
  wire [2:0]  index = address[4:2];
  wire        begins = write && address == A_HOLD;
  wire [EXITS-1:0] raised, lowered;

  for (genvar i = 0; i < EXITS; i++) begin : g_exit
    ex_band #(.HELD(HELD)) u_band (
        .clk(clk),
        .rst(rst || clear || begins || !on_q),
        .count(by_latency_q ? leave_q : decide[i]),
        .hit(by_latency_q ? late_q : keep[i]),
        .last(last_q),
        .low(band_q[i][15:0]),
        .high(band_q[i][31:16]),
        .step(step_q[i]),
        .floor(floor_q[i]),
        .ceiling(ceiling_q[i]),
        .held(held[HELD*i +: HELD]),
        .raised(raised[i]),
        .lowered(lowered[i])
    );
  end

  always_ff @(posedge clk) begin
    leave_q <= leave && !rst && !clear;
    late_q  <= latency > limit_q;
    if (begins) {by_latency_q, on_q} <= wdata[1:0];
    if (write && address == A_WINDOW) last_q <= wdata[15:0];
    if (write && address == A_LIMIT) limit_q <= wdata;
    for (int i = 0; i < EXITS; i++) begin
      if (write && 32'(index) == i) begin
        if (group == A_BAND) band_q[i] <= wdata;
        if (group == A_STEP) step_q[i] <= wdata[HELD-1:0];
        if (group == A_FLOOR) floor_q[i] <= wdata[HELD-1:0];
        if (group == A_CEILING) ceiling_q[i] <= wdata[HELD-1:0];
      end
      if (raised[i]) raised_q[i] <= raised_q[i] + 1'b1;
      if (lowered[i]) lowered_q[i] <= lowered_q[i] + 1'b1;
      if (write && address == A_CONTROL && wdata[2]) changes_q[i] <= {lowered_q[i], raised_q[i]};
    end
    if (rst || clear) begin
      raised_q  <= '0;
      lowered_q <= '0;
      changes_q <= '0;
    end
    if (rst) begin
      {by_latency_q, on_q} <= '0;
      last_q    <= '0;
      limit_q   <= '0;
      band_q    <= '0;
      step_q    <= '0;
      floor_q   <= '0;
      ceiling_q <= '0;
    end
  end

  logic [31:0] read, rdata_q;
  always_comb begin
    read = '0;
    if (address == A_HOLD) read = {30'd0, by_latency_q, on_q};
    for (int i = 0; i < EXITS; i++) begin
      if (32'(index) == i) begin
        if (group == A_OFFSET) read = 32'($signed(held[HELD*i +: HELD]));
        if (group == A_CHANGES) read = changes_q[i];
      end
    end
  end
  always_ff @(posedge clk) rdata_q <= read;
  assign rdata = rdata_q;
endmodule

`default_nettype wire
