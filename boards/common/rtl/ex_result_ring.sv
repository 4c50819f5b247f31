// ex_result_ring: the last 256 results, numbered, to be sent and to be sent again.
//
// A result is 128 bits, stored in 16 cycles, its first byte the lowest; it gets the next number,
// next, counted modulo 256 from 0 on. m_valid says that result m_seq is to be sent: in the cycle of
// take it becomes the current one and m_seq moves on. m_data is byte m_index of the current one, in
// the cycle after m_index. A result stays until 255 newer ones are stored; with 255 results still to
// be sent s_ready stays low. again makes the number again_seq the next to be sent, if it is known: a
// result that is still there and was stored since the last hello, flush or reset, or the next one.
// flush forgets what is still to be sent, and what comes meanwhile is taken and forgotten; next and
// the current one stay. Reset: number 0.
`default_nettype none

module ex_result_ring (
    input  wire         clk,
    input  wire         rst,
    input  wire         flush,
    input  wire         s_valid,
    output wire         s_ready,
    input  wire [127:0] s_data,
    input  wire         hello,
    input  wire         again,
    input  wire [7:0]   again_seq,
    output wire         known,
    output wire [7:0]   next,
    output wire         m_valid,
    output wire [7:0]   m_seq,
    input  wire         take,
    input  wire [3:0]   m_index,
    output wire [7:0]   m_data
);
  (* ram_style = "block" *) logic [7:0] memory [0:4095];
  logic [7:0] write_q, send_q, current_q, data_q;
  logic [7:0] kept_q;  // results that again may ask for
  logic [3:0] byte_q;
  // Registers, since whoever sends, and whoever waits to give a result, has much to decide by them
  logic some_q;  // a result is to be sent
  logic full_q;  // 255 are

  wire put = s_valid && !full_q && !flush;
  wire store = put && &byte_q;
  wire [7:0] behind = write_q - again_seq;

  assign s_ready = flush || (&byte_q && !full_q);
  assign known = behind <= kept_q;
  assign next = write_q;
  assign m_valid = some_q;
  assign m_seq = send_q;
  assign m_data = data_q;

  always_ff @(posedge clk) begin
    if (put) memory[{write_q, byte_q}] <= s_data[8*byte_q+:8];
    data_q <= memory[{current_q, m_index}];
  end

  logic [7:0] write_d, send_d;
  always_comb begin
    write_d = write_q + 8'(store);
    send_d = send_q + 8'(take);
    if (again && known) send_d = again_seq;
    if (flush) send_d = write_q;
  end
  wire [7:0] unsent_d = write_d - send_d;

  always_ff @(posedge clk) begin
    if (put) byte_q <= byte_q + 1'b1;
    write_q <= write_d;
    send_q  <= send_d;
    some_q  <= write_d != send_d;
    full_q  <= &unsent_d;
    if (hello) kept_q <= {7'd0, store};
    else if (store && !(&kept_q)) kept_q <= kept_q + 1'b1;
    if (take) current_q <= send_q;
    if (flush) begin
      byte_q <= '0;
      kept_q <= '0;
    end
    if (rst) begin
      byte_q  <= '0;
      kept_q  <= '0;
      write_q <= '0;
      send_q  <= '0;
      some_q  <= 1'b0;
      full_q  <= 1'b0;
    end
  end
endmodule

`default_nettype wire
