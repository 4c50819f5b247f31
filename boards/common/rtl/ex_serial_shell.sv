// ex_serial_shell: exeunt_core behind two serial pins.
//
// rx and tx carry bytes, 8N1, lowest bit first, DIVISOR cycles a bit. A packet is 0xA5, type u8,
// seq u8, length of the payload u16, payload, CRC-32 (zlib's) u32 over type to payload, everything
// little-endian. python/exeunt/runtime/framing.py is the same in Python and says how a host makes
// a lossless link of it.
//
//   to the device                             from the device
//   0x01 IMAGE  one frame's bytes             0x81 ACK    empty, seq of the IMAGE or WRITE
//   0x02 WRITE  address u16, data u32         0x82 DATA   address u16, data u32, seq of the READ
//   0x03 READ   address u16                   0x83 HELLO  version u8, STORE u8, bytes a frame u16,
//   0x04 HELLO  empty                                     number of the next result u8,
//   0x05 AGAIN  empty, seq a result's number              bytes a beat u8
//   0x06 TAKEN  empty, seq a piece's number   0x84 RESULT a result, or a beat of logits, 16 bytes;
//   0x07 MAPS   the same                                  seq is its number, modulo 256
//                                             0x85 MAP    16 bytes of the packet of a heat map;
//                                                         seq is its number, modulo 256
//                                             0x86 MAP    the last ones of a packet
//                                             0x8F NAK    reason u8, seq is the one expected
//
// With EX_MAPS the core has a stream of heat maps: it is sent in pieces, each of which is kept until
// TAKEN or MAPS says that the host has it (ex_map_ring). Without, 0x06 and 0x07 are unknown.
//
// A frame is stored whole, and its CRC checked, before its first beat enters the core; a frame is
// FRAME beats of ceil(WIDTH / 8) bytes. IMAGE and WRITE are accepted exactly once and in order
// (ex_link); a WRITE acts at once, also on frames stored and not yet in the core. The last 256
// results are kept and those since the last HELLO or soft reset are sent again on AGAIN
// (ex_result_ring), so that the host can have each exactly once too. Answers, results and pieces take turns on tx; a core whose results cannot leave is held up, and
// an IMAGE that finds no room is refused; maps that cannot leave hold nothing else up. A soft reset
// of the core empties store and rings as well.
// Half a packet is dropped after IDLE_BITS bit times without a byte (ex_packet_rx).
// led, long enough to be seen: 0 out of reset, 1 a byte came, 2 a byte goes, 3 the core takes a
// frame, 4 a packet was refused, 5 to 7 a frame leaves at exit 0, 1, a later one. Reset: everything
// forgotten; the host must say HELLO again.
`default_nettype none

module ex_serial_shell #(
    parameter int DIVISOR = 16,                // cycles a bit
    parameter int WIDTH = 8,                   // bits a beat of the core's input
    parameter int FRAME = 64,                  // beats a frame
    parameter int EXITS = 3,
    parameter logic [15:0] A_CONTROL = 16'd12, // byte address of the register control
    parameter int STORE = 2,                   // frames stored
    parameter int IDLE_BITS = 32768,           // bit times
    parameter int HOLD_BITS = 20               // log2 of the cycles an event is shown
) (
    input  wire       clk,
    input  wire       rst,
    input  wire       rx,
    output wire       tx,
    output wire [7:0] led
);
  localparam int ADDRESS_BITS = 12;
  localparam int BEAT_BYTES = (WIDTH + 7) / 8;
  localparam int IMAGE_BYTES = FRAME * BEAT_BYTES;
`ifdef EX_MAPS
  localparam bit MAPS = 1'b1;
`else
  localparam bit MAPS = 1'b0;
`endif

  if (EXITS < 1) begin : g_bad_exits
    $error("ex_serial_shell: EXITS must be at least 1, is %0d", EXITS);
  end

  wire       in_valid, in_error;
  wire [7:0] in_data;
  ex_uart_rx #(.DIVISOR(DIVISOR)) u_uart_rx (
      .clk(clk), .rst(rst), .rx(rx),
      .m_valid(in_valid), .m_data(in_data), .m_error(in_error)
  );

  wire        body_start, body_valid, p_valid;
  wire [7:0]  body_data, p_seq;
  wire [2:0]  p_kind;
  wire [15:0] p_address;
  wire [31:0] p_wdata;
  wire [3:0]  p_reason;
  ex_packet_rx #(
      .IMAGE_BYTES(IMAGE_BYTES), .IDLE(IDLE_BITS * DIVISOR), .MAPS(MAPS)
  ) u_packet_rx (
      .clk(clk), .rst(rst),
      .s_valid(in_valid), .s_data(in_data), .s_error(in_error),
      .body_start(body_start), .body_valid(body_valid), .body_data(body_data),
      .m_valid(p_valid), .m_kind(p_kind), .m_seq(p_seq),
      .m_address(p_address), .m_wdata(p_wdata), .m_reason(p_reason)
  );

  wire                    whole, commit, flush, reg_write, hello, again, known, ev_nak;
  wire                    map_taken, map_again, map_known;
  wire [ADDRESS_BITS-1:0] reg_address;
  wire [31:0]             reg_wdata, reg_rdata;
  wire [7:0]              again_seq, next;
  wire                    say_valid, say_ready;
  wire [1:0]              say_kind;
  wire [7:0]              say_seq;
  wire [47:0]             say_body;
  ex_link #(.ADDRESS_BITS(ADDRESS_BITS), .A_CONTROL(A_CONTROL)) u_link (
      .clk(clk), .rst(rst),
      .p_valid(p_valid), .p_kind(p_kind), .p_seq(p_seq),
      .p_address(p_address), .p_wdata(p_wdata), .p_reason(p_reason),
      .store_whole(whole), .store_commit(commit), .flush(flush),
      .reg_write(reg_write), .reg_address(reg_address),
      .reg_wdata(reg_wdata), .reg_rdata(reg_rdata),
      .hello(hello), .again(again), .again_seq(again_seq), .known(known), .next(next),
      .map_taken(map_taken), .map_again(map_again), .map_known(map_known),
      .a_valid(say_valid), .a_ready(say_ready),
      .a_kind(say_kind), .a_seq(say_seq), .a_body(say_body),
      .ev_nak(ev_nak)
  );

  wire             frame_valid, frame_ready, frame_last;
  wire [WIDTH-1:0] frame_data;
  ex_frame_store #(.WIDTH(WIDTH), .FRAME(FRAME), .STORE(STORE)) u_store (
      .clk(clk), .rst(rst), .flush(flush),
      .start(body_start), .s_valid(body_valid), .s_data(body_data),
      .whole(whole), .commit(commit),
      .m_valid(frame_valid), .m_ready(frame_ready), .m_data(frame_data), .m_last(frame_last)
  );

  wire             core_valid, core_ready, core_last, ev_accept;
  wire [127:0]     core_data;
  wire [EXITS-1:0] ev_decide, ev_take;
