// ex_route: sends a verdict to everybody who waits for it.
//
// Every token gives one verdict (keep = !take) to the frame buffer; a token that takes gives a
// result unless it is silent; one that keeps hands its metadata on to the next exit. Each receiver
// takes independently of the others; the token is released when all have it. Latency 0, one token
// a cycle. On stall the outputs hold.
// Reset: no receiver has anything.
`default_nettype none

module ex_route #(
    parameter int META = 5  // bits of the metadata
) (
    input  wire            clk,
    input  wire            rst,
    input  wire            s_valid,
    output wire            s_ready,
    input  wire            s_take,
    input  wire            s_silent,
    input  wire [META-1:0] s_meta,
    output wire            result_valid,
    input  wire            result_ready,
    output wire            verdict_valid,
    input  wire            verdict_ready,
    output wire            verdict_keep,
    output wire            keep_valid,
    input  wire            keep_ready,
    output wire [META-1:0] keep_data
);
  if (META < 1) begin : g_bad_meta
    $error("ex_route: META must be at least 1, is %0d", META);
  end

  logic result_done_q, verdict_done_q, keep_done_q;

  wire result_need = s_take && !s_silent && !result_done_q;
  wire verdict_need = !verdict_done_q;
  wire keep_need = !s_take && !keep_done_q;

  assign result_valid = s_valid && result_need;
  assign verdict_valid = s_valid && verdict_need;
  assign keep_valid = s_valid && keep_need;
  assign verdict_keep = !s_take;
  assign keep_data = s_meta;
  assign s_ready = (!result_need || result_ready) && (!verdict_need || verdict_ready)
      && (!keep_need || keep_ready);

  always_ff @(posedge clk) begin
    if (s_valid) begin
      result_done_q  <= !s_ready && (result_done_q || (result_need && result_ready));
      verdict_done_q <= !s_ready && (verdict_done_q || verdict_ready);
      keep_done_q    <= !s_ready && (keep_done_q || (keep_need && keep_ready));
    end
    if (rst) begin
      result_done_q  <= 1'b0;
      verdict_done_q <= 1'b0;
      keep_done_q    <= 1'b0;
    end
  end
endmodule

`default_nettype wire
