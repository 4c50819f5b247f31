// ex_frame_buffer: holds a segment's output until the frame's verdict is known.
//
// s: frames of FRAME words, one behind the other. decide: one verdict per frame, in order.
//   keep = 1: the frame's words leave on m, one a cycle, as far as they have arrived;
//   keep = 0: the read pointer moves over the frame in that one cycle, also when some of its words
//             are still to come: the signed occupancy then is below zero by as many, and they are
//             skipped as they arrive.
// A verdict is taken when all words skipped earlier have arrived, and while no kept frame is being
// forwarded or its last word is being read. Latency: keep to first word 2 cycles, a word that is
// forwarded as it arrives 2 cycles; word to word 1 cycle, also from frame to frame.
// Full means backpressure (s_ready low), never loss. The memory has a synchronous read port; its
// output register is the output register of the block. On stall m holds. Reset: empty.
`default_nettype none

module ex_frame_buffer #(
    parameter int WIDTH = 8,   // bits a word
    parameter int FRAME = 16,  // words a frame
    parameter int DEPTH = 64   // words of memory, at least FRAME
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
  localparam int ADDRESS_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;
  localparam int COUNT_BITS = $clog2(DEPTH + 1) + 1;  // signed, -FRAME .. DEPTH
  localparam int LEFT_BITS = $clog2(FRAME + 1);
  localparam logic [ADDRESS_BITS-1:0] TOP = ADDRESS_BITS'(DEPTH - 1);
  localparam logic [COUNT_BITS-1:0] FULL = COUNT_BITS'(DEPTH);
  localparam logic [ADDRESS_BITS:0] SIZE = (ADDRESS_BITS + 1)'(DEPTH);
  localparam logic [ADDRESS_BITS:0] STEP = (ADDRESS_BITS + 1)'(FRAME);

  if (WIDTH < 1) begin : g_bad_width
    $error("ex_frame_buffer: WIDTH must be at least 1, is %0d", WIDTH);
  end
  if (FRAME < 1) begin : g_bad_frame
    $error("ex_frame_buffer: FRAME must be at least 1, is %0d", FRAME);
  end
  if (DEPTH < FRAME) begin : g_bad_depth
    $error("ex_frame_buffer: DEPTH %0d must be at least FRAME %0d", DEPTH, FRAME);
  end

  logic [WIDTH-1:0]        memory [0:DEPTH-1];
  logic [WIDTH-1:0]        word_q;
  logic                    word_valid_q;
  logic [ADDRESS_BITS-1:0] write_q, read_q;
  logic [COUNT_BITS-1:0]   count_q;  // words written - words read or skipped, signed
  logic [LEFT_BITS-1:0]    left_q;   // words of the kept frame still to be read

  wire below = count_q[COUNT_BITS-1];
  wire any = !below && count_q != '0;
  wire idle = left_q == '0;
  wire put = s_valid && s_ready;
  wire get = !idle && any && (!word_valid_q || m_ready);
  wire verdict = decide_valid && decide_ready;
  wire skip = verdict && !decide_keep;

  assign s_ready = count_q != FULL;
  assign decide_ready = (idle || (get && left_q == LEFT_BITS'(1))) && !below;
  assign m_valid = word_valid_q;
  assign m_data = word_q;

  // the read pointer moves by one (a read), by FRAME (a skip) or by both
  logic [ADDRESS_BITS-1:0] next;
  logic [ADDRESS_BITS:0]   far;
  logic [ADDRESS_BITS-1:0] read_d;
  always_comb begin
    next = read_q;
    if (get) next = read_q == TOP ? '0 : read_q + 1'b1;
    far = {1'b0, next} + STEP;
    if (far >= SIZE) far = far - SIZE;
    read_d = skip ? far[ADDRESS_BITS-1:0] : next;
  end

  always_ff @(posedge clk) begin
    if (put) memory[write_q] <= s_data;
    if (get) word_q <= memory[read_q];
  end

  always_ff @(posedge clk) begin
    if (put) write_q <= write_q == TOP ? '0 : write_q + 1'b1;
    read_q  <= read_d;
    count_q <= count_q + COUNT_BITS'(put) - COUNT_BITS'(get) - (skip ? COUNT_BITS'(FRAME) : '0);
    if (get) word_valid_q <= 1'b1;
    else if (m_ready) word_valid_q <= 1'b0;
    if (get) left_q <= left_q - 1'b1;
    if (verdict && decide_keep) left_q <= LEFT_BITS'(FRAME);
    if (rst) begin
      write_q      <= '0;
      read_q       <= '0;
      count_q      <= '0;
      left_q       <= '0;
      word_valid_q <= 1'b0;
    end
  end

  wire unused = far[ADDRESS_BITS];
endmodule

`default_nettype wire
