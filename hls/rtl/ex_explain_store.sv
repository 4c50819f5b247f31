// ex_explain_store: the context words of SLOTS frames at one place of a network, see
// exeunt.explain.store.
//
// w_valid: in slot w_slot the words WIDE * w_address to WIDE * w_address + WIDE - 1 of a frame become
// w_data, the first one lowest. r_valid: in the next cycle r_data is word r_address of slot r_slot,
// and stays until the next one is read. A word that is written in the cycle in which it is read may
// be read as anything: slots are read when they are whole. No reset: what no one wrote is anything.
// Up to 64 words may live in LUTs, more in block memory. Word and slot make the address of the
// memory without a gap, whatever their numbers are;
// where WIDE is no power of two a read divides its address.
`default_nettype none

module ex_explain_store #(
    parameter int WIDTH = 8,  // bits of a word
    parameter int WORDS = 4,  // of a frame, a multiple of WIDE
    parameter int SLOTS = 2,  // frames
    parameter int WIDE  = 1,  // words that are written at once
    localparam int ROWS = WORDS / WIDE,
    localparam int WW   = ROWS > 1 ? $clog2(ROWS) : 1,
    localparam int RW   = WORDS > 1 ? $clog2(WORDS) : 1,
    localparam int SW   = SLOTS > 1 ? $clog2(SLOTS) : 1
) (
    input  wire                   clk,
    input  wire                   w_valid,
    input  wire  [SW-1:0]         w_slot,
    input  wire  [WW-1:0]         w_address,
    input  wire  [WIDE*WIDTH-1:0] w_data,
    input  wire                   r_valid,
    input  wire  [SW-1:0]         r_slot,
    input  wire  [RW-1:0]         r_address,
    output wire  [WIDTH-1:0]      r_data
);
  localparam int DEPTH = ROWS * SLOTS;
  localparam int DW    = DEPTH > 1 ? $clog2(DEPTH) : 1;
  localparam int BW    = WIDE > 1 ? $clog2(WIDE) : 1;

  if (WIDTH < 1 || WORDS < 1 || SLOTS < 1) begin : g_bad_size
    $error("ex_explain_store: WIDTH, WORDS and SLOTS must be at least 1, are %0d, %0d and %0d",
           WIDTH, WORDS, SLOTS);
  end
  if (WIDE < 1 || WORDS % WIDE != 0) begin : g_bad_wide
    $error("ex_explain_store: WIDE must divide WORDS %0d, not be %0d", WORDS, WIDE);
  end

  wire [DW-1:0] w_at = DW'(32'(w_address) * SLOTS + 32'(w_slot));
  wire [DW-1:0] r_at = DW'(32'(r_address) / WIDE * SLOTS + 32'(r_slot));
  wire [BW-1:0] r_bank = BW'(32'(r_address) % WIDE);
  logic [WIDE*WIDTH-1:0] read;

  for (genvar k = 0; k < WIDE; k++) begin : g_bank
    logic [WIDTH-1:0] word_q;
    if (DEPTH <= 64) begin : g_small
      (* no_rw_check *) logic [WIDTH-1:0] memory[DEPTH];
      always_ff @(posedge clk) begin
        if (w_valid) memory[w_at] <= w_data[k*WIDTH +: WIDTH];
        if (r_valid) word_q <= memory[r_at];
      end
    end else begin : g_deep
      (* no_rw_check, ram_style = "block" *) logic [WIDTH-1:0] memory[DEPTH];
      always_ff @(posedge clk) begin
        if (w_valid) memory[w_at] <= w_data[k*WIDTH +: WIDTH];
        if (r_valid) word_q <= memory[r_at];
      end
    end
    assign read[k*WIDTH +: WIDTH] = word_q;
  end

  if (WIDE > 1) begin : g_choice
    logic [BW-1:0] bank_q;
    always_ff @(posedge clk) if (r_valid) bank_q <= r_bank;
    assign r_data = read[32'(bank_q)*WIDTH +: WIDTH];
  end else begin : g_one
    wire unused = r_bank[0];
    assign r_data = read;
  end
endmodule

`default_nettype wire
