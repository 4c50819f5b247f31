// Sliding window, parallel: every window of a zero-padded (H, W, C) frame, one pixel of C elements
// a beat in, one whole window of KH * KW * C elements a beat out.
//
//   m[oy][ox][b][ky][kx][c] = s[oy*SH - PT + ky*DH][ox*SW - PL + kx*DW][b][c], 0 outside of the
//   frame, b one of BLOCKS blocks of C / BLOCKS channels; a beat is [b][ky][kx][c];
//   OH = (H + PT + PB - EH) / SH + 1 with EH = (KH - 1) * DH + 1, OW likewise with EW
//
// EH row memories, one more for very narrow frames, filled row after row in turn; a column of KH
// pixels a cycle moves from them into a shift register of EW columns. A row of windows takes
// COLUMNS = W + max(0, PL + PR + 1 - EW) column steps: the padding on its right shares steps with
// the first columns of the next row, each hiding the other's columns. At the end of a frame it
// shares steps with the next frame if that one's first columns are there, and goes ahead alone
// otherwise: no output waits for the next frame. Latency: 3 cycles from the last pixel of a window
// to the window. Throughput: a frame in H * W cycles, without a gap between frames, when
// PT + PB < EH and PL + PR < EW; with more padding about max(H * W, OH * COLUMNS). Stall: the
// output is held, input is accepted until the memories are full. Reset: empty, at the start of a
// frame. busy: a column moves inside or a window leaves (see ex_gate).
`default_nettype none
module ex_swg_parallel #(
    parameter int unsigned BITS = 8,  // bits of an element
    parameter int unsigned C    = 1,  // channels
    parameter int unsigned H    = 4,  // rows of the input
    parameter int unsigned W    = 4,  // columns of the input
    parameter int unsigned KH   = 3,  // rows of a window
    parameter int unsigned KW   = 3,  // columns of a window
    parameter int unsigned SH   = 1,  // rows from window to window
    parameter int unsigned SW   = 1,  // columns from window to window
    parameter int unsigned PT   = 0,  // rows of zeros above
    parameter int unsigned PL   = 0,  // columns of zeros on the left
    parameter int unsigned PB   = 0,  // rows of zeros below
    parameter int unsigned PR   = 0,  // columns of zeros on the right
    parameter int unsigned DH   = 1,  // rows from element to element of a window
    parameter int unsigned DW   = 1,  // columns from element to element of a window
    parameter int unsigned BLOCKS = 1  // blocks of channels that lie one behind the other in a beat
) (
    input  wire logic                    clk,
    input  wire logic                    rst,
    input  wire logic                    s_valid,
    output      logic                    s_ready,
    input  wire logic [      C*BITS-1:0] s_data,
    output      logic                    m_valid,
    input  wire logic                    m_ready,
    output      logic [KH*KW*C*BITS-1:0] m_data,
    output      logic                    busy
);
  localparam int EH = int'((KH - 1) * DH) + 1;  // rows from first to last of a window
  localparam int EW = int'((KW - 1) * DW) + 1;  // columns

  if (C % BLOCKS != 0) begin : gen_illegal_blocks
    $error("ex_swg_parallel: BLOCKS must divide C %0d, not be %0d", C, BLOCKS);
  end
  if (DH < 1 || DW < 1) begin : gen_illegal_dilation
    $error("ex_swg_parallel: DH and DW must be at least 1, not %0d and %0d", DH, DW);
  end
  if (EH > int'(H + PT + PB) || EW > int'(W + PL + PR)) begin : gen_illegal_kernel
    $error("ex_swg_parallel: a window must lie in the padded frame %0dx%0d, not be %0dx%0d",
           H + PT + PB, W + PL + PR, EH, EW);
  end
  if (int'(PT) >= EH || int'(PB) >= EH || int'(PL) >= EW || int'(PR) >= EW) begin : gen_illegal_pad
    $error("ex_swg_parallel: PT, PB must be below EH %0d, PL, PR below EW %0d, not %0d %0d %0d %0d",
           EH, EW, PT, PB, PL, PR);
  end
  if (SH < 1 || SW < 1) begin : gen_illegal_stride
    $error("ex_swg_parallel: SH and SW must be at least 1, not %0d and %0d", SH, SW);
  end

  // Distances in pixels, signed, counted in stream order.
  localparam int FRAME = int'(H * W);
  localparam int DY = SH > 0 ? int'(SH) : 1;
  localparam int DX = SW > 0 ? int'(SW) : 1;
  localparam int OH = (int'(H + PT + PB) - EH) / DY + 1;
  localparam int OW = (int'(W + PL + PR) - EW) / DX + 1;
  localparam int Y_FIRST = -int'(PT);
  localparam int Y_LAST = (OH - 1) * DY - int'(PT);
  localparam int X_LAST = (OW - 1) * DX - int'(PL);
  localparam int Y_CROSS = (int'(PT) + DY - 1) / DY * DY - int'(PT);
  localparam int COLUMNS = int'(W) + (int'(PL + PR) + 1 > EW ? int'(PL + PR) + 1 - EW : 0);
  localparam int TAIL = X_LAST + EW > COLUMNS ? X_LAST + EW - COLUMNS : 0;
  localparam int BANKS = EH + (int'(W) <= TAIL || W == 1 ? 1 : 0);  // row memories
  localparam int DEPTH = BANKS * int'(W);
  localparam int PIXEL = int'(C * BITS);
  localparam int COLUMN = int'(KH) * PIXEL;

  // What is freed when a row of windows ends, besides its own top row column by column.
  localparam int FREE_ROW = (DY - 1) * int'(W);
  localparam int FREE_ROW_CROSS = Y_CROSS * int'(W);
  localparam int FREE_FRAME = FRAME - (Y_LAST >= 0 ? (Y_LAST + 1) * int'(W) : 0);

  // Bottom row of a window inside the frame, as the place of its first pixel.
  localparam int BOTTOM_LAST = int'(H - 1) * int'(W);
  localparam int BOTTOM_FIRST =
      EH - int'(PT) < int'(H) ? (EH - int'(PT) - 1) * int'(W) : BOTTOM_LAST;

  // Which memory holds the top row of a window.
  localparam int TURN_FIRST = (BANKS - int'(PT)) % BANKS;
  localparam int TURN_ROW = DY % BANKS;
  localparam int TURN_FRAME = (int'(H) + (BANKS - 1) * (OH - 1) * DY) % BANKS;

  localparam int XW = COLUMNS > 1 ? $clog2(COLUMNS) : 1;
  localparam int CW = W > 1 ? $clog2(W) : 1;
  localparam int YW = $clog2(H + PT + PB + SH) + 1;  // signed rows
  localparam int BW = BANKS > 1 ? $clog2(BANKS) : 1;
  localparam int TW = $clog2(TAIL + 1) > 0 ? $clog2(TAIL + 1) : 1;
  localparam int LW = $clog2(FRAME + DEPTH + int'(W)) + 2;  // signed distances

  if (TAIL > int'(W)) begin : gen_illegal_tail
    $error("ex_swg_parallel: the padding on the right must not reach over a whole row, W %0d", W);
  end

  // Writer: pixel by pixel into the row memories
  logic [CW-1:0] write_x_q;
  logic [BW-1:0] write_bank_q;
  logic signed [LW-1:0] level_q;  // pixels held; negative: later rows are freed already
  logic signed [LW-1:0] arrived_q;  // pixels written of the reader's frame and later ones
  logic take;
  logic signed [LW-1:0] over;  // of differences the sign alone counts, which needs no LUTs behind them
  assign over = level_q - LW'(DEPTH);
  assign s_ready = over[LW-1];
  assign take = s_valid && s_ready;

  // Reader: column steps
  logic [XW-1:0] x_q;  // column
  logic signed [YW-1:0] y0_q;  // top row of the windows
  logic signed [LW-1:0] need_q;  // place of the bottom pixel of the column
  logic signed [LW-1:0] bottom_q;  // place of the first pixel of the bottom row
  logic [BW-1:0] turn_q;  // memory of the top row
  logic [TW-1:0] tail_q;  // column steps that the last row of windows still needs
  logic frame_start, x_end, oy_end, pixel, ready, flush, go, step, row_end;
  logic signed [YW-1:0] y0_next;
  logic signed [LW-1:0] bottom_next, ahead;
  assign frame_start = x_q == '0 && y0_q == YW'(Y_FIRST);
  assign x_end = x_q == XW'(COLUMNS - 1);
  assign oy_end = y0_q == YW'(Y_LAST);
  assign ahead = frame_start && tail_q != '0 ? LW'(tail_q) - LW'(1) : '0;
  logic signed [LW-1:0] lack;
  assign lack = need_q + ahead - arrived_q;
  assign ready = !pixel || lack[LW-1];
  logic unused_differences;
  assign unused_differences = &{1'b0, over[LW-2:0], lack[LW-2:0]};
  assign flush = frame_start && tail_q != '0 && !ready;
  assign step = go && (ready || flush);
  assign row_end = step && !flush && x_end;
  assign y0_next = y0_q + YW'(SH);
  assign bottom_next = y0_next > YW'(int'(H) - EH) ? LW'(BOTTOM_LAST)
                                                         : bottom_q + LW'(DY * int'(W));
  if (COLUMNS > int'(W)) begin : gen_blank
    assign pixel = x_q < XW'(W);
  end else begin : gen_no_blank
    assign pixel = 1'b1;
  end

  logic signed [LW-1:0] freed;
  always_comb begin
    freed = '0;
    if (step && !flush) begin
      if (pixel && y0_q >= YW'(0)) freed = LW'(1);
      if (x_end) begin
        if (oy_end) freed = freed + LW'(FREE_FRAME);
        else if (y0_q >= YW'(0)) freed = freed + LW'(FREE_ROW);
        else if (y0_next >= YW'(0)) freed = freed + LW'(FREE_ROW_CROSS);
      end
    end
  end

  // The memory of the next top row, modulo BANKS
  logic [BW:0] turn_sum;
  assign turn_sum = {1'b0, turn_q} + (oy_end ? (BW + 1)'(TURN_FRAME) : (BW + 1)'(TURN_ROW));

  // Where windows end: at column x of their own row, or in its tail
  logic [COLUMNS-1:0] ends;
  logic [TAIL:0] tail_ends;  // with t steps to go; index 0 is not used
  for (genvar x = 0; x < COLUMNS; x++) begin : gen_ends
    localparam int X0 = x - EW + 1 + int'(PL);
    assign ends[x] = X0 >= 0 && X0 % DX == 0 && X0 / DX < OW;
  end
  for (genvar t = 0; t <= TAIL; t++) begin : gen_tail_ends
    localparam int X0 = TAIL - t + COLUMNS - EW + 1 + int'(PL);
    assign tail_ends[t] = t > 0 && X0 >= 0 && X0 % DX == 0 && X0 / DX < OW;
  end

  // Row memories, read synchronously
  logic [BANKS*PIXEL-1:0] banks_q;
  for (genvar b = 0; b < BANKS; b++) begin : gen_bank
    logic [PIXEL-1:0] memory[W];
    always_ff @(posedge clk) begin
      if (take && write_bank_q == BW'(b)) memory[write_x_q] <= s_data;
      if (step && pixel) banks_q[b*PIXEL+:PIXEL] <= memory[CW'(x_q)];
    end
  end

  // What goes along with the column that is being read
  logic column_valid_q, column_end_q;
  logic [KH-1:0] rows_q, rows;  // rows of the column inside the frame
  logic [EW-1:0] keep_q, keep;  // columns of the window that are inside of its row
  logic [BW-1:0] column_turn_q;
  for (genvar r = 0; r < int'(KH); r++) begin : gen_rows
    localparam int FROM = -r * int'(DH);
    localparam int UPTO = int'(H) - r * int'(DH);
    assign rows[r] = (FROM <= Y_FIRST || y0_q >= YW'(FROM)) && (UPTO > Y_LAST || y0_q < YW'(UPTO));
  end
  for (genvar k = 0; k < EW; k++) begin : gen_keep
    localparam int BACK = EW - 1 - k;  // steps since column k of the window came in
    localparam int LIMIT = TAIL + COLUMNS - BACK;
    logic own;  // column k came with the row at x_q
    logic old;  // it came before the row that the tail belongs to
    if (BACK > 0 && (k < int'(PL) || BACK < TAIL)) begin : gen_own
      assign own = BACK < COLUMNS && x_q >= XW'(BACK);
    end else begin : gen_all_own
      assign own = 1'b1;
    end
    assign old = LIMIT < TAIL && (LIMIT < 0 || tail_q > TW'(LIMIT));
    if (BACK < TAIL) begin : gen_edge
      assign keep[k] = tail_q == '0 ? own : flush ? !old : !old && !own;
    end else begin : gen_middle
      assign keep[k] = tail_q == '0 ? own : !old;
    end
  end

  // The column in the order of its rows, zero outside of the frame
  logic [COLUMN-1:0] column;
  always_comb begin
    column = '0;
    for (int r = 0; r < KH; r++) begin
      for (int b = 0; b < BANKS; b++) begin
        if (rows_q[r] && column_turn_q == BW'((b + BANKS - r * int'(DH)) % BANKS)) begin
          column[r*PIXEL+:PIXEL] = banks_q[b*PIXEL+:PIXEL];
        end
      end
    end
  end

  logic valid_q;
  logic [EW*COLUMN-1:0] window_q;  // the oldest column lowest
  logic [EW-1:0] window_keep_q;
  assign go = !valid_q || m_ready;
  assign m_valid = valid_q;

  always_ff @(posedge clk) begin
    if (take) begin
      write_x_q <= write_x_q + CW'(1);
      if (write_x_q == CW'(W - 1)) begin
        write_x_q <= '0;
        write_bank_q <= write_bank_q == BW'(BANKS - 1) ? '0 : write_bank_q + BW'(1);
      end
    end
    level_q <= level_q + (take ? LW'(1) : LW'(0)) - freed;
    arrived_q <= arrived_q + (take ? LW'(1) : LW'(0))
                 - (row_end && oy_end ? LW'(FRAME) : LW'(0));

    if (step) begin
      if (tail_q != '0) tail_q <= tail_q - TW'(1);
      if (!flush) begin
        x_q <= x_q + XW'(1);
        need_q <= need_q + LW'(1);
      end
    end
    if (row_end) begin
      x_q <= '0;
      tail_q <= TW'(TAIL);
      y0_q <= oy_end ? YW'(Y_FIRST) : y0_next;
      bottom_q <= oy_end ? LW'(BOTTOM_FIRST) : bottom_next;
      need_q <= oy_end ? LW'(BOTTOM_FIRST) : bottom_next;
      turn_q <= BW'(turn_sum >= (BW + 1)'(BANKS) ? turn_sum - (BW + 1)'(BANKS) : turn_sum);
    end

    if (go) begin
      column_valid_q <= step;
      valid_q <= column_valid_q && column_end_q;
      if (step) begin
        column_end_q <= (tail_q != '0 && tail_ends[tail_q]) || (!flush && ends[x_q]);
        rows_q <= flush || !pixel ? '0 : rows;
        keep_q <= keep;
        column_turn_q <= turn_q;
      end
      if (column_valid_q) begin
        window_q <= (EW * COLUMN)'({column, window_q} >> COLUMN);
        window_keep_q <= keep_q;
      end
    end

    if (rst) begin
      write_x_q <= '0;
      write_bank_q <= '0;
      level_q <= '0;
      arrived_q <= '0;
      x_q <= '0;
      y0_q <= YW'(Y_FIRST);
      need_q <= LW'(BOTTOM_FIRST);
      bottom_q <= LW'(BOTTOM_FIRST);
      turn_q <= BW'(TURN_FIRST);
      tail_q <= '0;
      column_valid_q <= 1'b0;
      valid_q <= 1'b0;
    end
  end

  localparam int PART = PIXEL / int'(BLOCKS);  // a block's bits of a pixel
  always_comb begin
    for (int b = 0; b < BLOCKS; b++) begin
      for (int r = 0; r < KH; r++) begin
        for (int k = 0; k < KW; k++) begin
          m_data[((b*KH+r)*KW+k)*PART+:PART] =
              window_keep_q[k*DW] ? window_q[k*DW*COLUMN+r*PIXEL+b*PART+:PART] : '0;
        end
      end
    end
  end

`ifdef EX_BULK
  assign busy = step || (go && (column_valid_q || valid_q));
`else
  assign busy = 1'b1;
`endif
endmodule
`default_nettype wire
