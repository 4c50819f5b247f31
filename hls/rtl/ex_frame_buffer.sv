// ex_frame_buffer: holds a segment's output until the frame's verdict is known.
//
// The memory has DEPTH / FRAME places of one frame each; up to a third more where that makes them
// begin at powers of two. s: frames of FRAME words, one behind the
// other; a frame takes a free place with its first word. decide: one verdict per frame, in order.
//   keep = 1: the frame's words leave on m, one a cycle, as far as they have arrived, behind those
//             of frames kept earlier; its place is free when its last word is read;
//   keep = 0: its place is free in the next cycle, whatever waits before it, also when some of its
//             words are still to come: they are skipped as they arrive.
// A verdict is taken as soon as its frame has begun, never later because of a frame that is being
// forwarded; a drop also before that, while no place is free and all earlier words have arrived.
// Latency: keep to first word 2 cycles, a word that is forwarded as it arrives 2 cycles; word to
// word 1 cycle, also from frame to frame. Full means backpressure (s_ready low before a frame's
// first word), never loss. The memory has a synchronous read port that never reads what is being
// written; its output register is the output register of the block. On stall m holds.
// Reset: empty.
`default_nettype none

module ex_frame_buffer #(
    parameter int WIDTH = 8,   // bits a word
    parameter int FRAME = 16,  // words a frame
    parameter int DEPTH = 64   // words of memory, a multiple of FRAME
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             s_valid,
    output wire             s_ready,
    input  wire [WIDTH-1:0] s_data,
    input  wire             decide_valid,
    output wire             decide_ready,
    input  wire             decide_keep,
    output wire             m_valid,
    input  wire             m_ready,
    output wire [WIDTH-1:0] m_data
);
  localparam int PLACES = DEPTH / FRAME;
  localparam int PLACE_BITS = PLACES > 1 ? $clog2(PLACES) : 1;
  localparam int COUNT_BITS = $clog2(PLACES + 1);
  localparam int WORD_BITS = FRAME > 1 ? $clog2(FRAME) : 1;
  // a place begins where its number ends the address, if that leaves no more than a quarter unused
  localparam int SPAN = 4 * FRAME >= 3 << WORD_BITS ? 1 << WORD_BITS : FRAME;  // words of a place
  localparam int ADDRESS_BITS = PLACES * SPAN > 1 ? $clog2(PLACES * SPAN) : 1;
  localparam logic [WORD_BITS-1:0] FINAL = WORD_BITS'(FRAME - 1);

  if (WIDTH < 1) begin : g_bad_width
    $error("ex_frame_buffer: WIDTH must be at least 1, is %0d", WIDTH);
  end
  if (FRAME < 1) begin : g_bad_frame
    $error("ex_frame_buffer: FRAME must be at least 1, is %0d", FRAME);
  end
  if (DEPTH < FRAME || DEPTH % FRAME != 0) begin : g_bad_depth
    $error("ex_frame_buffer: DEPTH %0d must be a multiple of FRAME %0d", DEPTH, FRAME);
  end

  (* no_rw_check *) logic [WIDTH-1:0] memory [0:PLACES*SPAN-1];
  logic [WIDTH-1:0]        word_q;
  logic                    word_valid_q;
  logic [WORD_BITS-1:0]    in_q;    // words of the frame on s that have come
  logic [WORD_BITS-1:0]    out_q;   // words of the frame on m that were read
  logic                    skip_q;  // the frame on s was dropped
  // all places in the order of their frames: kept ones, undecided ones, free ones
  logic [PLACES-1:0][PLACE_BITS-1:0] place_q;
  logic [COUNT_BITS-1:0]   kept_q, held_q;  // frames kept; kept or undecided

  wire begun = in_q != '0;
  wire undecided = kept_q != held_q;
  wire alone = held_q == kept_q + 1'b1;           // one frame is undecided
  wire full = held_q == COUNT_BITS'(PLACES);
  wire put = s_valid && s_ready;
  wire whole = put && in_q == FINAL;              // the frame on s is complete
  wire open = put && !begun && !skip_q;           // it takes a place
  wire verdict = decide_valid && decide_ready;
  wire keep = verdict && decide_keep;
  wire drop = verdict && !decide_keep && undecided;
  wire arriving = begun && !skip_q && held_q == COUNT_BITS'(1);  // the oldest frame is still on s
  wire get = kept_q != '0 && !(arriving && out_q == in_q) && (!word_valid_q || m_ready);
  wire leave = get && out_q == FINAL;             // the oldest frame's place becomes free

  assign s_ready = skip_q || begun || !full;
  assign decide_ready = undecided || (!decide_keep && full && !begun && !skip_q);
  assign m_valid = word_valid_q;
  assign m_data = word_q;

  // a place that becomes free goes to the end, those behind it close up
  wire [PLACE_BITS-1:0] dropped = place_q[PLACE_BITS'(kept_q)];
  wire [PLACES+1:0][PLACE_BITS-1:0] places = {dropped, leave ? place_q[0] : dropped, place_q};
  logic [PLACES-1:0][PLACE_BITS-1:0] place_d;
  always_comb begin
    for (int i = 0; i < PLACES; i++) begin
      if (leave && drop && i + 1 >= 32'(kept_q)) place_d[i] = places[i+2];
      else if (leave || (drop && i >= 32'(kept_q))) place_d[i] = places[i+1];
      else place_d[i] = places[i];
    end
  end

  // where the words are: behind the beginning of the frame's place
  wire [PLACE_BITS-1:0] writes = place_q[PLACE_BITS'(held_q - COUNT_BITS'(begun && !skip_q))];
  wire [PLACE_BITS-1:0] reads = place_q[0];
  logic [ADDRESS_BITS-1:0] write, read;
  if (SPAN == FRAME && SPAN != 1 << WORD_BITS) begin : g_close
    logic [ADDRESS_BITS-1:0] write_q, read_q;
    always_comb begin
      write = write_q;
      read = read_q;
      for (int i = 0; i < PLACES; i++) begin
        if (!begun && 32'(writes) == i) write = ADDRESS_BITS'(i * FRAME);
        if (out_q == '0 && 32'(reads) == i) read = ADDRESS_BITS'(i * FRAME);
      end
    end
    always_ff @(posedge clk) begin
      if (put) write_q <= write + 1'b1;
      if (get) read_q <= read + 1'b1;
    end
  end else begin : g_wide
    assign write = ADDRESS_BITS'({writes, in_q});
    assign read = ADDRESS_BITS'({reads, out_q});
  end

  always_ff @(posedge clk) begin
    if (put && !skip_q) memory[write] <= s_data;
    if (get) word_q <= memory[read];
  end

  always_ff @(posedge clk) begin
    if (put) in_q <= whole ? '0 : in_q + 1'b1;
    if (get) out_q <= leave ? '0 : out_q + 1'b1;
    if (get) word_valid_q <= 1'b1;
    else if (m_ready) word_valid_q <= 1'b0;
    if (whole) skip_q <= 1'b0;
    else if (verdict && !decide_keep && (alone ? begun : !undecided)) skip_q <= 1'b1;
    kept_q <= kept_q + COUNT_BITS'(keep) - COUNT_BITS'(leave);
    held_q <= held_q + COUNT_BITS'(open) - COUNT_BITS'(drop) - COUNT_BITS'(leave);
    place_q <= place_d;
    if (rst) begin
      in_q         <= '0;
      out_q        <= '0;
      skip_q       <= 1'b0;
      kept_q       <= '0;
      held_q       <= '0;
      word_valid_q <= 1'b0;
      for (int i = 0; i < PLACES; i++) place_q[i] <= PLACE_BITS'(i);
    end
  end
endmodule

`default_nettype wire
