// ex_axil: an AXI4-Lite slave in front of a one-cycle register bus.
//
// One access at a time, writes first. A write is done in one cycle once address and data are there
// and is answered OKAY; one without all four strobes is not done and answered SLVERR. A read
// takes what reg_rdata shows in the cycle after reg_address. Responses hold until taken.
// Reset: no access under way, and none begins (ready is low).
`default_nettype none

module ex_axil #(
    parameter int ADDRESS_BITS = 12
) (
    input  wire                    clk,
    input  wire                    rst,
    input  wire                    awvalid,
    output wire                    awready,
    input  wire [ADDRESS_BITS-1:0] awaddr,
    input  wire                    wvalid,
    output wire                    wready,
    input  wire [31:0]             wdata,
    input  wire [3:0]              wstrb,
    output wire                    bvalid,
    input  wire                    bready,
    output wire [1:0]              bresp,
    input  wire                    arvalid,
    output wire                    arready,
    input  wire [ADDRESS_BITS-1:0] araddr,
    output wire                    rvalid,
    input  wire                    rready,
    output wire [31:0]             rdata,
    output wire [1:0]              rresp,
    output wire                    reg_write,
    output wire [ADDRESS_BITS-1:0] reg_address,
    output wire [31:0]             reg_wdata,
    input  wire [31:0]             reg_rdata
);
  if (ADDRESS_BITS < 3) begin : g_bad_address
    $error("ex_axil: ADDRESS_BITS must be at least 3, is %0d", ADDRESS_BITS);
  end

  logic                    aw_q, w_q, b_q, ar_q, fetch_q, r_q, error_q;
  logic [ADDRESS_BITS-1:0] awaddr_q, araddr_q;
  logic [31:0]             wdata_q, rdata_q;
  logic [3:0]              wstrb_q;

  wire write = aw_q && w_q && !b_q;
  wire read = ar_q && !write;

  assign awready = !aw_q && !rst;
  assign wready = !w_q && !rst;
  assign arready = !ar_q && !fetch_q && !r_q && !rst;
  assign bvalid = b_q;
  assign bresp = {error_q, 1'b0};
  assign rvalid = r_q;
  assign rdata = rdata_q;
  assign rresp = 2'b00;
  assign reg_write = write && &wstrb_q;
  assign reg_address = write ? awaddr_q : araddr_q;
  assign reg_wdata = wdata_q;

  always_ff @(posedge clk) begin
    if (awvalid && awready) begin
      aw_q     <= 1'b1;
      awaddr_q <= awaddr;
    end
    if (wvalid && wready) begin
      w_q     <= 1'b1;
      wdata_q <= wdata;
      wstrb_q <= wstrb;
    end
    if (bready) b_q <= 1'b0;
    if (write) begin
      aw_q    <= 1'b0;
      w_q     <= 1'b0;
      b_q     <= 1'b1;
      error_q <= !(&wstrb_q);
    end
    if (arvalid && arready) begin
      ar_q     <= 1'b1;
      araddr_q <= araddr;
    end
    if (read) ar_q <= 1'b0;
    fetch_q <= read;
    if (fetch_q) begin
      r_q     <= 1'b1;
      rdata_q <= reg_rdata;
    end else if (rready) begin
      r_q <= 1'b0;
    end
    if (rst) begin
      aw_q    <= 1'b0;
      w_q     <= 1'b0;
      b_q     <= 1'b0;
      ar_q    <= 1'b0;
      fetch_q <= 1'b0;
      r_q     <= 1'b0;
    end
  end
endmodule

`default_nettype wire
