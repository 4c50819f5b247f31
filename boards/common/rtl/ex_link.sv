// ex_link: what becomes of a packet from the host: order, registers, answers.
//
// p_* is a packet of ex_packet_rx, its end in the cycle of p_valid, at most every 8th cycle.
// IMAGE and WRITE take effect exactly once and in the order of their seq: with seq = expected, an
// IMAGE is committed if store_whole, a WRITE sets reg_write for one cycle, expected moves on, the
// answer is ACK seq; an IMAGE without room is answered NAK 5. One of the 128 numbers before
// expected was accepted already: ACK seq, no effect. Any other number: NAK 4. HELLO sets expected to
// seq + 1 and hello in that cycle, and is answered HELLO; READ is answered DATA with what the
// register shows. AGAIN sets again, in that cycle, and has no answer if again_seq is known, the
// number of a result that the ring has for this host; otherwise it has no effect: NAK 9. TAKEN sets
// map_taken, MAPS that and map_again, in that cycle; they have no answer if again_seq is known to the
// ring of heat maps, map_known, and otherwise no effect: NAK 10. Before the first HELLO, IMAGE,
// WRITE, AGAIN, TAKEN and MAPS are answered NAK 8.
// A packet that was damaged (p_reason) is answered NAK p_reason. A NAK bears expected as its seq.
// After a NAK further ones with reasons other than 5 are held back until a packet has been accepted
// or answered otherwise, so that one loss asks once for what is missing. A packet that comes while
// an answer is waiting for room has no effect and no answer, as if it had been lost.
//
// A WRITE with bit 0 of address A_CONTROL, the soft reset, also sets flush for FLUSH cycles, from
// the one behind reg_write on; the ring takes what the core has on offer meanwhile.
// Addresses from 2**ADDRESS_BITS on read zero and ignore writes.
// Reset: no HELLO yet, no answer waiting.
`default_nettype none

module ex_link #(
    parameter int ADDRESS_BITS = 12,
    parameter logic [15:0] A_CONTROL = 16'd12,  // byte address of the control register
    parameter int FLUSH = 32                    // cycles; the core resets itself in 16
) (
    input  wire                    clk,
    input  wire                    rst,
    input  wire                    p_valid,
    input  wire [2:0]              p_kind,
    input  wire [7:0]              p_seq,
    input  wire [15:0]             p_address,
    input  wire [31:0]             p_wdata,
    input  wire [3:0]              p_reason,
    input  wire                    store_whole,
    output wire                    store_commit,
    output wire                    flush,
    output wire                    reg_write,
    output wire [ADDRESS_BITS-1:0] reg_address,
    output wire [31:0]             reg_wdata,
    input  wire [31:0]             reg_rdata,
    output wire                    hello,
    output wire                    again,
    output wire [7:0]              again_seq,
    input  wire                    known,
    input  wire [7:0]              next,        // number of the next result
    output wire                    map_taken,
    output wire                    map_again,
    input  wire                    map_known,
    output wire                    a_valid,
    input  wire                    a_ready,
    output wire [1:0]              a_kind,
    output wire [7:0]              a_seq,
    output wire [47:0]             a_body,
    output wire                    ev_nak
);
  localparam logic [2:0] IMAGE = 3'd1;
  localparam logic [2:0] WRITE = 3'd2;
  localparam logic [2:0] READ = 3'd3;
  localparam logic [2:0] HELLO = 3'd4;
  localparam logic [2:0] AGAIN = 3'd5;
  localparam logic [2:0] MAPS = 3'd7;
  localparam logic [1:0] A_NAK = 2'd0;
  localparam logic [1:0] A_ACK = 2'd1;
  localparam logic [1:0] A_DATA = 2'd2;
  localparam logic [1:0] A_HELLO = 2'd3;
  localparam logic [3:0] GOOD = 4'd0;
  localparam logic [3:0] ORDER = 4'd4;
  localparam logic [3:0] ROOM = 4'd5;
  localparam logic [3:0] NO_HELLO = 4'd8;
  localparam logic [3:0] NO_RESULT = 4'd9;
  localparam logic [3:0] NO_MAP = 4'd10;

  if (ADDRESS_BITS < 3 || ADDRESS_BITS > 16) begin : g_bad_address
    $error("ex_link: ADDRESS_BITS must be 3 to 16, is %0d", ADDRESS_BITS);
  end
  if (FLUSH < 1) begin : g_bad_flush
    $error("ex_link: FLUSH must be at least 1, is %0d", FLUSH);
  end

  localparam int FLUSH_BITS = $clog2(FLUSH + 1);

  logic                  open_q;      // there was a HELLO
  logic                  held_q;      // a NAK was sent and nothing was accepted since
  logic [7:0]            expected_q;
  logic [15:0]           address_q;
  logic [31:0]           wdata_q;
  logic                  write_q, commit_q, nak_q;
  logic [2:0]            read_q;      // cycles since a READ
  logic [FLUSH_BITS-1:0] flush_q;
  logic                  valid_q;
  logic [1:0]            kind_q;
  logic [7:0]            seq_q;
  logic [47:0]           body_q;

  logic       accept, answer;
  logic [1:0] kind;
  logic [7:0] seq;
  logic [3:0] reason;

  wire [7:0] ahead = p_seq - expected_q;
  wire busy = valid_q || read_q != '0;
  wire ours = {16'd0, address_q} >> ADDRESS_BITS == 0;

  assign store_commit = commit_q;
  assign flush = flush_q != '0;
  assign reg_write = write_q && ours;
  assign reg_address = address_q[ADDRESS_BITS-1:0];
  assign reg_wdata = wdata_q;
  assign hello = good && p_kind == HELLO;
  assign again = good && open_q && p_kind == AGAIN;
  assign again_seq = p_seq;
  assign map_taken = good && open_q && p_kind > AGAIN;
  assign map_again = good && open_q && p_kind == MAPS;
  assign a_valid = valid_q;
  assign a_kind = kind_q;
  assign a_seq = seq_q;
  assign a_body = body_q;
  assign ev_nak = nak_q;

  // what the packet that has just ended is worth
  always_comb begin
    accept = 1'b0;
    answer = 1'b1;
    kind   = A_NAK;
    seq    = expected_q;
    reason = p_reason;
    if (p_reason == GOOD) begin
      unique case (p_kind)
        IMAGE, WRITE: begin
          if (!open_q) begin
            reason = NO_HELLO;
          end else if (ahead == '0 && p_kind == IMAGE && !store_whole) begin
            reason = ROOM;
          end else if (ahead == '0) begin
            accept = 1'b1;
            kind   = A_ACK;
            seq    = p_seq;
          end else if (ahead[7]) begin
            kind = A_ACK;
            seq  = p_seq;
          end else begin
            reason = ORDER;
          end
        end
        READ: begin
          answer = 1'b0;  // once the register has been read
          seq    = p_seq;
          kind   = A_DATA;
        end
        HELLO: begin
          seq  = p_seq;
          kind = A_HELLO;
        end
        default: begin
          if (!open_q) begin
            reason = NO_HELLO;
          end else if (p_kind == AGAIN && !known) begin
            reason = NO_RESULT;
          end else if (p_kind != AGAIN && !map_known) begin
            reason = NO_MAP;
          end else begin
            answer = 1'b0;
            kind   = A_ACK;
          end
        end
      endcase
    end
    if (kind == A_NAK && held_q && reason != ROOM) answer = 1'b0;
  end

  wire take = p_valid && !busy;
  wire good = take && p_reason == GOOD;

  always_ff @(posedge clk) begin
    write_q  <= 1'b0;
    commit_q <= 1'b0;
    nak_q    <= take && kind == A_NAK;
    read_q   <= {read_q[1:0], good && p_kind == READ};
    if (a_ready) valid_q <= 1'b0;
    if (take) begin
      address_q   <= p_address;
      wdata_q     <= p_wdata;
      kind_q      <= kind;
      seq_q       <= seq;
      body_q      <= {40'd0, kind == A_HELLO ? next : {4'd0, reason}};
      valid_q     <= answer;
      held_q      <= kind == A_NAK;
    end
    if (good && p_kind == HELLO) begin
      open_q     <= 1'b1;
      expected_q <= p_seq + 1'b1;
    end
    if (good && accept) begin
      expected_q <= expected_q + 1'b1;
      commit_q   <= p_kind == IMAGE;
      write_q    <= p_kind == WRITE;
    end
    if ((again && known) || (map_taken && map_known)) held_q <= held_q;
    if (read_q[2]) begin
      valid_q <= 1'b1;
      body_q  <= {ours ? reg_rdata : 32'd0, address_q};
    end
    flush_q <= flush_q == '0 ? '0 : flush_q - 1'b1;
    if (reg_write && address_q == A_CONTROL && wdata_q[0]) flush_q <= FLUSH_BITS'(FLUSH);
    if (rst) begin
      open_q     <= 1'b0;
      held_q     <= 1'b0;
      expected_q <= '0;
      write_q    <= 1'b0;
      commit_q   <= 1'b0;
      nak_q      <= 1'b0;
      read_q     <= '0;
      flush_q    <= '0;
      valid_q    <= 1'b0;
    end
  end
endmodule

`default_nettype wire
