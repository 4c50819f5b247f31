// ex_frame_store: frames that come byte by byte, held back until somebody says that they are whole.
//
// A frame is FRAME beats of WIDTH bits, each sent as ceil(WIDTH / 8) bytes, lowest first. start
// begins a frame, over the one that was begun before and not committed; s_valid brings a byte,
// at most every second cycle; whole says that all its bytes are stored, and commit, while whole,
// adds it to those to be given. With STORE frames stored, or when one too many is started, its
// bytes are ignored and whole stays low.
//
// Committed frames leave in order, one beat a cycle, m_last with the last beat of each, the first
// one 1 cycle after commit. A frame's place is free once its last beat is in the output register.
// flush and reset forget everything.
`default_nettype none

module ex_frame_store #(
    parameter int WIDTH = 8,  // bits a beat
    parameter int FRAME = 64, // beats a frame
    parameter int STORE = 2   // frames
) (
    input  wire             clk,
    input  wire             rst,
    input  wire             flush,
    input  wire             start,
    input  wire             s_valid,
    input  wire [7:0]       s_data,
    output wire             whole,
    input  wire             commit,
    output wire             m_valid,
    input  wire             m_ready,
    output wire [WIDTH-1:0] m_data,
    output wire             m_last
);
  if (WIDTH < 1) begin : g_bad_width
    $error("ex_frame_store: WIDTH must be at least 1, is %0d", WIDTH);
  end
  if (FRAME < 1) begin : g_bad_frame
    $error("ex_frame_store: FRAME must be at least 1, is %0d", FRAME);
  end
  if (STORE < 1) begin : g_bad_store
    $error("ex_frame_store: STORE must be at least 1, is %0d", STORE);
  end

  localparam int BYTES = (WIDTH + 7) / 8;
  localparam int WORDS = STORE * FRAME;
  localparam int ADDRESS_BITS = WORDS > 1 ? $clog2(WORDS) : 1;
  localparam int BEAT_BITS = $clog2(FRAME + 1);
  localparam int BYTE_BITS = $clog2(BYTES + 1);
  localparam int COUNT_BITS = $clog2(STORE + 1);
  localparam logic [ADDRESS_BITS-1:0] TOP = ADDRESS_BITS'(WORDS - 1);

  (* ram_style = "block" *) logic [WIDTH-1:0] memory [0:WORDS-1];
  logic [8*BYTES-1:0]      shift_q;
  logic [BYTE_BITS-1:0]    byte_q;      // of the beat that comes, still to come
  logic [BEAT_BITS-1:0]    beat_q;      // of the frame that comes, still to come
  logic [ADDRESS_BITS-1:0] begin_q, write_q, read_q;
  logic                    open_q, put_q;
  logic [COUNT_BITS-1:0]   count_q;     // frames committed whose last beat has not been read
  logic [BEAT_BITS-1:0]    left_q;      // of the frame that leaves, still to be read
  logic                    valid_q, last_q;
  logic [WIDTH-1:0]        data_q;

  wire get = count_q != '0 && (!valid_q || m_ready);
  wire last = left_q == BEAT_BITS'(1);
  wire done = get && last;
  wire add = commit && whole;

  assign whole = open_q && beat_q == '0;
  assign m_valid = valid_q;
  assign m_data = data_q;
  assign m_last = last_q;

  always_ff @(posedge clk) begin
    if (put_q) memory[write_q] <= shift_q[WIDTH-1:0];
    if (get) data_q <= memory[read_q];
  end

  always_ff @(posedge clk) begin
    put_q <= 1'b0;
    if (put_q) begin
      write_q <= write_q == TOP ? '0 : write_q + 1'b1;
      beat_q  <= beat_q - 1'b1;
    end
    if (s_valid && open_q && beat_q != '0) begin
      shift_q <= (8 * BYTES)'({s_data, shift_q} >> 8);
      byte_q  <= byte_q == BYTE_BITS'(1) ? BYTE_BITS'(BYTES) : byte_q - 1'b1;
      put_q   <= byte_q == BYTE_BITS'(1);
    end
    if (start) begin
      open_q  <= count_q != COUNT_BITS'(STORE);
      write_q <= begin_q;
      byte_q  <= BYTE_BITS'(BYTES);
      beat_q  <= BEAT_BITS'(FRAME);
    end
    if (add) begin
      open_q  <= 1'b0;
      begin_q <= write_q;
    end

    if (get) begin
      read_q <= read_q == TOP ? '0 : read_q + 1'b1;
      left_q <= last ? BEAT_BITS'(FRAME) : left_q - 1'b1;
      last_q <= last;
    end
    if (get) valid_q <= 1'b1;
    else if (m_ready) valid_q <= 1'b0;
    count_q <= count_q + COUNT_BITS'(add) - COUNT_BITS'(done);
    if (rst || flush) begin
      put_q   <= 1'b0;
      open_q  <= 1'b0;
      begin_q <= '0;
      write_q <= '0;
      read_q  <= '0;
      count_q <= '0;
      left_q  <= BEAT_BITS'(FRAME);
      valid_q <= 1'b0;
    end
  end
  if (8 * BYTES > WIDTH) begin : g_padding
    wire unused_padding = &shift_q[8*BYTES-1:WIDTH];
  end
endmodule

`default_nettype wire
