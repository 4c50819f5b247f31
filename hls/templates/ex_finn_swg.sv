// FINN's feature map padding, then its sliding window (default style): (H, W, C) -> windows.
//
// SIMD elements a word in and out; each window is KH * KW * C / SIMD words, ordered (ky, kx, c).
// Padding adds a word of zeros a cycle; a window needs a cycle a word; frames do not overlap. On
// stall the last word waits and words are taken until the line buffer is full. On reset everything
// is forgotten. A frame's last word leaves without the next frame's input, and its padding waits
// until its first word is offered.
//
// BUFFER ... INNER are what FINN's compiler works out for this window; see
// exeunt.hls.back.kernels.finn.swg.
`default_nettype none

module ex_finn_swg #(
    parameter int BITS           = 2,  // bits of an element
    parameter int SIMD           = 1,  // elements a word
    parameter int C              = 1,  // channels
    parameter int H              = 2,  // rows without padding
    parameter int W              = 2,  // columns without padding
    parameter int PT             = 0,  // rows of padding on top
    parameter int PL             = 0,  // columns of padding on the left
    parameter int PB             = 0,  // rows of padding below
    parameter int PR             = 0,  // columns of padding on the right
    parameter int BUFFER         = 4,  // words of the line buffer
    parameter int LAST_READ      = 3,  // index of the last word of a padded frame
    parameter int LAST_WRITE     = 3,  // index of the last word that a window needs
    parameter int WINDOW         = 4,  // words of a window
    parameter int INCREMENT_BITS = 3,  // bits of an address step
    parameter int LOOP_H         = 0,  // loop counts less two, from the outside in
    parameter int LOOP_W         = 0,
    parameter int LOOP_KH        = 0,
    parameter int LOOP_KW        = 0,
    parameter int LOOP_SIMD      = 0,
    parameter int HEAD_SIMD      = 1,  // address steps at the end of each loop
    parameter int HEAD_KW        = 1,
    parameter int HEAD_KH        = 1,
    parameter int HEAD_W         = 1,
    parameter int HEAD_H         = 1,
    parameter int TAIL_W         = 1,  // steps of the oldest word still needed
    parameter int TAIL_H         = 1,
    parameter int TAIL_LAST      = 1,
    parameter int INNER          = 1   // innermost loop: 1 simd, 2 kw, 3 kh
) (
    input  wire                 clk,
    input  wire                 rst,
    input  wire                 s_valid,
    output wire                 s_ready,
    input  wire [SIMD*BITS-1:0] s_data,
    output wire                 m_valid,
    input  wire                 m_ready,
    output wire [SIMD*BITS-1:0] m_data
);

  localparam int WIDTH = SIMD * BITS;
  localparam int BYTES = (WIDTH + 7) / 8;

  wire padded_valid, padded_ready;
  wire [WIDTH-1:0] padded_data;

  if (PT + PL + PB + PR == 0) begin : g_direct
    assign padded_valid = s_valid;
    assign s_ready = padded_ready;
    assign padded_data = s_data;
  end else begin : g_padding
    localparam int IN_WORDS = H * W * C / SIMD;
    localparam int IN_COUNT_BITS = IN_WORDS > 1 ? $clog2(IN_WORDS) : 1;
    localparam int COUNT_BITS = $clog2(LAST_READ + 1);

    wire padding_valid, padding_ready;
    logic [IN_COUNT_BITS-1:0] taken_q;  // word of the frame that is offered next
    logic [COUNT_BITS-1:0] read_q;      // word of the padded frame that the window reads next
    logic [1:0] begun_q;                // frames that were begun here and not in the window

    wire begins = s_valid && s_ready && taken_q == '0;
    wire reads = padded_valid && padded_ready;
    wire first = read_q == '0;
    wire open = !first || begun_q != '0 || (s_valid && taken_q == '0);

    assign padded_valid = padding_valid && open;
    assign padding_ready = padded_ready && open;

    always_ff @(posedge clk) begin
      if (rst) begin
        taken_q <= '0;
        read_q  <= '0;
        begun_q <= '0;
      end else begin
        if (s_valid && s_ready)
          taken_q <= taken_q == IN_COUNT_BITS'(IN_WORDS - 1) ? '0 : taken_q + 1'b1;
        if (reads) read_q <= read_q == COUNT_BITS'(LAST_READ) ? '0 : read_q + 1'b1;
        if (begins && !(reads && first)) begun_q <= begun_q + 1'b1;
        else if (!begins && reads && first) begun_q <= begun_q - 1'b1;
      end
    end

    wire [BYTES*8-1:0] bytes;
    assign padded_data = bytes[WIDTH-1:0];
    wire unused = &{1'b0, bytes};
    fmpadding #(
        .XCOUNTER_BITS($clog2(PL + W + PR + 1)),
        .YCOUNTER_BITS($clog2(PT + H + PB + 1)),
        .NUM_CHANNELS(C),
        .SIMD(SIMD),
        .ELEM_BITS(BITS),
        .INIT_XON(PL),
        .INIT_XOFF(PL + W),
        .INIT_XEND(PL + W + PR - 1),
        .INIT_YON(PT),
        .INIT_YOFF(PT + H),
        .INIT_YEND(PT + H + PB - 1)
    ) u_padding (
        .ap_clk(clk),
        .ap_rst_n(!rst),
        .we(1'b0),
        .wa(5'd0),
        .wd(32'd0),
        .s_axis_tready(s_ready),
        .s_axis_tvalid(s_valid),
        .s_axis_tdata({{(BYTES * 8 - WIDTH){1'b0}}, s_data}),
        .m_axis_tready(padding_ready),
        .m_axis_tvalid(padding_valid),
        .m_axis_tdata(bytes)
    );
  end

  ex_finn_swg_window #(
      .BIT_WIDTH(BITS),
      .SIMD(SIMD),
      .MMV_IN(1),
      .MMV_OUT(1),
      .LAST_READ_ELEM(LAST_READ),
      .LAST_WRITE_ELEM(LAST_WRITE),
      .BUF_ELEM_TOTAL(BUFFER),
      .ELEM_PER_WINDOW(WINDOW),
      .INCR_BITWIDTH(INCREMENT_BITS),
      .LOOP_H(LOOP_H),
      .LOOP_W(LOOP_W),
      .LOOP_KH(LOOP_KH),
      .LOOP_KW(LOOP_KW),
      .LOOP_SIMD(LOOP_SIMD),
      .HEAD_SIMD(HEAD_SIMD),
      .HEAD_KW(HEAD_KW),
      .HEAD_KH(HEAD_KH),
      .HEAD_W(HEAD_W),
      .HEAD_H(HEAD_H),
      .TAIL_W(TAIL_W),
      .TAIL_H(TAIL_H),
      .TAIL_LAST(TAIL_LAST),
      .INNER(INNER)
  ) u_window (
      .ap_clk(clk),
      .ap_rst_n(!rst),
      .in0_V_V_TVALID(padded_valid),
      .in0_V_V_TREADY(padded_ready),
      .in0_V_V_TDATA(padded_data),
      .out_V_V_TVALID(m_valid),
      .out_V_V_TREADY(m_ready),
      .out_V_V_TDATA(m_data)
  );

endmodule

`default_nettype wire
