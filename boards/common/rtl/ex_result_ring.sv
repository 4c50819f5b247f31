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
  // write_q - send_q: a register, since whoever sends, and whoever waits to give a result, has much to
  // decide by it
  logic [7:0] unsent_q;

  wire full = &unsent_q;
  wire put = s_valid && !full && !flush;
  wire store = put && &byte_q;
  wire [7:0] behind = write_q - again_seq;

  assign s_ready = flush || (&byte_q && !full);
  assign known = behind <= kept_q;
  assign next = write_q;
  assign m_valid = unsent_q != '0;
  assign m_seq = send_q;
  assign m_data = data_q;

  always_ff @(posedge clk) begin
    if (put) memory[{write_q, byte_q}] <= s_data[8*byte_q+:8];
    data_q <= memory[{current_q, m_index}];
  end

  always_ff @(posedge clk) begin
    if (put) byte_q <= byte_q + 1'b1;
    if (store) write_q <= write_q + 1'b1;
    unsent_q <= unsent_q + 8'(store) - 8'(take);
    if (hello) kept_q <= {7'd0, store};
    else if (store && !(&kept_q)) kept_q <= kept_q + 1'b1;
    if (take) begin
      current_q <= send_q;
      send_q    <= send_q + 1'b1;
    end
    if (again && known) begin
      send_q   <= again_seq;
      unsent_q <= behind + 8'(store);
    end
    if (flush) begin
      byte_q <= '0;
      kept_q <= '0;
      send_q <= write_q;
      unsent_q <= '0;
    end
    if (rst) begin
      byte_q  <= '0;
      kept_q  <= '0;
      write_q <= '0;
      send_q  <= '0;
      unsent_q <= '0;
    end
  end
endmodule

`default_nettype wire
