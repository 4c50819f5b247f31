// ex_uart_tx: bytes to a serial line, 8N1, lowest bit first.
//
// A byte taken in cycle t is on the line from cycle t + 1 on: a low start bit, 8 bits, a high stop
// bit, each DIVISOR cycles. s_ready is high while nothing is sent and in the last cycle of a stop
// bit, so bytes follow each other without a gap, one in 10 * DIVISOR cycles. tx is a flip-flop and
// high when idle. Reset: the byte being sent is cut off.
`default_nettype none

module ex_uart_tx #(
    parameter int DIVISOR = 16  // cycles a bit
) (
    input  wire       clk,
    input  wire       rst,
    input  wire       s_valid,
    output wire       s_ready,
    input  wire [7:0] s_data,
    output wire       tx
);
  if (DIVISOR < 2 || DIVISOR > 65535) begin : g_bad_divisor
    $error("ex_uart_tx: DIVISOR must be 2 to 65535, is %0d", DIVISOR);
  end

  localparam int BITS = $clog2(DIVISOR);
  localparam logic [BITS-1:0] WHOLE = BITS'(DIVISOR - 1);

  logic [BITS-1:0] timer_q;
  logic [3:0]      left_q;   // bits still to send, the one on the line among them
  logic [8:0]      shift_q;
  logic            low_q;    // the line, inverted: idle from power-up on, where registers are 0

  wire now = timer_q == '0;

  assign s_ready = left_q == '0 || (left_q == 4'd1 && now);
  assign tx = !low_q;

  always_ff @(posedge clk) begin
    timer_q <= now ? WHOLE : timer_q - 1'b1;
    if (now && left_q != '0) begin
      low_q   <= !shift_q[0];
      shift_q <= {1'b1, shift_q[8:1]};
      left_q  <= left_q - 1'b1;
    end
    if (s_valid && s_ready) begin
      timer_q <= WHOLE;
      low_q   <= 1'b1;
      shift_q <= {1'b1, s_data};
      left_q  <= 4'd10;
    end
    if (rst) begin
      left_q <= '0;
      low_q  <= 1'b0;
    end
  end
endmodule

`default_nettype wire
