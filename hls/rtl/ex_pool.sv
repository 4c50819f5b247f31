// Non-overlapping pool of an (H, W, C) frame to (H / KH, W / KW, C), rounded down: rows and
// columns that fill no window are dropped.
//
//   m[oy][ox][c] = f over ky < KH, kx < KW of s[oy*KH + ky][ox*KW + kx][c],
//   f = max (FUNCTION 0) or sum (FUNCTION 1)
//
// A pixel is C / LANES beats, in and out. Latency: 1 cycle from the last beat of a window to its
// output. Throughput: 1 beat in a cycle, also from row to row and frame to frame. Stall: beats
// that complete no window are still accepted while the output is held. Reset: empty, at the start
// of a frame. busy: a word leaves (see ex_gate).
`default_nettype none
module ex_pool #(
    parameter int unsigned FUNCTION  = 0,  // 0 maximum, 1 sum
    parameter int unsigned LANES     = 1,  // elements a beat
    parameter int unsigned IN_BITS   = 4,  // bits of an input element
    parameter int unsigned IN_SIGNED = 0,  // 1: elements are two's complement, in and out
    parameter int unsigned OUT_BITS  = 4,  // bits of an output element; sums wrap
    parameter int unsigned C         = 1,  // channels
    parameter int unsigned H         = 4,  // rows of the input
    parameter int unsigned W         = 4,  // columns of the input
    parameter int unsigned KH        = 2,  // rows of a window
    parameter int unsigned KW        = 2   // columns of a window
) (
    input  wire logic                      clk,
    input  wire logic                      rst,
    input  wire logic                      s_valid,
    output      logic                      s_ready,
    input  wire logic [ LANES*IN_BITS-1:0] s_data,
    output      logic                      m_valid,
    input  wire logic                      m_ready,
    output      logic [LANES*OUT_BITS-1:0] m_data,
    output      logic                      busy
);
  if (C % LANES != 0) begin : gen_illegal_lanes
    $error("ex_pool: LANES must divide C %0d, not be %0d", C, LANES);
  end
  if (KH > H || KW > W) begin : gen_illegal_kernel
    $error("ex_pool: KH x KW must lie inside H x W %0dx%0d, not be %0dx%0d", H, W, KH, KW);
  end

  localparam int unsigned FOLDS = C / LANES;
  localparam int unsigned OH = H / KH;
  localparam int unsigned OW = W / KW;
  localparam int unsigned WORDS = OW * FOLDS;
  localparam int unsigned FW = FOLDS > 1 ? $clog2(FOLDS) : 1;
  localparam int unsigned KXW = KW > 1 ? $clog2(KW) : 1;
  localparam int unsigned KYW = KH > 1 ? $clog2(KH) : 1;
  localparam int unsigned XW = W > 1 ? $clog2(W) : 1;
  localparam int unsigned YW = H > 1 ? $clog2(H) : 1;
  localparam int unsigned AW = WORDS > 1 ? $clog2(WORDS) : 1;

  logic [FW-1:0] fold_q;
  logic [KXW-1:0] kx_q;
  logic [KYW-1:0] ky_q;
  logic [XW-1:0] x_q;
  logic [YW-1:0] y_q;
  logic [AW-1:0] addr_q;
  logic fold_end, kx_end, ky_end, x_end, y_end, x_used, y_used, used;

  assign fold_end = fold_q == FW'(FOLDS - 1);
  assign kx_end = kx_q == KXW'(KW - 1);
  assign ky_end = ky_q == KYW'(KH - 1);
  assign x_end = x_q == XW'(W - 1);
  assign y_end = y_q == YW'(H - 1);
  assign used = x_used && y_used;

  if (OW * KW == W) begin : gen_all_columns
    assign x_used = 1'b1;
  end else begin : gen_some_columns
    assign x_used = x_q < XW'(OW * KW);
  end
  if (OH * KH == H) begin : gen_all_rows
    assign y_used = 1'b1;
  end else begin : gen_some_rows
    assign y_used = y_q < YW'(OH * KH);
  end

  always_ff @(posedge clk) begin
    if (s_valid && s_ready) begin
      fold_q <= fold_end ? '0 : fold_q + FW'(1);
      addr_q <= addr_q + AW'(1);
      if (fold_end) begin
        if (!kx_end) addr_q <= addr_q - AW'(FOLDS - 1);
        kx_q <= kx_end ? '0 : kx_q + KXW'(1);
        x_q  <= x_q + XW'(1);
        if (x_end) begin
          addr_q <= '0;
          kx_q <= '0;
          x_q <= '0;
          ky_q <= (ky_end || y_end) ? '0 : ky_q + KYW'(1);
          y_q <= y_end ? '0 : y_q + YW'(1);
        end
      end
    end
    if (rst) begin
      fold_q <= '0;
      kx_q   <= '0;
      ky_q   <= '0;
      x_q    <= '0;
      y_q    <= '0;
      addr_q <= '0;
    end
  end

  ex_accumulate #(
      .FUNCTION(FUNCTION),
      .LANES(LANES),
      .IN_BITS(IN_BITS),
      .IN_SIGNED(IN_SIGNED),
      .OUT_BITS(OUT_BITS),
      .WORDS(WORDS),
      .AW(AW)
  ) accumulate (
      .clk,
      .rst,
      .s_valid,
      .s_ready,
      .s_data,
      .s_addr(addr_q),
      .s_first(kx_q == '0 && ky_q == '0),
      .s_last(kx_end && ky_end && used),
      .s_keep(used),
      .m_valid,
      .m_ready,
      .m_data
  );

`ifdef EX_BULK
  assign busy = m_valid && m_ready;
`else
  assign busy = 1'b1;
`endif
endmodule
`default_nettype wire
