// ex_explain_encode: heat maps as packets of the compressed format, see exeunt.runtime.maps.
//
// s_data = the values of a map, signed, s_last with the last one; at most MOST bits of payload come
// of it. CODE 0 and 1, linear and logarithmic: tile by tile, see ex_explain_tiles. CODE 2, levels:
// the channels of a pixel one after another, s_end with the last one, all pixels twice, with
// `measure` the first time, see ex_explain_levels; `absolute`, `factor` and `shift` belong to it.
// What the header says (id to clipped) is read in the cycle in which s_last is taken.
// m_data = the packet word by word, m_last with the last one: 4 words of header, the payload, the
// CRC-32 of all that.
// One value a cycle, whatever the values are. A packet leaves a word every 32 / UNIT cycles, UNIT = 8
// bits a cycle where a piece of the payload has no more than 8, else 16: 2 + 32 / UNIT cycles from the
// last piece to the first word. While it leaves, no piece of the next map does: two tiles of it
// enter, or it is measured. On stall m holds, then s waits. Reset: empty, what was under way is gone.
`default_nettype none

module ex_explain_encode #(
    parameter int BITS     = 8,    // of a value
    parameter int CODE     = 0,    // 0 linear, 1 logarithmic, 2 levels
    parameter int CHANNELS = 1,    // most of a pixel, with levels
    parameter int MOST     = 7105  // bits of the largest payload
) (
    input  wire            clk,
    input  wire            rst,
    input  wire [31:0]     id,
    input  wire [15:0]     class_id,
    input  wire [7:0]      exit_index,
    input  wire [3:0]      method,
    input  wire [7:0]      exponent,
    input  wire [15:0]     clipped,
    input  wire            measure,
    input  wire            absolute,
    input  wire [7:0]      factor,
    input  wire [4:0]      shift,
    input  wire            s_valid,
    output wire            s_ready,
    input  wire [BITS-1:0] s_data,
    input  wire            s_end,
    input  wire            s_last,
    output wire            m_valid,
    input  wire            m_ready,
    output wire [31:0]     m_data,
    output wire            m_last
);
  localparam int STORED = CODE == 1 ? 1 + $clog2(BITS) : BITS;  // bits of a value in a tile
  localparam int PIECE = CODE == 2 ? 8 : STORED + 2;  // most bits in a cycle
  localparam int WW = $clog2(PIECE + 1);
  localparam int UNIT = PIECE <= 8 ? 8 : 16;
  localparam int LOGU = UNIT == 8 ? 3 : 4;
  localparam int EACH = 32 / UNIT;  // units of a word
  localparam int SUB = 5 - LOGU;
  localparam int HEAD = 4 * EACH;  // of the header
  localparam int UNITS = (MOST + UNIT - 1) / UNIT;  // of the largest payload
  localparam int MW = UNITS > 1 ? $clog2(UNITS) : 1;
  localparam int AW = $clog2(UNITS + 2 * EACH + HEAD);

  if (BITS < 4 || BITS > 14) begin : g_bad_bits
    $error("ex_explain_encode: BITS must be 4 to 14, is %0d", BITS);
  end
  if (CODE < 0 || CODE > 2) begin : g_bad_code
    $error("ex_explain_encode: CODE must be 0, 1 or 2, is %0d", CODE);
  end
  if (MOST < 1) begin : g_bad_most
    $error("ex_explain_encode: MOST must be at least 1, is %0d", MOST);
  end

  // ---------------------------------------------------------------- values to pieces
  logic sending_q;  // a packet leaves: no bits of the next one
  logic flush_q;    // the rest of the last unit is written
  wire piece_valid, piece_ends;
  wire piece_ready = !sending_q && !flush_q;
  wire [PIECE-1:0] bits;
  wire [WW-1:0] width;

  if (CODE == 2) begin : g_levels
    localparam int PIXELS = (MOST - 16) / 4;  // most of a map
    ex_explain_levels #(.BITS(BITS), .CHANNELS(CHANNELS), .PIXELS(PIXELS)) front (
        .clk(clk), .rst(rst),
        .measure(measure), .absolute(absolute), .factor(factor), .shift(shift),
        .s_valid(s_valid), .s_ready(s_ready), .s_data(s_data), .s_end(s_end), .s_last(s_last),
        .m_valid(piece_valid), .m_ready(piece_ready), .m_bits(bits), .m_width(width),
        .m_ends(piece_ends)
    );
  end else begin : g_tiles
    ex_explain_tiles #(.BITS(BITS), .LOG(CODE == 1)) front (
        .clk(clk), .rst(rst),
        .s_valid(s_valid), .s_ready(s_ready), .s_data(s_data), .s_last(s_last),
        .m_valid(piece_valid), .m_ready(piece_ready), .m_bits(bits), .m_width(width),
        .m_ends(piece_ends)
    );
    wire unused = ^{absolute, factor, shift, s_end};
  end
  wire emit = piece_valid && piece_ready;
  wire ends = emit && piece_ends;

  // ---------------------------------------------------------------- pieces to units
  logic [UNIT-2:0] rest_q;
  logic [LOGU-1:0] level_q;
  logic [AW-1:0]   units_q;
  wire [PIECE-1:0] added = emit ? bits : '0;
  wire [2*UNIT-2:0] joined = (2 * UNIT - 1)'(rest_q) | ((2 * UNIT - 1)'(added) << level_q);
  wire [LOGU+1:0] level = (LOGU + 2)'(level_q) + (LOGU + 2)'(width);
  wire whole = |level[LOGU+1:LOGU];
  wire write = (emit && whole) || (flush_q && level_q != '0);

  (* no_rw_check *) logic [UNIT-1:0] memory[UNITS];
  always_ff @(posedge clk) begin
    if (write) memory[units_q[MW-1:0]] <= joined[UNIT-1:0];
  end

  wire over;  // the last unit of a packet goes to the output
  logic [AW+LOGU-1:0] length_q;
  always_ff @(posedge clk) begin
    flush_q <= ends;
    if (flush_q) begin
      sending_q <= 1'b1;
      length_q  <= {units_q, level_q};
    end
    if (write) units_q <= units_q + 1'b1;
    if (emit) begin
      rest_q  <= whole ? joined[2*UNIT-2:UNIT] : joined[UNIT-2:0];
      level_q <= level[LOGU-1:0];
    end
    if (over || rst) begin
      sending_q <= 1'b0;
      rest_q    <= '0;
      level_q   <= '0;
      units_q   <= '0;
    end
    if (rst) flush_q <= 1'b0;
  end

  // ---------------------------------------------------------------- the packet
  logic [31:0]  id_q;
  logic [15:0]  class_q, clipped_q;
  logic [7:0]   exit_q, exponent_q;
  logic [3:0]   method_q;
  logic [83:0]  waiting_q;  // of the map that enters
  always_ff @(posedge clk) begin
    if (s_valid && s_ready && s_last && !measure) begin
      waiting_q <= {clipped, exponent, method, exit_index, class_id, id};
    end
    if (ends) begin
      {clipped_q, exponent_q, method_q, exit_q, class_q, id_q} <= waiting_q;
    end
  end

  // Units that have gone to the output: below 0 those of the header.
  logic signed [AW:0] at_q;
  logic               past_q, tail_q;  // behind the payload; in the CRC
  logic [31:0]        crc_q, data_q;
  logic [UNIT-1:0]    read_q;
  logic               valid_q, last_q;
  wire free = !valid_q || m_ready;
  wire load = sending_q && free;
  wire starts = at_q[SUB-1:0] == '0;
  wire closes = at_q[SUB-1:0] == '1;
  wire past = past_q || at_q == $signed({1'b0, units_q});
  wire tail = tail_q || (past && starts);
  assign over = load && tail && closes;

  wire [AW:0] next = load ? at_q + 1'b1 : at_q;
  always_ff @(posedge clk) read_q <= memory[next[MW-1:0]];

  wire [127:0] header = {
    32'(length_q), clipped_q, 8'(BITS), exponent_q, 4'(CODE + 1), method_q, exit_q, class_q, id_q
  };
  logic [UNIT-1:0] unit;
  always_comb begin
    unit = past ? '0 : read_q;
    if (at_q[AW]) unit = header[at_q[6-LOGU:0]*UNIT+:UNIT];
    if (tail) unit = crc_q[UNIT-1:0];
  end

  logic [31:0] mixed;  // the CRC with the unit that goes to the output; in the tail shifted alone
  always_comb begin
    mixed = crc_q ^ 32'(unit);
    for (int i = 0; i < UNIT; i++) begin
      mixed = {1'b0, mixed[31:1]} ^ (mixed[0] ? 32'hedb88320 : 32'd0);
    end
  end

  always_ff @(posedge clk) begin
    if (m_ready) valid_q <= 1'b0;
    if (load) begin
      valid_q <= closes;
      last_q  <= tail;
      data_q  <= {tail ? ~unit : unit, data_q[31:UNIT]};
      at_q    <= next;
      past_q  <= past;
      tail_q  <= tail;
      crc_q   <= mixed;
    end
    if (over || rst) begin
      at_q   <= (AW + 1)'(-HEAD);
      past_q <= 1'b0;
      tail_q <= 1'b0;
      crc_q  <= '1;
    end
    if (rst) valid_q <= 1'b0;
  end

  assign m_valid = valid_q;
  assign m_data = data_q;
  assign m_last = last_q;
endmodule

`default_nettype wire
