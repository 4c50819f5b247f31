// ex_map_ring: heat maps in numbered pieces, each kept until the host has it.
//
// s = words of packets, s_last with the last word of each. A piece is 4 words, the last one of a
// packet is filled up with zeros; it gets the next number, counted modulo 256 from 0 on. m_valid says
// that piece m_seq is to be sent: in the cycle of take it becomes the current one and m_seq moves on.
// m_data is byte m_index of the current one, in the cycle after m_index; m_end says that a packet
// ends with it.
// taken says that the host has every piece before the number seq, again also that it wants those from
// seq on once more. Both count if seq is known: the number of a piece that is kept, or of the next
// one to be stored. With PIECES pieces kept s_ready stays low.
// One word a cycle; a piece that is filled up takes 4. m_valid follows the last word of a piece by 1.
// hello, flush and reset forget every piece and half of one, and numbers begin at 0 again; a word in
// the cycle of hello is lost, and those that come in flush are taken and forgotten.
`default_nettype none

module ex_map_ring #(
    parameter int PIECES = 128  // that are kept, a power of two
) (
    input  wire        clk,
    input  wire        rst,
    input  wire        flush,
    input  wire        s_valid,
    output wire        s_ready,
    input  wire [31:0] s_data,
    input  wire        s_last,
    input  wire        hello,
    input  wire        taken,
    input  wire        again,
    input  wire [7:0]  seq,
    output wire        known,
    output wire        m_valid,
    output wire [7:0]  m_seq,
    output wire        m_end,
    input  wire        take,
    input  wire [3:0]  m_index,
    output wire [7:0]  m_data
);
  if (PIECES < 2 || PIECES > 128 || (PIECES & (PIECES - 1)) != 0) begin : g_bad_pieces
    $error("ex_map_ring: PIECES must be a power of two from 2 to 128, is %0d", PIECES);
  end

  localparam int PW = $clog2(PIECES);

  (* ram_style = "block", no_rw_check *) logic [31:0] memory [0:4*PIECES-1];
  logic          ends [0:PIECES-1];
  logic [7:0]    write_q, send_q;
  logic [7:0]    kept_q;     // the first piece that is kept
  logic [PW-1:0] current_q;
  logic [1:0]    word_q;     // of the piece that is being stored
  logic          fill_q;     // its other words are zero
  logic [31:0]   data_q;
  logic [1:0]    byte_q;

  wire [7:0] count = write_q - kept_q;
  wire [7:0] ahead = seq - kept_q;
  wire       full = count == 8'(PIECES);
  wire       put = !full && (fill_q || s_valid);
  wire       last = fill_q || s_last;
  wire       store = put && &word_q;
  wire       pass = taken && known;

  assign s_ready = flush || (!full && !fill_q);
  assign known = ahead <= count;
  assign m_valid = send_q != write_q;
  assign m_seq = send_q;
  assign m_end = ends[current_q];
  assign m_data = data_q[8*byte_q+:8];

  always_ff @(posedge clk) begin
    if (put) memory[{write_q[PW-1:0], word_q}] <= fill_q ? '0 : s_data;
    if (store) ends[write_q[PW-1:0]] <= last;
    data_q <= memory[{current_q, m_index[3:2]}];
    byte_q <= m_index[1:0];
  end

  always_ff @(posedge clk) begin
    if (put) begin
      word_q <= word_q + 1'b1;
      fill_q <= last && !(&word_q);
    end
    if (store) write_q <= write_q + 1'b1;
    if (take) begin
      current_q <= send_q[PW-1:0];
      send_q    <= send_q + 1'b1;
    end
    if (pass) kept_q <= seq;
    if (pass && (again || ahead > 8'(send_q - kept_q))) send_q <= seq;
    if (rst || hello || flush) begin
      word_q  <= '0;
      fill_q  <= 1'b0;
      write_q <= '0;
      send_q  <= '0;
      kept_q  <= '0;
    end
  end
endmodule

`default_nettype wire
