// ex_uart_rx: bytes from an asynchronous serial line, 8N1, lowest bit first.
//
// A bit lasts DIVISOR cycles. The line passes two flip-flops and a majority of the last three
// samples, so a spike of one cycle is not seen. A byte whose start bit holds to its middle and
// whose stop bit is high in its middle gives one cycle of m_valid with m_data, about 9.5 bits after
// the falling edge; a low stop bit gives one cycle of m_error instead, and the next start bit is
// looked for once the line is high again. Bits may be off by 3% of their length, and the next byte
// may follow the stop bit at once. Nothing holds the receiver up. Reset: it waits for a start bit.
`default_nettype none

module ex_uart_rx #(
    parameter int DIVISOR = 16  // cycles a bit
) (
    input  wire       clk,
    input  wire       rst,
    input  wire       rx,       // asynchronous
    output wire       m_valid,
    output wire [7:0] m_data,
    output wire       m_error
);
  if (DIVISOR < 8 || DIVISOR > 65535) begin : g_bad_divisor
    $error("ex_uart_rx: DIVISOR must be 8 to 65535, is %0d", DIVISOR);
  end

  localparam int BITS = $clog2(DIVISOR);
  localparam logic [BITS-1:0] WHOLE = BITS'(DIVISOR - 1);
  localparam logic [BITS-1:0] HALF = BITS'(DIVISOR / 2 - 1);

  typedef enum logic [2:0] {IDLE, START, DATA, STOP, BREAK} state_t;

  state_t          state_q;
  logic [BITS-1:0] timer_q;
  logic [2:0]      bit_q;
  logic [7:0]      shift_q;
  logic            valid_q, error_q;
  (* ASYNC_REG = "TRUE" *) logic meta_q, line_q;
  logic [1:0]      past_q;
  logic            vote_q;

  wire now = timer_q == '0;

  assign m_valid = valid_q;
  assign m_data = shift_q;
  assign m_error = error_q;

  always_ff @(posedge clk) begin
    meta_q <= rx;
    line_q <= meta_q;
    past_q <= {past_q[0], line_q};
    vote_q <= (line_q && past_q[0]) || (line_q && past_q[1]) || (&past_q);
    if (rst) begin
      past_q <= '1;
      vote_q <= 1'b1;
    end
  end

  always_ff @(posedge clk) begin
    valid_q <= 1'b0;
    error_q <= 1'b0;
    timer_q <= now ? WHOLE : timer_q - 1'b1;
    unique case (state_q)
      IDLE: begin
        timer_q <= HALF;
        bit_q   <= '0;
        if (!vote_q) state_q <= START;
      end
      START: if (now) state_q <= vote_q ? IDLE : DATA;
      DATA: if (now) begin
        shift_q <= {vote_q, shift_q[7:1]};
        bit_q   <= bit_q + 1'b1;
        if (&bit_q) state_q <= STOP;
      end
      STOP: if (now) begin
        valid_q <= vote_q;
        error_q <= !vote_q;
        state_q <= vote_q ? IDLE : BREAK;
      end
      default: if (vote_q) state_q <= IDLE;
    endcase
    if (rst) begin
      state_q <= IDLE;
      valid_q <= 1'b0;
      error_q <= 1'b0;
    end
  end
endmodule

`default_nettype wire
