// ex_look_buffer: holds what segment 0 makes of frames at their first look, until their last verdict.
//
// The memory has DEPTH / FRAME places of one frame each. place_free: one is free, place says which in
// this cycle, and place_take has it; a frame must have one before its first look. So there is room
// for every frame that comes, and words never wait: no further look is behind a frame that does.
// s: frames of FRAME words, one behind the other; info: for each of them {further, place}, at the
// latest with its first word, taken with its last. Words of a first look are kept in the place, those
// of a further look are dropped. verdict: the last one on a frame, after the first word of its look;
//   keep = 1: the frame's words leave on m, one a cycle, as far as they have arrived, behind those
//             of frames kept earlier; its place is free when its last word is read;
//   keep = 0: its place is free in the next cycle.
// Latency: keep to first word 2 cycles, a word that is forwarded as it arrives 2 cycles; word to
// word 1 cycle, also from frame to frame. The memory has a synchronous read port that never reads
// what is being written; its output register is the output register of the block. On stall m holds.
// Reset: empty.
`default_nettype none

module ex_look_buffer #(
    parameter int WIDTH = 8,   // bits a word
    parameter int FRAME = 16,  // words a frame
    parameter int DEPTH = 64,  // words of memory, a multiple of FRAME
    localparam int PLACES = FRAME > 0 && DEPTH >= FRAME ? DEPTH / FRAME : 1,
    localparam int PLACE_BITS = PLACES > 1 ? $clog2(PLACES) : 1
) (
    input  wire                  clk,
    input  wire                  rst,
    output wire                  place_free,
    input  wire                  place_take,
    output wire [PLACE_BITS-1:0] place,
    input  wire                  s_valid,
    output wire                  s_ready,
    input  wire [WIDTH-1:0]      s_data,
    input  wire                  info_valid,
    output wire                  info_ready,
    input  wire [PLACE_BITS:0]   info_data,
    input  wire                  verdict_valid,
    input  wire                  verdict_keep,
    input  wire [PLACE_BITS-1:0] verdict_place,
    output wire                  m_valid,
    input  wire                  m_ready,
    output wire [WIDTH-1:0]      m_data
);
  localparam int ADDRESS_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;
  localparam int WORD_BITS = FRAME > 1 ? $clog2(FRAME) : 1;
  localparam logic [WORD_BITS-1:0] FINAL = WORD_BITS'(FRAME - 1);
  localparam logic [PLACES-1:0] ONE = PLACES'(1);

  if (WIDTH < 1) begin : g_bad_width
    $error("ex_look_buffer: WIDTH must be at least 1, is %0d", WIDTH);
  end
  if (FRAME < 1) begin : g_bad_frame
    $error("ex_look_buffer: FRAME must be at least 1, is %0d", FRAME);
  end
  if (DEPTH < FRAME || DEPTH % FRAME != 0) begin : g_bad_depth
    $error("ex_look_buffer: DEPTH %0d must be a multiple of FRAME %0d", DEPTH, FRAME);
  end

  (* no_rw_check *) logic [WIDTH-1:0] memory [0:DEPTH-1];
  logic [WIDTH-1:0]        word_q;
  logic                    word_valid_q;
  logic [ADDRESS_BITS-1:0] write_q, read_q;
  logic [WORD_BITS-1:0]    in_q;    // words of the frame on s that have come
  logic [WORD_BITS-1:0]    out_q;   // words of the frame on m that were read
  logic [PLACES-1:0]       used_q;

  // frames that are kept, in order
  wire                  kept_valid;
  wire [PLACE_BITS-1:0] kept;
  wire                  unused_kept_ready;
  wire [$clog2(PLACES+1)-1:0] unused_kept_count;

  wire further = info_data[PLACE_BITS];
  wire [PLACE_BITS-1:0] place_in = info_data[PLACE_BITS-1:0];
  wire put = s_valid && s_ready;
  wire whole = put && in_q == FINAL;
  wire arriving = in_q != '0 && !further && place_in == kept;  // the frame on m is still on s
  wire get = kept_valid && !(arriving && out_q == in_q) && (!word_valid_q || m_ready);
  wire leave = get && out_q == FINAL;
  wire drop = verdict_valid && !verdict_keep;

  assign s_ready = info_valid;
  assign info_ready = whole;
  assign m_valid = word_valid_q;
  assign m_data = word_q;

  ex_fifo #(.WIDTH(PLACE_BITS), .DEPTH(PLACES)) u_kept (
      .clk(clk), .rst(rst),
      .s_valid(verdict_valid && verdict_keep), .s_ready(unused_kept_ready),
      .s_data(verdict_place),
      .m_valid(kept_valid), .m_ready(leave), .m_data(kept), .count(unused_kept_count)
  );

  // the first place that is free, and where frames begin
  logic [PLACE_BITS-1:0]   first;
  logic [ADDRESS_BITS-1:0] write, read;
  always_comb begin
    first = '0;
    write = write_q;
    read = read_q;
    for (int i = PLACES - 1; i >= 0; i--) begin
      if (!used_q[i]) first = PLACE_BITS'(i);
      if (in_q == '0 && 32'(place_in) == i) write = ADDRESS_BITS'(i * FRAME);
      if (out_q == '0 && 32'(kept) == i) read = ADDRESS_BITS'(i * FRAME);
    end
  end
  assign place_free = used_q != '1;
  assign place = first;

  always_ff @(posedge clk) begin
    if (put && !further) memory[write] <= s_data;
    if (get) word_q <= memory[read];
  end

  always_ff @(posedge clk) begin
    if (put) begin
      write_q <= write + 1'b1;
      in_q    <= whole ? '0 : in_q + 1'b1;
    end
    if (get) begin
      read_q <= read + 1'b1;
      out_q  <= leave ? '0 : out_q + 1'b1;
    end
    if (get) word_valid_q <= 1'b1;
    else if (m_ready) word_valid_q <= 1'b0;
    used_q <= (used_q | (place_free && place_take ? ONE << first : '0))
        & ~(drop ? ONE << verdict_place : '0) & ~(leave ? ONE << kept : '0);
    if (rst) begin
      in_q         <= '0;
      out_q        <= '0;
      word_valid_q <= 1'b0;
      used_q       <= '0;
    end
  end
endmodule

`default_nettype wire