`ifdef EX_MAPS
  wire        map_valid, map_ready, map_last;
  wire [31:0] map_data;
`endif
  exeunt_core u_core (
      .clk(clk), .rst(rst),
      .s_valid(frame_valid), .s_ready(frame_ready), .s_data(frame_data), .s_last(frame_last),
      .m_valid(core_valid), .m_ready(core_ready), .m_data(core_data), .m_last(core_last),
      .reg_write(reg_write), .reg_address(reg_address),
      .reg_wdata(reg_wdata), .reg_rdata(reg_rdata),
`ifdef EX_MAPS
      .map_valid(map_valid), .map_ready(map_ready), .map_data(map_data), .map_last(map_last),
`endif
      .ev_accept(ev_accept), .ev_decide(ev_decide), .ev_take(ev_take)
  );

  wire       result_valid, result_take;
  wire [7:0] result_seq, result_byte;
  wire [3:0] result_index;
  ex_result_ring u_ring (
      .clk(clk), .rst(rst), .flush(flush),
      .s_valid(core_valid), .s_ready(core_ready), .s_data(core_data),
      .hello(hello), .again(again), .again_seq(again_seq), .known(known), .next(next),
      .m_valid(result_valid), .m_seq(result_seq), .take(result_take),
      .m_index(result_index), .m_data(result_byte)
  );

  wire       piece_valid, piece_take, piece_end;
  wire [7:0] piece_seq, piece_byte;
`ifdef EX_MAPS
  ex_map_ring u_maps (
      .clk(clk), .rst(rst), .flush(flush),
      .s_valid(map_valid), .s_ready(map_ready), .s_data(map_data), .s_last(map_last),
      .hello(hello), .taken(map_taken), .again(map_again), .seq(again_seq), .known(map_known),
      .m_valid(piece_valid), .m_seq(piece_seq), .m_end(piece_end), .take(piece_take),
      .m_index(result_index), .m_data(piece_byte)
  );
`else
  assign {piece_valid, piece_seq, piece_end, piece_byte, map_known} = '0;
  wire unused_maps = &{1'b0, piece_take, map_taken, map_again};
`endif

  // a second answer may wait while a result is being sent
  wire        answer_valid, answer_ready;
  wire [57:0] answer;
  wire [2:0]  unused_count;
  ex_fifo #(.WIDTH(58), .DEPTH(4)) u_answers (
      .clk(clk), .rst(rst),
      .s_valid(say_valid), .s_ready(say_ready), .s_data({say_kind, say_seq, say_body}),
      .m_valid(answer_valid), .m_ready(answer_ready), .m_data(answer),
      .count(unused_count)
  );

  wire       out_valid, out_ready;
  wire [7:0] out_data;
  ex_packet_tx #(
      .IMAGE_BYTES(IMAGE_BYTES), .BEAT_BYTES(BEAT_BYTES), .STORE(STORE)
  ) u_packet_tx (
      .clk(clk), .rst(rst),
      .a_valid(answer_valid), .a_ready(answer_ready),
      .a_kind(answer[57:56]), .a_seq(answer[55:48]), .a_body(answer[47:0]),
      .r_valid(result_valid), .r_take(result_take), .r_seq(result_seq),
      .r_index(result_index), .r_data(result_byte),
      .p_valid(piece_valid), .p_take(piece_take), .p_seq(piece_seq), .p_end(piece_end),
      .p_data(piece_byte),
      .m_valid(out_valid), .m_ready(out_ready), .m_data(out_data)
  );

  ex_uart_tx #(.DIVISOR(DIVISOR)) u_uart_tx (
      .clk(clk), .rst(rst),
      .s_valid(out_valid), .s_ready(out_ready), .s_data(out_data), .tx(tx)
  );

  wire [EXITS+1:0] takes = {2'b00, ev_take};
  wire [6:0] shown;
  ex_activity #(.N(7), .HOLD_BITS(HOLD_BITS)) u_activity (
      .clk(clk), .rst(rst),
      .s_event({|takes[EXITS+1:2], takes[1:0], ev_nak, ev_accept, out_valid && out_ready, in_valid}),
      .led(shown)
  );
  logic running_q;
  always_ff @(posedge clk) running_q <= !rst;
  assign led = {shown, running_q};

  wire unused = &{1'b0, core_last, ev_decide, unused_count};
endmodule

`default_nettype wire
