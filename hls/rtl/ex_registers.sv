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
    parameter logic [11:0] A_FRAMES_OUT = 12'd4,
    parameter logic [11:0] A_IN_FLIGHT = '0,
    parameter logic [11:0] A_BAD = '0,
    parameter logic [11:0] A_STALL = 12'd16,
    parameter logic [11:0] A_CYCLES = 12'd20,
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
  localparam int EXIT_BITS = EXITS > 1 ? $clog2(EXITS) : 1;

  if (EXITS < 1 || EXITS > 8) begin : g_bad_exits
    $error("ex_registers: EXITS must be 1 to 8, is %0d", EXITS);
  end
  if (A_TAKEN[4:0] != 0 || A_THRESHOLD[4:0] != 0 || A_ACTIVE[4:0] != 0) begin : g_bad_align
    $error("ex_registers: addresses of registers per exit must be multiples of 32");
  end

  if ((A_FRAMES_IN[4:2] & 3'd5) != 3'd0 || (A_FRAMES_OUT[4:2] & 3'd5) != 3'd1
      || (A_STALL[4:2] & 3'd5) != 3'd4 || (A_CYCLES[4:2] & 3'd5) != 3'd5) begin : g_bad_totals
    $error("ex_registers: bits 4, 2 of frames_in, frames_out, stall, cycles must be 0, 1, 2, 3");
  end

  logic [EXITS-1:0][31:0] threshold0_q;
  logic [EXITS-1:0][31:0] threshold1_q;
  logic [EXITS-1:0][31:0] shadow_q;
  logic        bank_q, commit_q, refused_q;
  logic        order_q, order_next_q, raw_q, raw_next_q;
  logic [EXIT_BITS-1:0] exit_q, exit_next_q;
  logic [31:0] batch_q;
  logic [3:0]  reset_q;
  logic        resetting_q;  // reset_q is not 0: a register, since core_rst is in front of much
  logic [7:0]  epoch_q;

  logic [31:0] in_q, out_q, bad_q, stall_q, cycles_q;
  logic [EXITS-1:0][31:0] taken_q;
  logic [COUNT_BITS:0] inside_s_q;
  logic [31:0] in_s_q, out_s_q, bad_s_q, stall_s_q, cycles_s_q;
  logic [EXITS-1:0][31:0] taken_s_q;

  // which register the address is of
  localparam int WORDS = 15;
  localparam int ID_AT = 0, VERSION_AT = 1, HASH_AT = 2, CRITERION_AT = 3, STATUS_AT = 4;
  localparam int ORDER_AT = 5, RAW_AT = 6, INSIDE_AT = 7, BATCH_AT = 8, IN_AT = 9, OUT_AT = 10;
  localparam int STALL_AT = 11, CYCLES_AT = 12, BAD_AT = 13, CONTROL_AT = 14;
  localparam logic [WORDS*12-1:0] PLACES = {
      A_CONTROL, A_BAD, A_CYCLES, A_STALL, A_FRAMES_OUT, A_FRAMES_IN, A_BATCH, A_IN_FLIGHT, A_RAW,
      A_ORDER, A_STATUS, A_CRITERION, A_HASH, A_VERSION, A_ID};
  wire [2:0]       index = address[4:2];
  wire [WORDS-1:0] at;
  for (genvar i = 0; i < WORDS; i++) begin : g_at
    assign at[i] = address[1:0] == PLACES[12*i +: 2] && index == PLACES[12*i + 2 +: 3]
        && address[11:5] == PLACES[12*i + 5 +: 7];
  end
  wire at_threshold = address[1:0] == 2'd0 && 32'(index) < EXITS
      && address[11:5] == A_THRESHOLD[11:5];

  wire control = write && at[CONTROL_AT];
  wire empty0 = flight0 == '0;
  wire empty1 = flight1 == '0;
  wire mode = order_q != order_next_q || raw_q != raw_next_q || (raw_q && exit_q != exit_next_q);
  wire commit = commit_q && (bank_q ? empty0 : empty1);
  wire last_cycle = reset_q == 4'd1;
  wire count_down = resetting_q && !(last_cycle && offer);
  wire [COUNT_BITS:0] occupied = {1'b0, flight0} + {1'b0, flight1};  // frames_in - frames_out

  assign threshold0 = threshold0_q;
  assign threshold1 = threshold1_q;
  assign bank = bank_q;
  assign hold = mode;
  assign order = order_q;
  assign raw_enable = raw_q;
  assign raw_exit = 8'(exit_q);
  assign batch = batch_q;
  assign now = cycles_q;
  assign core_rst = rst || resetting_q;

  always_ff @(posedge clk) begin
    if (count_down) reset_q <= reset_q - 1'b1;
    if (count_down && last_cycle) resetting_q <= 1'b0;
    if (write && at[ORDER_AT]) order_next_q <= wdata[0];
    if (write && at[BATCH_AT]) batch_q <= wdata;
    if (write && at[RAW_AT]) begin
      raw_next_q  <= wdata[31];
      exit_next_q <= EXIT_BITS'(wdata[7:0] > LAST ? LAST : wdata[7:0]);
    end
    if (empty0 && empty1 && !offer) begin
      order_q <= order_next_q;
      raw_q   <= raw_next_q;
      exit_q  <= exit_next_q;
    end
    for (int i = 0; i < EXITS - 1; i++) begin
      if (write && at_threshold && 32'(index) == i && !commit_q) shadow_q[i] <= wdata;
      if (commit && bank_q) threshold0_q[i] <= shadow_q[i];
      if (commit && !bank_q) threshold1_q[i] <= shadow_q[i];
      if (write && at_threshold && 32'(index) == i && commit_q) refused_q <= 1'b1;
    end
    if (commit) begin
      bank_q   <= !bank_q;
      commit_q <= 1'b0;
    end
    if (commit_q && control && wdata[1]) refused_q <= 1'b1;
    if (control && wdata[0]) begin
      reset_q     <= '1;
      resetting_q <= 1'b1;
      epoch_q     <= &epoch_q ? 8'd1 : epoch_q + 1'b1;
    end
    if (control && wdata[1] && !commit_q) begin
      commit_q  <= 1'b1;
      refused_q <= 1'b0;
    end
    if (rst) begin
      reset_q      <= '0;
      resetting_q  <= 1'b0;
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
      inside_s_q <= occupied;
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
      inside_s_q <= '0;
      for (int i = 0; i < EXITS; i++) begin
        taken_q[i]   <= '0;
        taken_s_q[i] <= '0;
      end
    end
  end

  // What is read, in five parts: the registers of a part share a multiplexer, and a part that was not
  // named is 0.
  localparam int EVENT_BITS = $clog2(EXITS + 1);  // those taken, then the bad ones
  localparam int INDEX_BITS = EXITS > 2 ? $clog2(EXITS - 1) : 1;
  wire of_exit = address[1:0] == 2'd0 && 32'(index) < EXITS;
  wire of_last = address[1:0] == 2'd0 && 32'(index) == EXITS - 1;
  wire at_taken = of_exit && address[11:5] == A_TAKEN[11:5];
  wire at_active = of_exit && address[11:5] == A_ACTIVE[11:5];
  wire [1:0] total = {index[2], index[0]};  // the address itself, since each bit decoded costs LUTs
  wire [EVENT_BITS-1:0] event_at = at[BAD_AT] ? EVENT_BITS'(EXITS) : EVENT_BITS'(index);
  wire [INDEX_BITS-1:0] place = INDEX_BITS'(index);  // of an exit that is not the last
  logic [31:0] totals_q, events_q, active_q, written_q, state_q;
  logic [31:0] total_d, event_d, active_d, written_d, state_d;
  always_comb begin
    total_d = total[1] ? (total[0] ? cycles_s_q : stall_s_q) : (total[0] ? out_s_q : in_s_q);
    event_d = bad_s_q;
    active_d = '0;
    written_d = '0;
    for (int i = 0; i < EXITS; i++) begin
      if (32'(event_at) == i) event_d = taken_s_q[i];
    end
    for (int i = 0; i < EXITS - 1; i++) begin
      if (32'(place) == i) begin
        active_d = bank_q ? threshold1_q[i] : threshold0_q[i];
        written_d = shadow_q[i];
      end
    end
    if (at[BATCH_AT]) written_d = batch_q;
    state_d = '0;
    if (at[ID_AT]) state_d = ID;
    if (at[VERSION_AT]) state_d = VERSION;
    if (at[HASH_AT]) state_d = HASH;
    if (at[CRITERION_AT]) state_d = CRITERION;
    if (at[STATUS_AT])
      state_d = {16'(occupied), epoch_q, 3'd0, refused_q, bank_q, resetting_q, mode, commit_q};
    if (at[ORDER_AT]) state_d = {31'd0, order_next_q};
    if (at[RAW_AT]) state_d = {raw_next_q, 23'd0, 8'(exit_next_q)};
    if (at[INSIDE_AT]) state_d = 32'(inside_s_q);
    if (of_last && (at_threshold || at_active)) state_d = ALWAYS;
  end
  always_ff @(posedge clk) begin
    totals_q  <= total_d;
    events_q  <= event_d;
    active_q  <= active_d;
    written_q <= written_d;
    state_q   <= state_d;
    if (!(at[IN_AT] || at[OUT_AT] || at[STALL_AT] || at[CYCLES_AT])) totals_q <= '0;
    if (!(at[BAD_AT] || at_taken)) events_q <= '0;
    if (!at_active || of_last) active_q <= '0;
    if (!(at[BATCH_AT] || (at_threshold && !of_last))) written_q <= '0;
  end
  assign rdata = totals_q | events_q | active_q | written_q | state_q;
endmodule

`default_nettype wire
