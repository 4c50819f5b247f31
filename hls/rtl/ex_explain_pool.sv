// ex_explain_pool: watches a stream in front of a max pool without overlap and tells
// where the largest inputs are.
//
// take: a beat of the stream moves in this cycle; s_data: LANES levels, s_mask: a bit beside each.
// Frames of (H, W, C), a position is C / LANES beats. It never makes the stream wait.
// m_valid: an output of the pool, in the order of the pool, in the cycle after the last beat of its
// window. Of each lane m_way: the place ky * KW + kx of the largest input in its window, the first
// of several; m_mask: the bit that came beside it; m_data: the input itself, so that another one
// may watch a pool behind. Rows and columns that fill no window are dropped. Reset: the next beat
// is the first of a frame.
`default_nettype none

module ex_explain_pool #(
    parameter int LANES     = 1,     // elements of a beat
    parameter int IN_BITS   = 4,     // bits of an element
    parameter bit IN_SIGNED = 1'b0,  // elements are two's complement
    parameter int C         = 1,     // channels
    parameter int H         = 4,     // rows of the input
    parameter int W         = 4,     // columns of the input
    parameter int KH        = 2,     // rows of a window
    parameter int KW        = 2,     // columns of a window
    localparam int WAY_BITS = KH * KW > 1 ? $clog2(KH * KW) : 1
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       take,
    input  wire  [LANES*IN_BITS-1:0]  s_data,
    input  wire  [LANES-1:0]          s_mask,
    output wire                       m_valid,
    output logic [LANES*WAY_BITS-1:0] m_way,
    output logic [LANES-1:0]          m_mask,
    output logic [LANES*IN_BITS-1:0]  m_data
);
  if (LANES < 1 || C % LANES != 0) begin : g_bad_lanes
    $error("ex_explain_pool: LANES must divide C %0d, not be %0d", C, LANES);
  end
  if (KH < 1 || KW < 1 || KH > H || KW > W) begin : g_bad_kernel
    $error("ex_explain_pool: KH x KW must lie inside H x W %0dx%0d, not be %0dx%0d", H, W, KH, KW);
  end

  localparam int FOLDS = C / LANES;
  localparam int OW    = W / KW;
  localparam int WORDS = OW * FOLDS;  // windows that are open at once
  localparam int FW    = FOLDS > 1 ? $clog2(FOLDS) : 1;
  localparam int KXW   = KW > 1 ? $clog2(KW) : 1;
  localparam int XW    = W > 1 ? $clog2(W) : 1;
  localparam int AW    = WORDS > 1 ? $clog2(WORDS) : 1;
  localparam int PART  = LANES * (IN_BITS + WAY_BITS + 1);
  localparam bit [IN_BITS-1:0] TOP = IN_BITS'(IN_SIGNED) << (IN_BITS - 1);

  // Where the beat lies, as in the pool that it watches.
  logic [FW-1:0]       fold_q;
  logic [KXW-1:0]      kx_q;
  logic [WAY_BITS-1:0] row_q;  // ky * KW
  logic [XW-1:0]       x_q;
  logic [AW-1:0]       addr_q;

  wire fold_end = fold_q == FW'(FOLDS - 1);
  wire kx_end   = kx_q == KXW'(KW - 1);
  wire ky_end   = row_q == WAY_BITS'((KH - 1) * KW);
  wire x_end    = x_q == XW'(W - 1);
  wire y_end;   // the last row of a frame whose last rows fill no window
  wire x_used;  // of a column that fills one

  if (OW * KW == W) begin : g_all_columns
    assign x_used = 1'b1;
  end else begin : g_some_columns
    assign x_used = x_q < XW'(OW * KW);
  end
  if (H % KH == 0) begin : g_all_rows
    assign y_end = 1'b0;
  end else begin : g_some_rows
    localparam int YW = $clog2(H);
    logic [YW-1:0] y_q;
    assign y_end = y_q == YW'(H - 1);
    always_ff @(posedge clk) begin
      if (take && fold_end && x_end) y_q <= y_end ? '0 : y_q + 1'b1;
      if (rst) y_q <= '0;
    end
  end

  always_ff @(posedge clk) begin
    if (take) begin
      fold_q <= fold_end ? '0 : fold_q + 1'b1;
      addr_q <= addr_q + 1'b1;
      if (fold_end) begin
        if (!kx_end) addr_q <= addr_q - AW'(FOLDS - 1);
        kx_q <= kx_end ? '0 : kx_q + 1'b1;
        x_q  <= x_q + 1'b1;
        if (x_end) begin
          addr_q <= '0;
          kx_q   <= '0;
          x_q    <= '0;
          row_q  <= (ky_end || y_end) ? '0 : row_q + WAY_BITS'(KW);
        end
      end
    end
    if (rst) begin
      fold_q <= '0;
      kx_q   <= '0;
      row_q  <= '0;
      x_q    <= '0;
      addr_q <= '0;
    end
  end

  // {data, way, mask} of the largest input so far, of all windows of a row of windows.
  wire first = kx_q == '0 && row_q == '0;
  wire last  = kx_end && ky_end;  // never in rows and columns that fill none
  wire [WAY_BITS-1:0] way = row_q + WAY_BITS'(kx_q);

  logic [PART-1:0] memory[WORDS];
  wire  [PART-1:0] so_far = memory[addr_q];
  logic [LANES*IN_BITS-1:0]  data;
  logic [LANES*WAY_BITS-1:0] ways;
  logic [LANES-1:0]          mask;

  wire [LANES*IN_BITS-1:0]  old_data = so_far[PART-1 -: LANES*IN_BITS];
  wire [LANES*WAY_BITS-1:0] old_way  = so_far[LANES +: LANES*WAY_BITS];
  wire [LANES-1:0]          old_mask = so_far[LANES-1:0];

  always_comb begin
    data = s_data;
    mask = s_mask;
    ways = {LANES{way}};
    for (int i = 0; i < LANES; i++) begin
      if (!first && (old_data[i*IN_BITS +: IN_BITS] ^ TOP) >= (s_data[i*IN_BITS +: IN_BITS] ^ TOP))
      begin
        data[i*IN_BITS +: IN_BITS]   = old_data[i*IN_BITS +: IN_BITS];
        ways[i*WAY_BITS +: WAY_BITS] = old_way[i*WAY_BITS +: WAY_BITS];
        mask[i]                      = old_mask[i];
      end
    end
  end

  logic valid_q;
  assign m_valid = valid_q;
  always_ff @(posedge clk) begin
    valid_q <= take && last && !rst;
    if (take && last) begin
      m_way  <= ways;
      m_mask <= mask;
      m_data <= data;
    end
    if (take && x_used && !last) memory[addr_q] <= {data, ways, mask};
  end
endmodule

`default_nettype wire
