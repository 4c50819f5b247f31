// ex_activity: one-cycle events made long enough to be seen.
//
// led[i] is high from the cycle after event[i] for 1 to 2 times 2**HOLD_BITS cycles, anew from each
// further event. Reset: all low.
`default_nettype none

module ex_activity #(
    parameter int N = 7,
    parameter int HOLD_BITS = 20
) (
    input  wire         clk,
    input  wire         rst,
    input  wire [N-1:0] s_event,
    output wire [N-1:0] led
);
  if (N < 1 || HOLD_BITS < 1) begin : g_bad
    $error("ex_activity: N and HOLD_BITS must be at least 1, are %0d and %0d", N, HOLD_BITS);
  end

  logic [HOLD_BITS-1:0] timer_q;
  logic [N-1:0]         young_q, old_q;

  assign led = young_q | old_q;

  always_ff @(posedge clk) begin
    timer_q <= timer_q + 1'b1;
    if (&timer_q) begin
      young_q <= '0;
      old_q   <= young_q;
    end
    for (int i = 0; i < N; i++) if (s_event[i]) young_q[i] <= 1'b1;
    if (rst) begin
      timer_q <= '0;
      young_q <= '0;
      old_q   <= '0;
    end
  end
endmodule

`default_nettype wire
