// ex_explain_registers: what a host chooses of explanations, and the counts that it reads.
//
// Beside ex_registers on its one-cycle bus: write stores wdata at address in that cycle; rdata is
// what address named in the cycle before, 0 for the addresses of others. The map is EXPLAIN of
// python/exeunt/registers.py, which gives the A_* parameters. ask, with ask_id, and forget are of
// the cycle of the write. A snapshot (bit 2 of A_CONTROL) copies all counts in one cycle;
// how many slots are used is told as it is.
// Reset: every 0, nobody waits, the method METHOD, below any score, counts 0; clear: counts 0.
`default_nettype none

module ex_explain_registers #(
    parameter int EXITS = 2,
    parameter int SLOTS = 2,
    parameter logic [3:0] METHOD = '0,       // the first one that was built
    parameter logic [11:0] A_CONTROL = '0,   // addresses in bytes
    parameter logic [11:0] A_EVERY = '0,
    parameter logic [11:0] A_METHOD = '0,
    parameter logic [11:0] A_ASK = '0,
    parameter logic [11:0] A_FORGET = '0,
    parameter logic [11:0] A_EXPLAINED = '0,
    parameter logic [11:0] A_MISSED = '0,
    parameter logic [11:0] A_UNMET = '0,
    parameter logic [11:0] A_SLOTS = '0,
    parameter logic [11:0] A_BELOW = '0
) (
    input  wire                clk,
    input  wire                rst,
    input  wire                clear,
    input  wire                write,
    input  wire [11:0]         address,
    input  wire [31:0]         wdata,
    output wire [31:0]         rdata,
    output wire [15:0]         every,
    output wire                waits,      // frames wait until there is a slot for them
    output wire [3:0]          method,
    output wire [EXITS*32-1:0] below,
    output wire                ask,
    output wire [31:0]         ask_id,
    output wire                forget,
    input  wire [31:0]         explained,
    input  wire [31:0]         missed,
    input  wire [31:0]         unmet,
    input  wire [SLOTS-1:0]    used        // slots
);
  localparam logic [31:0] ANY = 32'h7fff_ffff;

  if (EXITS < 1 || EXITS > 8) begin : g_bad_exits
    $error("ex_explain_registers: EXITS must be 1 to 8, is %0d", EXITS);
  end
  if (A_BELOW[4:0] != 0) begin : g_bad_align
    $error("ex_explain_registers: the address of registers per exit must be a multiple of 32");
  end

  logic [15:0]            every_q;
  logic                   waits_q;
  logic [3:0]             method_q;
  logic [EXITS-1:0][31:0] below_q;
  logic [31:0]            explained_q, missed_q, unmet_q;  // at the last snapshot

  wire [11:0] group = {address[11:5], 3'd0, address[1:0]};
  wire [2:0]  index = address[4:2];

  assign every  = every_q;
  assign waits  = waits_q;
  assign method = method_q;
  assign below  = below_q;
  assign ask    = write && address == A_ASK;
  assign ask_id = wdata;
  assign forget = write && address == A_FORGET;

  always_ff @(posedge clk) begin
    if (write && address == A_EVERY) {waits_q, every_q} <= {wdata[31], wdata[15:0]};
    if (write && address == A_METHOD) method_q <= wdata[3:0];
    for (int i = 0; i < EXITS; i++) begin
      if (write && group == A_BELOW && 32'(index) == i) below_q[i] <= wdata;
    end
    if (write && address == A_CONTROL && wdata[2]) begin
      explained_q <= explained;
      missed_q    <= missed;
      unmet_q     <= unmet;
    end
    if (rst || clear) begin
      explained_q <= '0;
      missed_q    <= '0;
      unmet_q     <= '0;
    end
    if (rst) begin
      every_q  <= '0;
      waits_q  <= 1'b0;
      method_q <= METHOD;
      for (int i = 0; i < EXITS; i++) below_q[i] <= ANY;
    end
  end

  logic [31:0] read, rdata_q;
  always_comb begin
    read = '0;
    if (address == A_SLOTS) for (int i = 0; i < SLOTS; i++) read = read + 32'(used[i]);
    if (address == A_EVERY) read = {waits_q, 15'd0, every_q};
    if (address == A_METHOD) read = {28'd0, method_q};
    if (address == A_EXPLAINED) read = explained_q;
    if (address == A_MISSED) read = missed_q;
    if (address == A_UNMET) read = unmet_q;
    for (int i = 0; i < EXITS; i++) begin
      if (group == A_BELOW && 32'(index) == i) read = below_q[i];
    end
  end
  always_ff @(posedge clk) rdata_q <= read;
  assign rdata = rdata_q;
endmodule

`default_nettype wire
