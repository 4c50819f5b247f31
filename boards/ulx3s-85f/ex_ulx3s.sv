// ex_ulx3s: the accelerator on a ULX3S, driven through the board's USB serial port.
//
// The PLL makes clk from the 25 MHz oscillator: 25 MHz / CLKI_DIV * CLKFB_DIV, its VCO CLKOP_DIV
// times as fast. rst holds until the PLL has been locked for 256 cycles, and comes back for as long
// whenever the lock is lost. Pins carry the names of the FTDI chip's side: ftdi_txd is our input,
// ftdi_rxd our output. wifi_gpio0 stays high, or the ESP32 would take the board over. led: see
// ex_serial_shell; all off in reset.
`default_nettype none

module ex_ulx3s #(
    parameter int WIDTH     = 8,   // bits of a beat of the core's input
    parameter int FRAME     = 64,  // beats of a frame
    parameter int EXITS     = 3,
    parameter int A_CONTROL = 12,  // address of the control register
    parameter int DIVISOR   = 20,  // clocks a bit on the serial port
    parameter int CLKI_DIV  = 5,
    parameter int CLKFB_DIV = 12,
    parameter int CLKOP_DIV = 10,
    parameter int CLKOP_CPHASE = 4
) (
    input  wire       clk_25mhz,
    input  wire       ftdi_txd,
    output wire       ftdi_rxd,
    output wire [7:0] led,
    output wire       wifi_gpio0
);
  wire clk, locked;

  (* ICP_CURRENT = "12" *) (* LPF_RESISTOR = "8" *)
  (* MFG_ENABLE_FILTEROPAMP = "1" *) (* MFG_GMCREF_SEL = "2" *)
  EHXPLLL #(
      .PLLRST_ENA("DISABLED"),
      .INTFB_WAKE("DISABLED"),
      .STDBY_ENABLE("DISABLED"),
      .DPHASE_SOURCE("DISABLED"),
      .OUTDIVIDER_MUXA("DIVA"),
      .CLKI_DIV(CLKI_DIV),
      .CLKFB_DIV(CLKFB_DIV),
      .FEEDBK_PATH("CLKOP"),
      .CLKOP_ENABLE("ENABLED"),
      .CLKOP_DIV(CLKOP_DIV),
      .CLKOP_CPHASE(CLKOP_CPHASE),
      .CLKOP_FPHASE(0)
  ) u_pll (
      .RST(1'b0),
      .STDBY(1'b0),
      .CLKI(clk_25mhz),
      .CLKOP(clk),
      .CLKFB(clk),
      .PHASESEL0(1'b0),
      .PHASESEL1(1'b0),
      .PHASEDIR(1'b1),
      .PHASESTEP(1'b1),
      .PHASELOADREG(1'b1),
      .PLLWAKESYNC(1'b0),
      .ENCLKOP(1'b0),
      .LOCK(locked)
  );

  // Flip-flops are 0 after configuration, so the design begins in reset.
  (* ASYNC_REG = "TRUE" *) logic [1:0] locked_q;  // into this clock
  logic [7:0] wait_q;
  logic       run_q;
  initial begin
    locked_q = '0;
    wait_q   = '0;
    run_q    = 1'b0;
  end
  always_ff @(posedge clk) begin
    locked_q <= {locked_q[0], locked};
    wait_q   <= !locked_q[1] ? '0 : (&wait_q ? wait_q : wait_q + 1'b1);
    run_q    <= locked_q[1] && &wait_q;
  end

  assign wifi_gpio0 = 1'b1;

  wire [7:0] shell_led;
  assign led = run_q ? shell_led : '0;

  ex_serial_shell #(
      .DIVISOR(DIVISOR),
      .WIDTH(WIDTH),
      .FRAME(FRAME),
      .EXITS(EXITS),
      .A_CONTROL(16'(A_CONTROL))
  ) u_shell (
      .clk(clk),
      .rst(!run_q),
      .rx(ftdi_txd),
      .tx(ftdi_rxd),
      .led(shell_led)
  );
endmodule

`default_nettype wire
