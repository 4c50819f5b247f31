// Part of ex_mvu: the products of N weights with one number, by one multiplication.
//
// The weights stand FIELD = IN_BITS + W_BITS - 1 bits apart in one operand, as many as 25 bits hold:
// all but the topmost as w + 2^(W_BITS-1), which is w with its sign bit inverted, so that no carry
// is needed to put them together. What that is too much, x 2^(W_BITS-1) in each of their fields, is
// subtracted behind the multiplication by adding its complement, for which a DSP has an adder. So
// the result is the sum of all w x 2^(i FIELD), less 1. A product has a bit more than its field: its
// topmost bit b lies on the lowest one of the next product, which is known to be w[0] & x[0]. What a
// field has of its product is -b 2^FIELD less than it, and the next one then is -b too small:
//   w x = {b, field} (two's complement) + b of the field below, 1 below the first.
// Products are offered as these two, y and carry, since whoever adds them up has a carry to give.
//
// x is unsigned. Latency 1 cycle; with enable a set of products a cycle, else the last one is kept.
`default_nettype none

module ex_packed #(
    parameter int N       = 2,  // weights
    parameter int IN_BITS = 4,  // bits of x
    parameter int W_BITS  = 4   // bits of a weight, two's complement
) (
    input  wire                             clk,
    input  wire                             enable,
    input  wire  [IN_BITS-1:0]              x,
    input  wire  [N*W_BITS-1:0]             w,
    output wire  [N*(IN_BITS+W_BITS)-1:0]   y,
    output wire  [N-1:0]                    carry
);
  localparam int FIELD = IN_BITS + W_BITS - 1;
  localparam int A_BITS = FIELD * (N - 1) + W_BITS;

  if (N < 1 || A_BITS > 25) begin : g_bad_n
    $error("ex_packed: N weights of %0d bits must take 1 to 25 bits %0d apart, N is %0d", W_BITS,
           FIELD, N);
  end

  logic signed [A_BITS-1:0]  a;
  logic signed [FIELD*N:0]   c;
  (* use_dsp = "yes" *) logic signed [FIELD*N:0] sum_q;
  logic [N-1:0] low_q;  // lowest bits of products

  always_comb begin
    a = '0;
    c = '1;
    for (int i = 0; i < N - 1; i++) begin
      a[i*FIELD+:W_BITS] = {!w[(i+1)*W_BITS-1], w[i*W_BITS+:W_BITS-1]};
      c[i*FIELD+W_BITS-1+:IN_BITS] = ~x;
    end
    a[(N-1)*FIELD+:W_BITS] = w[(N-1)*W_BITS+:W_BITS];
  end

  always_ff @(posedge clk) begin
    if (enable) begin
      sum_q <= a * $signed({1'b0, x}) + c;
      for (int i = 0; i < N; i++) low_q[i] <= w[i*W_BITS] & x[0];
    end
  end

  wire [N:0] above = {1'b0, low_q[N-1:0]};
  wire unused = above[0];
  for (genvar i = 0; i < N; i++) begin : g_product
    assign y[i*(FIELD+1)+:FIELD] = sum_q[i*FIELD+:FIELD];
    assign y[i*(FIELD+1)+FIELD]  = sum_q[(i+1)*FIELD] ^ above[i+1];
    if (i == 0) begin : g_first
      assign carry[i] = 1'b1;
    end else begin : g_next
      assign carry[i] = y[i*(FIELD+1)-1];
    end
  end
endmodule

`default_nettype wire
