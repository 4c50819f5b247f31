// ex_registers: the registers of the controlled pipeline, behind a one-cycle bus.
//
// The map, its addresses and what each register means stand in python/exeunt/registers.py, which
// also gives the A_* parameters. write stores wdata at address in that cycle; rdata is what address
// named in the cycle before. Unknown addresses read zero and ignore writes.
// Thresholds are written to a shadow; a commit copies all of them to the bank not in force and puts
// it in force, both in one cycle, once no frame inside uses that bank. order and raw take effect
// once no frame is inside; hold keeps new frames out until then. A snapshot copies all counters in
// one cycle. A soft reset holds core_rst for 15 cycles: counters and everything inside are cleared,
// thresholds, order, raw and batch stay, and the epoch counts 0 (since rst), 1, .. 255, 1, .., so
// that a host sees a reset that was not its own. A word on the output (offer) stays there, as AXI
// demands: core_rst is held, and order and raw stay, until it has been taken.
// Reset: thresholds never, arrival order, batches of one.
`default_nettype none

module ex_registers #(
    parameter int EXITS = 3,
    parameter int COUNT_BITS = 5,            // bits of flight0 and flight1
    parameter logic [31:0] ID = '0,
    parameter logic [31:0] VERSION = '0,
    parameter logic [31:0] HASH = '0,
    parameter logic [31:0] CRITERION = '0,
    parameter logic [11:0] A_ID = '0,        // addresses in bytes
    parameter logic [11:0] A_VERSION = '0,
    parameter logic [11:0] A_HASH = '0,
    parameter logic [11:0] A_CONTROL = '0,
    parameter logic [11:0] A_STATUS = '0,
    parameter logic [11:0] A_ORDER = '0,
    parameter logic [11:0] A_RAW = '0,
    parameter logic [11:0] A_BATCH = '0,
    parameter logic [11:0] A_CRITERION = '0,
    parameter logic [11:0] A_FRAMES_IN = '0,
    parameter logic [11:0] A_FRAMES_OUT = '0,
    parameter logic [11:0] A_IN_FLIGHT = '0,
    parameter logic [11:0] A_BAD = '0,
    parameter logic [11:0] A_STALL = '0,
    parameter logic [11:0] A_CYCLES = '0,
    parameter logic [11:0] A_TAKEN = '0,
    parameter logic [11:0] A_THRESHOLD = '0,
    parameter logic [11:0] A_ACTIVE = '0
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  write,
    input  wire [11:0]           address,
    input  wire [31:0]           wdata,
    output wire [31:0]           rdata,
    input  wire                  offer,      // a word is on the output
    input  wire                  ev_accept,
    input  wire                  ev_leave,
    input  wire                  ev_bad,
    input  wire                  ev_stall,
    input  wire [EXITS-1:0]      ev_take,
    input  wire [COUNT_BITS-1:0] flight0,
    input  wire [COUNT_BITS-1:0] flight1,
    output wire [EXITS*32-1:0]   threshold0,
    output wire [EXITS*32-1:0]   threshold1,
    output wire                  bank,
    output wire                  hold,
    output wire                  order,
    output wire                  raw_enable,
    output wire [7:0]            raw_exit,
    output wire [31:0]           batch,
    output wire [31:0]           now,
    output wire                  core_rst
);
  localparam logic [31:0] NEVER = 32'h7fff_ffff;
  localparam logic [31:0] ALWAYS = 32'h8000_0000;
  localparam logic [7:0] LAST = 8'(EXITS - 1);

  if (EXITS < 1 || EXITS > 8) begin : g_bad_exits
    $error("ex_registers: EXITS must be 1 to 8, is %0d", EXITS);
  end
  if (A_TAKEN[4:0] != 0 || A_THRESHOLD[4:0] != 0 || A_ACTIVE[4:0] != 0) begin : g_bad_align
    $error("ex_registers: addresses of registers per exit must be multiples of 32");
  end

  logic [EXITS-1:0][31:0] threshold0_q;
  logic [EXITS-1:0][31:0] threshold1_q;
  logic [EXITS-1:0][31:0] shadow_q;
  logic        bank_q, commit_q, refused_q;
  logic        order_q, order_next_q, raw_q, raw_next_q;
  logic [7:0]  exit_q, exit_next_q;
  logic [31:0] batch_q, rdata_q;
  logic [3:0]  reset_q;
  logic [7:0]  epoch_q;

  logic [31:0] in_q, out_q, bad_q, stall_q, cycles_q;
  logic [EXITS-1:0][31:0] taken_q;
  logic [31:0] in_s_q, out_s_q, bad_s_q, stall_s_q, cycles_s_q;
  logic [EXITS-1:0][31:0] taken_s_q;

  // of a register per exit: its address but for the index
  wire [11:0] group = {address[11:5], 3'd0, address[1:0]};
  wire [2:0]  index = address[4:2];
  wire control = write && address == A_CONTROL;
  wire empty0 = flight0 == '0;
  wire empty1 = flight1 == '0;
  wire mode = order_q != order_next_q || raw_q != raw_next_q || (raw_q && exit_q != exit_next_q);
  wire commit = commit_q && (bank_q ? empty0 : empty1);
  wire resetting = reset_q != '0;
  wire last_cycle = reset_q == 4'd1;
  wire [COUNT_BITS:0] occupied = {1'b0, flight0} + {1'b0, flight1};

  assign threshold0 = threshold0_q;
  assign threshold1 = threshold1_q;
  assign bank = bank_q;
  assign hold = mode;
  assign order = order_q;
  assign raw_enable = raw_q;
  assign raw_exit = exit_q;
  assign batch = batch_q;
  assign now = cycles_q;
  assign core_rst = rst || resetting;
  assign rdata = rdata_q;

  always_ff @(posedge clk) begin
    if (resetting && !(last_cycle && offer)) reset_q <= reset_q - 1'b1;
    if (write && address == A_ORDER) order_next_q <= wdata[0];
    if (write && address == A_BATCH) batch_q <= wdata;
    if (write && address == A_RAW) begin
      raw_next_q  <= wdata[31];
      exit_next_q <= wdata[7:0] > LAST ? LAST : wdata[7:0];
    end
    if (empty0 && empty1 && !offer) begin
      order_q <= order_next_q;
      raw_q   <= raw_next_q;
      exit_q  <= exit_next_q;
    end
    for (int i = 0; i < EXITS - 1; i++) begin
      if (write && group == A_THRESHOLD && 32'(index) == i && !commit_q) shadow_q[i] <= wdata;
      if (commit && bank_q) threshold0_q[i] <= shadow_q[i];
      if (commit && !bank_q) threshold1_q[i] <= shadow_q[i];
      if (write && group == A_THRESHOLD && 32'(index) == i && commit_q) refused_q <= 1'b1;
    end
    if (commit) begin
      bank_q   <= !bank_q;
      commit_q <= 1'b0;
    end
    if (commit_q && control && wdata[1]) refused_q <= 1'b1;
    if (control && wdata[0]) begin
      reset_q <= '1;
      epoch_q <= &epoch_q ? 8'd1 : epoch_q + 1'b1;
    end
    if (control && wdata[1] && !commit_q) begin
      commit_q  <= 1'b1;
      refused_q <= 1'b0;
    end
    if (rst) begin
      reset_q      <= '0;
      epoch_q      <= '0;
      order_next_q <= 1'b0;
      order_q      <= 1'b0;
      raw_next_q   <= 1'b0;
      raw_q        <= 1'b0;
      exit_next_q  <= '0;
      exit_q       <= '0;
      batch_q      <= 32'd1;
      bank_q       <= 1'b0;
      commit_q     <= 1'b0;
      refused_q    <= 1'b0;
      for (int i = 0; i < EXITS; i++) begin
        shadow_q[i]     <= 32'(i) == 32'(LAST) ? ALWAYS : NEVER;
        threshold0_q[i] <= 32'(i) == 32'(LAST) ? ALWAYS : NEVER;
        threshold1_q[i] <= 32'(i) == 32'(LAST) ? ALWAYS : NEVER;
      end
    end
  end

  // counters, and their snapshot
  always_ff @(posedge clk) begin
    cycles_q <= cycles_q + 1'b1;
    if (ev_accept) in_q <= in_q + 1'b1;
    if (ev_leave) out_q <= out_q + 1'b1;
    if (ev_bad) bad_q <= bad_q + 1'b1;
    if (ev_stall) stall_q <= stall_q + 1'b1;
    for (int i = 0; i < EXITS; i++) if (ev_take[i]) taken_q[i] <= taken_q[i] + 1'b1;
    if (control && wdata[2]) begin
      in_s_q     <= in_q;
      out_s_q    <= out_q;
      bad_s_q    <= bad_q;
      stall_s_q  <= stall_q;
      cycles_s_q <= cycles_q;
      for (int i = 0; i < EXITS; i++) taken_s_q[i] <= taken_q[i];
    end
    if (core_rst) begin
      in_q       <= '0;
      out_q      <= '0;
      bad_q      <= '0;
      stall_q    <= '0;
      cycles_q   <= '0;
      in_s_q     <= '0;
      out_s_q    <= '0;
      bad_s_q    <= '0;
      stall_s_q  <= '0;
      cycles_s_q <= '0;
      for (int i = 0; i < EXITS; i++) begin
        taken_q[i]   <= '0;
        taken_s_q[i] <= '0;
      end
    end
  end

  logic [31:0] read;
  always_comb begin
    read = '0;
    if (address == A_ID) read = ID;
    if (address == A_VERSION) read = VERSION;
    if (address == A_HASH) read = HASH;
    if (address == A_STATUS)
      read = {16'(occupied), epoch_q, 3'd0, refused_q, bank_q, resetting, mode, commit_q};
    if (address == A_ORDER) read = {31'd0, order_next_q};
    if (address == A_RAW) read = {raw_next_q, 23'd0, exit_next_q};
    if (address == A_BATCH) read = batch_q;
    if (address == A_CRITERION) read = CRITERION;
    if (address == A_FRAMES_IN) read = in_s_q;
    if (address == A_FRAMES_OUT) read = out_s_q;
    if (address == A_IN_FLIGHT) read = in_s_q - out_s_q;
    if (address == A_BAD) read = bad_s_q;
    if (address == A_STALL) read = stall_s_q;
    if (address == A_CYCLES) read = cycles_s_q;
    for (int i = 0; i < EXITS; i++) begin
      if (32'(index) == i) begin
        if (group == A_TAKEN) read = taken_s_q[i];
        if (group == A_THRESHOLD) read = shadow_q[i];
        if (group == A_ACTIVE) read = bank_q ? threshold1_q[i] : threshold0_q[i];
      end
    end
  end
  always_ff @(posedge clk) rdata_q <= read;
endmodule

`default_nettype wire
