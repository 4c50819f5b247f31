// ex_packet_rx: packets from the host cut out of a stream of bytes, and checked.
//
// A packet is 0xA5, type, seq, length (2 bytes), payload, CRC-32 over type to payload (4 bytes);
// everything little-endian. Types, with their payload's bytes: 1 IMAGE (IMAGE_BYTES), 2 WRITE (6:
// address, data), 3 READ (2: address), 4 HELLO (0), 5 AGAIN (0), and with MAPS 6 TAKEN (0), 7 MAPS (0).
//
// Bytes outside a packet are skipped. A packet ends with one cycle of m_valid, 2 cycles after its
// last byte: m_reason 0 says that its CRC is right, and m_kind, m_seq, m_address and m_wdata are
// its contents. It ends early with m_valid and another m_reason at an unknown type (3), at a length
// that is not the type's (2), when no byte comes for IDLE cycles (6) and at a byte with a framing
// error (7); a wrong CRC is 1. Behind any end the next 0xA5 is looked for. The fields hold until
// the next byte.
//
// The payload of an IMAGE is passed on before its CRC is known: body_start, then body_valid with
// each byte. Bytes must be at least 4 cycles apart. Reset: the next 0xA5 is looked for.
`default_nettype none

module ex_packet_rx #(
    parameter int IMAGE_BYTES = 64,
    parameter int IDLE = 524288,      // cycles without a byte after which a packet is given up
    parameter bit MAPS = 1'b0         // packets about heat maps are known
) (
    input  wire        clk,
    input  wire        rst,
    input  wire        s_valid,
    input  wire [7:0]  s_data,
    input  wire        s_error,
    output wire        body_start,
    output wire        body_valid,
    output wire [7:0]  body_data,
    output wire        m_valid,
    output wire [2:0]  m_kind,
    output wire [7:0]  m_seq,
    output wire [15:0] m_address,
    output wire [31:0] m_wdata,
    output wire [3:0]  m_reason
);
  localparam logic [7:0] SYNC = 8'ha5;
  localparam logic [2:0] IMAGE = 3'd1;
  localparam logic [2:0] WRITE = 3'd2;
  localparam logic [2:0] READ = 3'd3;
  localparam logic [2:0] LAST_KIND = MAPS ? 3'd7 : 3'd5;
  localparam logic [3:0] GOOD = 4'd0;
  localparam logic [3:0] BAD_CRC = 4'd1;
  localparam logic [3:0] BAD_LENGTH = 4'd2;
  localparam logic [3:0] BAD_TYPE = 4'd3;
  localparam logic [3:0] TIMEOUT = 4'd6;
  localparam logic [3:0] FRAMING = 4'd7;

  if (IMAGE_BYTES < 1 || IMAGE_BYTES > 65535) begin : g_bad_bytes
    $error("ex_packet_rx: IMAGE_BYTES must be 1 to 65535, is %0d", IMAGE_BYTES);
  end
  if (IDLE < 4) begin : g_bad_idle
    $error("ex_packet_rx: IDLE must be at least 4, is %0d", IDLE);
  end

  localparam int IDLE_BITS = $clog2(IDLE + 1);

  typedef enum logic [2:0] {HUNT, KIND, SEQ, LOW, HIGH, BODY, CHECK, DONE} state_t;

  state_t               state_q;
  logic [2:0]           kind_q;
  logic [7:0]           seq_q, low_q, data_q;
  logic [15:0]          left_q;
  logic [47:0]          shift_q;
  logic [IDLE_BITS-1:0] idle_q;
  logic                 valid_q, start_q, body_q;
  logic [3:0]           reason_q;
  logic                 crc_good;
  logic [15:0]          wanted;

  assign m_valid = valid_q;
  assign m_kind = kind_q;
  assign m_seq = seq_q;
  assign m_address = kind_q == READ ? shift_q[47:32] : shift_q[15:0];
  assign m_wdata = shift_q[47:16];
  assign m_reason = reason_q;
  assign body_start = start_q;
  assign body_valid = body_q;
  assign body_data = data_q;

  /* verilator lint_off PINCONNECTEMPTY */  // the value itself is for senders
  ex_crc32 u_crc (
      .clk(clk),
      .rst(state_q == HUNT),
      .s_valid(s_valid && state_q != HUNT && !(state_q == KIND && s_data == SYNC)),
      .s_data(s_data),
      .crc(),
      .good(crc_good)
  );
  /* verilator lint_on PINCONNECTEMPTY */

  always_comb begin
    wanted = '0;
    if (kind_q == IMAGE) wanted = 16'(IMAGE_BYTES);
    if (kind_q == WRITE) wanted = 16'd6;
    if (kind_q == READ) wanted = 16'd2;
  end

  always_ff @(posedge clk) begin
    valid_q <= 1'b0;
    start_q <= 1'b0;
    body_q  <= 1'b0;
    data_q  <= s_data;
    idle_q  <= s_valid || state_q == HUNT ? '0 : idle_q + 1'b1;
    if (s_valid) begin
      unique case (state_q)
        HUNT: if (s_data == SYNC) state_q <= KIND;
        KIND: begin
          kind_q  <= s_data[2:0];
          state_q <= SEQ;
          if (s_data == SYNC) begin
            state_q <= KIND;
          end else if (s_data == '0 || s_data > 8'(LAST_KIND)) begin
            state_q  <= HUNT;
            valid_q  <= 1'b1;
            reason_q <= BAD_TYPE;
          end
        end
        SEQ: begin
          seq_q   <= s_data;
          state_q <= LOW;
        end
        LOW: begin
          low_q   <= s_data;
          state_q <= HIGH;
        end
        HIGH: begin
          left_q  <= wanted == '0 ? 16'd4 : wanted;
          state_q <= wanted == '0 ? CHECK : BODY;
          start_q <= kind_q == IMAGE;
          if ({s_data, low_q} != wanted) begin
            state_q  <= HUNT;
            start_q  <= 1'b0;
            valid_q  <= 1'b1;
            reason_q <= BAD_LENGTH;
          end
        end
        BODY: begin
          shift_q <= {s_data, shift_q[47:8]};
          body_q  <= kind_q == IMAGE;
          left_q  <= left_q - 1'b1;
          if (left_q == 16'd1) begin
            left_q  <= 16'd4;
            state_q <= CHECK;
          end
        end
        CHECK: begin
          left_q <= left_q - 1'b1;
          if (left_q == 16'd1) state_q <= DONE;
        end
        default: state_q <= HUNT;
      endcase
    end else if (state_q == DONE) begin
      state_q  <= HUNT;
      valid_q  <= 1'b1;
      reason_q <= crc_good ? GOOD : BAD_CRC;
    end else if (state_q != HUNT && (s_error || idle_q == IDLE_BITS'(IDLE))) begin
      state_q  <= HUNT;
      valid_q  <= 1'b1;
      reason_q <= s_error ? FRAMING : TIMEOUT;
    end
    if (rst) begin
      state_q <= HUNT;
      valid_q <= 1'b0;
      start_q <= 1'b0;
      body_q  <= 1'b0;
    end
  end
endmodule

`default_nettype wire
