// Sliding window, serial: every window of a zero-padded (H, W, C) frame as KH * KW * C elements,
// SIMD elements a beat in and out.
//
//   m[oy][ox][b][ky][kx][c] = s[oy*SH - PT + ky*DH][ox*SW - PL + kx*DW][b][c], 0 outside of the
//   frame, b one of BLOCKS blocks of C / BLOCKS channels, last index fastest;
//   OH = (H + PT + PB - EH) / SH + 1 with EH = (KH - 1) * DH + 1, OW likewise
//
// A ring of DEPTH words keeps what later windows still need. Input goes on, across rows and
// frames, while there is room; output goes on as soon as its word is there. A window waits for
// the oldest word that may still be needed, so a frame's first output waits for its first input,
// and no output waits for a word of the next frame. Where a word lies, whether it is inside of the
// frame and what it waits for is found out one word ahead. Latency: 2 cycles from an input word to
// the output of its value. Throughput: a frame in max(H*W, OH*OW*KH*KW) * C / SIMD cycles, without a
// gap between frames. Stall: the output word is held, input is accepted until the ring is full.
// Reset: empty, at the start of a frame. busy: a word moves inside or leaves (see ex_gate).
`default_nettype none
module ex_swg #(
    parameter int unsigned BITS = 8,  // bits of an element
    parameter int unsigned SIMD = 1,  // elements a beat
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
    parameter int unsigned BLOCKS = 1  // blocks of channels that leave one behind the other
) (
    input  wire logic                 clk,
    input  wire logic                 rst,
    input  wire logic                 s_valid,
    output      logic                 s_ready,
    input  wire logic [SIMD*BITS-1:0] s_data,
    output      logic                 m_valid,
    input  wire logic                 m_ready,
    output      logic [SIMD*BITS-1:0] m_data,
    output      logic                 busy
);
  localparam int EH = int'((KH - 1) * DH) + 1;  // rows from first to last of a window
  localparam int EW = int'((KW - 1) * DW) + 1;  // columns

  if (C % (BLOCKS * SIMD) != 0) begin : gen_illegal_simd
    $error("ex_swg: BLOCKS * SIMD must divide C %0d, not be %0d * %0d", C, BLOCKS, SIMD);
  end
  if (DH < 1 || DW < 1) begin : gen_illegal_dilation
    $error("ex_swg: DH and DW must be at least 1, not %0d and %0d", DH, DW);
  end
  if (EH > int'(H + PT + PB) || EW > int'(W + PL + PR)) begin : gen_illegal_kernel
    $error("ex_swg: a window must lie inside the padded frame %0dx%0d, not be %0dx%0d",
           H + PT + PB, W + PL + PR, EH, EW);
  end
  if (int'(PT) >= EH || int'(PB) >= EH || int'(PL) >= EW || int'(PR) >= EW) begin : gen_illegal_pad
    $error("ex_swg: PT, PB must be below %0d rows and PL, PR below %0d columns, not %0d %0d %0d %0d",
           EH, EW, PT, PB, PL, PR);
  end
  if (SH < 1 || SW < 1) begin : gen_illegal_stride
    $error("ex_swg: SH and SW must be at least 1, not %0d and %0d", SH, SW);
  end

  // All distances below are in words, signed, counted in stream order.
  localparam int F = int'(C / SIMD);
  localparam int FB = F / int'(BLOCKS);  // of a block
  localparam int ROW = int'(W) * F;
  localparam int FRAME = int'(H) * ROW;
  localparam int DY = SH > 0 ? int'(SH) : 1;
  localparam int DX = SW > 0 ? int'(SW) : 1;
  localparam int OH = (int'(H + PT + PB) - EH) / DY + 1;
  localparam int OW = (int'(W + PL + PR) - EW) / DX + 1;
  localparam int WINDOW = int'(KH * KW) * F;
  localparam int Y_FIRST = -int'(PT);
  localparam int X_FIRST = -int'(PL);
  localparam int Y_LAST = (OH - 1) * DY - int'(PT);
  localparam int X_LAST = (OW - 1) * DX - int'(PL);
  localparam int Y_CROSS = (int'(PT) + DY - 1) / DY * DY - int'(PT);
  localparam int X_CROSS = (int'(PL) + DX - 1) / DX * DX - int'(PL);

  // The base is the first word that this or a later window may need; it moves window by window.
  localparam int X_LAST_BASE = (X_LAST > 0 ? X_LAST : 0) * F;
  localparam int MOVE_COLUMN = DX * F;
  localparam int MOVE_COLUMN_CROSS = X_CROSS * F;
  localparam int MOVE_ROW = DY * ROW - X_LAST_BASE;
  localparam int MOVE_ROW_CROSS = Y_CROSS * ROW;
  localparam int LAST_BASE = Y_LAST >= 0 ? Y_LAST * ROW + X_LAST_BASE : 0;
  localparam int MOVE_FRAME = FRAME - LAST_BASE;

  // From word to word of a window, and from window to window.
  localparam int NEXT_COLUMN = int'(DW) * F - FB + 1;
  localparam int NEXT_ROW = int'(DH) * ROW - (EW - 1) * F - FB + 1;
  localparam int NEXT_BLOCK = 1 - (EH - 1) * ROW - (EW - 1) * F;
  localparam int WINDOW_COLUMN = DX * F;
  localparam int WINDOW_ROW = DY * ROW - (OW - 1) * DX * F;
  localparam int WINDOW_FRAME = FRAME - (OH - 1) * DY * ROW - (OW - 1) * DX * F;

  // Ring size: what is kept over the worst step from row to row, and from frame to frame, and
  // what is freed during the windows in which the new words of that step come in.
  localparam int HEAD_ROWS = EH - int'(PT) < int'(H) ? EH - int'(PT) : int'(H);
  localparam int HEAD_COLUMNS = EW - int'(PL) < int'(W) ? EW - int'(PL) : int'(W);
  localparam int HEAD = (HEAD_ROWS - 1) * ROW + HEAD_COLUMNS * F;
  localparam int NEW_ROW = (DY - 1) * ROW + EW * F;
  localparam int KEEP_ROW = (EH - 1) * ROW + EW * F + NEW_ROW;
  localparam int KEEP_FRAME = FRAME - LAST_BASE + HEAD;
  localparam int FREE_ROW = (NEW_ROW / WINDOW + 2) * MOVE_COLUMN;
  localparam int FREE_FRAME = ((FRAME - LAST_BASE + HEAD) / WINDOW + 2) * MOVE_COLUMN;
  localparam int NEED_ROW = KEEP_ROW + FREE_ROW;
  localparam int NEED_FRAME = KEEP_FRAME + FREE_FRAME;
  localparam int DEPTH = (NEED_ROW > NEED_FRAME ? NEED_ROW : NEED_FRAME) + 2;

  localparam int AW = $clog2(DEPTH);
  localparam int LW = $clog2(FRAME + DEPTH + (int'(PT) + EH) * ROW) + 2;  // signed distances
  localparam int FW = FB > 1 ? $clog2(FB) : 1;
  localparam int BW = BLOCKS > 1 ? $clog2(BLOCKS) : 1;
  localparam int KXW = KW > 1 ? $clog2(KW) : 1;
  localparam int KYW = KH > 1 ? $clog2(KH) : 1;
  localparam int XW = $clog2(W + PL + PR + SW + DW) + 1;  // signed columns
  localparam int YW = $clog2(H + PT + PB + SH + DH) + 1;  // signed rows

  // The same distances in the ring: 0 to DEPTH - 1.
  localparam int TURN_COLUMN = (NEXT_COLUMN % DEPTH + DEPTH) % DEPTH;
  localparam int TURN_ROW = (NEXT_ROW % DEPTH + DEPTH) % DEPTH;
  localparam int TURN_BLOCK = (NEXT_BLOCK % DEPTH + DEPTH) % DEPTH;
  localparam int TURN_WINDOW_COLUMN = (WINDOW_COLUMN % DEPTH + DEPTH) % DEPTH;
  localparam int TURN_WINDOW_ROW = (WINDOW_ROW % DEPTH + DEPTH) % DEPTH;
  localparam int TURN_WINDOW_FRAME = (WINDOW_FRAME % DEPTH + DEPTH) % DEPTH;
  localparam int FIRST = ((Y_FIRST * ROW + X_FIRST * F) % DEPTH + DEPTH) % DEPTH;

  // A word is never read while it is written: it is waited for.
  (* no_rw_check *) logic [SIMD*BITS-1:0] memory[DEPTH];
  logic [SIMD*BITS-1:0] read_q;
  logic valid_q, zero_q;

  // Writer
  logic [AW-1:0] write_q;  // where the next input word goes
  // Words in the ring from the base on, less DEPTH, so that the sign says whether there is room; how
  // many words are waited for, and where windows and words are, is less DEPTH too.
  logic signed [LW-1:0] level_q;
  logic take;
  assign s_ready = level_q[LW-1];
  assign take = s_valid && s_ready;

  // Reader: the next output word
  logic known_q;  // what follows is known; always, but in the cycle after a reset
  logic present_q;  // it is inside of the frame
  logic [AW-1:0] address_q;  // where it is in the ring
  logic signed [LW-1:0] need_q;  // how many words it waits for, less DEPTH
  logic signed [LW-1:0] move_q;  // how far the base moves with it
  logic signed [LW-1:0] lack;  // what it waits for less what is there: its sign alone counts
  logic go, step, load;
  assign go = !valid_q || m_ready;
  assign lack = need_q - level_q;
  assign step = go && lack[LW-1];
  logic unused_lack;
  assign unused_lack = &{1'b0, lack[LW-2:0]};
  assign load = step || !known_q;

  // Position of the word behind it
  logic [FW-1:0] fold_q;
  logic [KXW-1:0] kx_q;
  logic [KYW-1:0] ky_q;
  logic [BW-1:0] block_q;
  logic signed [XW-1:0] x0_q, x_q;  // column of the window, of the word
  logic signed [YW-1:0] y0_q, y_q;  // row of the window, of the word
  logic [AW-1:0] first_q, word_q;  // where the window begins in the ring, where the word is
  logic signed [LW-1:0] window_q, offset_q;  // window and word, from the base on, less DEPTH
  logic fold_end_q, kx_end_q, ky_end_q, block_end_q, ox_end_q, oy_end_q;  // counters at their end
  logic window_end, present;
  logic signed [XW-1:0] x0_next;
  logic signed [YW-1:0] y0_next;
  assign window_end = fold_end_q && kx_end_q && ky_end_q && block_end_q;
  assign present = x_q >= XW'(0) && x_q < XW'(W) && y_q >= YW'(0) && y_q < YW'(H);
  assign x0_next = x0_q + XW'(SW);
  assign y0_next = y0_q + YW'(SH);

  // Move of the base, and the next window counted from the new base
  logic signed [LW-1:0] move, window_next;
  always_comb begin
    move = '0;
    window_next = window_q;
    if (!ox_end_q) begin
      window_next = window_q + LW'(MOVE_COLUMN);
      if (y0_q >= YW'(0)) begin
        if (x0_q >= XW'(0)) begin
          move = LW'(MOVE_COLUMN);
          window_next = window_q;
        end else if (x0_next >= XW'(0)) begin
          move = LW'(MOVE_COLUMN_CROSS);
          window_next = LW'(-DEPTH);
        end
      end
    end else if (!oy_end_q) begin
      window_next = LW'(X_FIRST * F - DEPTH);
      if (y0_q >= YW'(0)) move = LW'(MOVE_ROW);
      else if (y0_next >= YW'(0)) move = LW'(MOVE_ROW_CROSS);
      else window_next = window_q + LW'(DY * ROW - (OW - 1) * MOVE_COLUMN);
    end else begin
      move = LW'(MOVE_FRAME);
      window_next = LW'(Y_FIRST * ROW + X_FIRST * F - DEPTH);
    end
  end

  // The next place in the ring: a sum below 2 * DEPTH, and beside it the same less DEPTH
  logic [AW-1:0] from, turn, sum, place;
  logic [AW:0] back;
  always_comb begin
    turn = AW'(1);
    if (fold_end_q) begin
      turn = AW'(TURN_COLUMN);
      if (kx_end_q) turn = ky_end_q ? AW'(TURN_BLOCK) : AW'(TURN_ROW);
    end
    if (window_end) begin
      turn = AW'(TURN_WINDOW_COLUMN);
      if (ox_end_q) turn = oy_end_q ? AW'(TURN_WINDOW_FRAME) : AW'(TURN_WINDOW_ROW);
    end
  end
  assign from = window_end ? first_q : word_q;
  assign sum = from + turn;
  assign back = {1'b0, from} + (AW + 1)'({1'b0, turn} - (AW + 1)'(DEPTH));  // negative: not needed
  assign place = back[AW] ? sum : AW'(back);

  always_ff @(posedge clk) begin
    if (take) begin
      memory[write_q] <= s_data;
      write_q <= write_q == AW'(DEPTH - 1) ? '0 : write_q + AW'(1);
    end
    level_q <= level_q + (take ? LW'(1) : LW'(0)) - (step ? move_q : LW'(0));

    if (go) valid_q <= step;
    if (step) begin
      zero_q <= !present_q;
      read_q <= memory[address_q];
    end
    if (load) begin
      known_q <= 1'b1;
      present_q <= present;
      address_q <= word_q;
      need_q <= present ? offset_q : LW'(-DEPTH);
      move_q <= window_end ? move : LW'(0);
      word_q <= place;
      fold_q <= fold_q + FW'(1);
      fold_end_q <= FB == 1 || fold_q == FW'(FB - 2);
      offset_q <= offset_q + LW'(1);
      if (fold_end_q) begin
        fold_q <= '0;
        fold_end_q <= FB == 1;
        kx_q   <= kx_q + KXW'(1);
        kx_end_q <= KW == 1 || kx_q == KXW'(KW - 2);
        x_q    <= x_q + XW'(DW);
        offset_q <= offset_q + LW'(NEXT_COLUMN);
        if (kx_end_q) begin
          kx_q <= '0;
          kx_end_q <= KW == 1;
          x_q <= x0_q;
          ky_q <= ky_q + KYW'(1);
          ky_end_q <= KH == 1 || ky_q == KYW'(KH - 2);
          y_q <= y_q + YW'(DH);
          offset_q <= offset_q + LW'(NEXT_ROW);
          if (ky_end_q) begin
            ky_q <= '0;
            ky_end_q <= KH == 1;
            y_q <= y0_q;
            block_q <= block_q + BW'(1);
            block_end_q <= BLOCKS == 1 || block_q == BW'(BLOCKS - 2);
            offset_q <= offset_q + LW'(NEXT_BLOCK);
          end
        end
      end
      if (window_end) begin
        block_q <= '0;
        block_end_q <= BLOCKS == 1;
        first_q <= place;
        window_q <= window_next;
        offset_q <= window_next;
        x0_q <= ox_end_q ? XW'(X_FIRST) : x0_next;
        ox_end_q <= OW == 1 || (!ox_end_q && x0_q == XW'(X_LAST - DX));
        x_q  <= ox_end_q ? XW'(X_FIRST) : x0_next;
        y_q  <= y0_q;
        if (ox_end_q) begin
          y0_q <= oy_end_q ? YW'(Y_FIRST) : y0_next;
          oy_end_q <= OH == 1 || (!oy_end_q && y0_q == YW'(Y_LAST - DY));
          y_q  <= oy_end_q ? YW'(Y_FIRST) : y0_next;
        end
      end
    end
    if (rst) begin
      write_q <= '0;
      level_q <= LW'(-DEPTH);
      valid_q <= 1'b0;
      known_q <= 1'b0;
      need_q <= LW'(-DEPTH);
      fold_q <= '0;
      kx_q <= '0;
      ky_q <= '0;
      block_q <= '0;
      fold_end_q <= FB == 1;
      kx_end_q <= KW == 1;
      ky_end_q <= KH == 1;
      block_end_q <= BLOCKS == 1;
      ox_end_q <= OW == 1;
      oy_end_q <= OH == 1;
      x0_q <= XW'(X_FIRST);
      x_q <= XW'(X_FIRST);
      y0_q <= YW'(Y_FIRST);
      y_q <= YW'(Y_FIRST);
      first_q <= AW'(FIRST);
      word_q <= AW'(FIRST);
      window_q <= LW'(Y_FIRST * ROW + X_FIRST * F - DEPTH);
      offset_q <= LW'(Y_FIRST * ROW + X_FIRST * F - DEPTH);
    end
  end

  assign m_valid = valid_q;
  assign m_data = zero_q ? '0 : read_q;

`ifdef EX_BULK
  assign busy = load || (valid_q && m_ready);
`else
  assign busy = 1'b1;
`endif
endmodule
`default_nettype wire
