// ex_packet_tx: answers, results and pieces of heat maps as packets of bytes, in turn where they wait.
//
// A packet is 0xA5, type, seq, length (2 bytes), payload, CRC-32 over type to payload (4 bytes);
// everything little-endian. An answer of kind 1 ACK (0x81), 2 DATA (0x82, payload address and
// data), 3 HELLO (0x83, payload VERSION, STORE, IMAGE_BYTES (2 bytes), next, BEAT_BYTES), 0 NAK
// (0x8F, payload reason) is taken when its packet begins; so is a result (0x84), whose 16 payload
// bytes are then read by r_index, one cycle ahead of r_data, and so is a piece of a map (0x85, or
// 0x86 with p_end), whose 16 are read by r_index from p_data. Those that wait take turns, answer,
// result, piece, so that none holds another one up for longer than two packets. m_* is a stream of at
// most one byte in 4 cycles. Reset: the packet being sent is cut off.
`default_nettype none

module ex_packet_tx #(
    parameter int IMAGE_BYTES = 64,
    parameter int BEAT_BYTES = 1,
    parameter int STORE = 2,
    parameter int VERSION = 1
) (
    input  wire        clk,
    input  wire        rst,
    input  wire        a_valid,
    output wire        a_ready,
    input  wire [1:0]  a_kind,
    input  wire [7:0]  a_seq,
    input  wire [47:0] a_body,   // DATA: {data, address}; NAK: reason; HELLO: next; low bits
    input  wire        r_valid,
    output wire        r_take,
    input  wire [7:0]  r_seq,
    output wire [3:0]  r_index,
    input  wire [7:0]  r_data,
    input  wire        p_valid,
    output wire        p_take,
    input  wire [7:0]  p_seq,
    input  wire        p_end,
    input  wire [7:0]  p_data,
    output wire        m_valid,
    input  wire        m_ready,
    output wire [7:0]  m_data
);
  localparam logic [1:0] NAK = 2'd0;
  localparam logic [1:0] DATA = 2'd2;
  localparam logic [1:0] HELLO = 2'd3;

  if (STORE < 1 || STORE > 255) begin : g_bad_store
    $error("ex_packet_tx: STORE must be 1 to 255, is %0d", STORE);
  end

  if (BEAT_BYTES < 1 || BEAT_BYTES > 255) begin : g_bad_beat
    $error("ex_packet_tx: BEAT_BYTES must be 1 to 255, is %0d", BEAT_BYTES);
  end

  typedef enum logic [2:0] {IDLE, SYNC, TYPE, SEQ, LOW, HIGH, BODY, CHECK} state_t;

  state_t      state_q;
  logic        result_q;   // the packet is a result; the last one was
  logic        piece_q;    // or a piece of a map
  logic [7:0]  type_q, seq_q;
  logic [4:0]  length_q;
  logic [3:0]  index_q;
  logic [47:0] body_q;
  logic        ready_q;    // m_data is the byte of this state
  logic [7:0]  data_q;
  logic [7:0]  given_q;    // what a ring gave, late in the cycle where it is a block of memory

  wire idle = state_q == IDLE;
  wire begin_result = idle && r_valid && !(result_q && (p_valid || a_valid)) && !(piece_q && a_valid);
  wire begin_piece = idle && p_valid && !begin_result && !(piece_q && a_valid);
  wire begin_answer = idle && a_valid && !begin_result && !begin_piece;
  wire step = m_valid && m_ready;
  wire last_body = index_q == 4'(length_q - 5'd1);
  wire last_check = index_q[1:0] == 2'd3;
  wire [31:0] crc;

  assign r_take = begin_result;
  assign p_take = begin_piece;
  assign a_ready = begin_answer;
  assign r_index = index_q;
  assign m_valid = ready_q;
  assign m_data = data_q;

  /* verilator lint_off PINCONNECTEMPTY */  // whether it is good is for receivers
  ex_crc32 u_crc (
      .clk(clk),
      .rst(state_q == SYNC),
      .s_valid(step && state_q != SYNC && state_q != CHECK),
      .s_data(data_q),
      .crc(crc),
      .good()
  );
  /* verilator lint_on PINCONNECTEMPTY */

  logic [7:0] byte_d;
  always_comb begin
    byte_d = 8'ha5;
    unique case (state_q)
      TYPE: byte_d = !piece_q ? type_q : p_end ? 8'h86 : 8'h85;
      SEQ: byte_d = seq_q;
      LOW: byte_d = 8'(length_q);
      HIGH: byte_d = '0;
      BODY: byte_d = result_q || piece_q ? given_q : body_q[7:0];
      CHECK: byte_d = crc[8*index_q[1:0]+:8];
      default: byte_d = 8'ha5;
    endcase
  end

  // a byte is chosen in the third cycle of its state, when the ring has answered
  logic [1:0] wait_q;
  always_ff @(posedge clk) begin
    given_q <= result_q ? r_data : p_data;
    wait_q <= wait_q >> 1;
    if (state_q != IDLE && wait_q == '0 && !ready_q) begin
      data_q  <= byte_d;
      ready_q <= 1'b1;
    end
    if (step) begin
      ready_q <= 1'b0;
      wait_q  <= 2'd2;
      index_q <= '0;
      unique case (state_q)
        SYNC: state_q <= TYPE;
        TYPE: state_q <= SEQ;
        SEQ: state_q <= LOW;
        LOW: state_q <= HIGH;
        HIGH: state_q <= length_q == '0 ? CHECK : BODY;
        BODY: begin
          body_q  <= {8'h00, body_q[47:8]};
          index_q <= last_body ? '0 : index_q + 1'b1;
          if (last_body) state_q <= CHECK;
        end
        default: begin
          index_q <= index_q + 1'b1;
          if (last_check) state_q <= IDLE;
        end
      endcase
    end
    if (begin_result || begin_piece) begin
      state_q  <= SYNC;
      result_q <= begin_result;
      piece_q  <= begin_piece;
      type_q   <= 8'h84;
      seq_q    <= begin_result ? r_seq : p_seq;
      length_q <= 5'd16;
    end
    if (begin_answer) begin
      state_q  <= SYNC;
      result_q <= 1'b0;
      piece_q  <= 1'b0;
      seq_q    <= a_seq;
      body_q   <= a_body;
      unique case (a_kind)
        NAK: begin
          type_q   <= 8'h8f;
          length_q <= 5'd1;
        end
        DATA: begin
          type_q   <= 8'h82;
          length_q <= 5'd6;
        end
        HELLO: begin
          type_q   <= 8'h83;
          length_q <= 5'd6;
          body_q   <= {8'(BEAT_BYTES), a_body[7:0], 16'(IMAGE_BYTES), 8'(STORE), 8'(VERSION)};
        end
        default: begin
          type_q   <= 8'h81;
          length_q <= 5'd0;
        end
      endcase
    end
    if (rst) begin
      state_q  <= IDLE;
      ready_q  <= 1'b0;
      wait_q   <= '0;
      index_q  <= '0;
      result_q <= 1'b0;
      piece_q  <= 1'b0;
    end
  end
endmodule

`default_nettype wire
