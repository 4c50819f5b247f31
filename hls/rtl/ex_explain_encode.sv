// ex_explain_encode: heat maps as packets of the compressed format, see exeunt.runtime.maps.
//
// s_data = the values of a map, signed, tile by tile in the order of the format: 16 values a tile,
// row by row, 0 beyond the edge of the map; s_last with the last value of the last tile. At most
// TILES tiles. With LOG a value is stored as its sign and floor(log2 |v|). What the header says (id to clipped) is read in the cycle in which s_last is taken.
// m_data = the packet word by word, m_last with the last one: 4 words of header, the payload, the
// CRC-32 of all that.
// One value a cycle, whatever the values: a tile takes as many cycles as it has values that are not
// 0, at least one, beside the 16 in which the next one comes. From the last value of a map, with n
// values that are not 0 in its last tile: max(1, n) + 4 cycles to the first word, then one word a
// cycle; the next map may begin max(1, n) + 2 cycles after it. While a packet leaves, two tiles of
// the next map enter.
// On stall m holds, then s waits. Reset: empty, what was under way is gone.
`default_nettype none

module ex_explain_encode #(
    parameter int BITS  = 8,    // of a value
    parameter int TILES = 64,   // of the largest map
    parameter bit LOG   = 1'b0  // values are stored logarithmically
) (
    input  wire            clk,
    input  wire            rst,
    input  wire [31:0]     id,
    input  wire [15:0]     class_id,
    input  wire [7:0]      exit_index,
    input  wire [3:0]      method,
    input  wire [7:0]      exponent,
    input  wire [15:0]     clipped,
    input  wire            s_valid,
    output wire            s_ready,
    input  wire [BITS-1:0] s_data,
    input  wire            s_last,
    output wire            m_valid,
    input  wire            m_ready,
    output wire [31:0]     m_data,
    output wire            m_last
);
  localparam int STORED = LOG ? 1 + $clog2(BITS) : BITS;  // bits of a value in the packet
  localparam int WORDS = (TILES * (17 + 16 * STORED) + 31) / 32;  // payload of the largest packet
  localparam int AW = WORDS > 1 ? $clog2(WORDS) : 1;
  localparam int CW = $clog2(WORDS + 6);  // counts the words of a packet
  localparam int LW = $clog2(TILES * (17 + 16 * STORED) + 1);  // counts the bits of a payload
  localparam int FW = 17 + STORED;  // most bits in a cycle
  localparam int NW = $clog2(FW + 1);

  if (BITS < 4 || BITS > 14) begin : g_bad_bits
    $error("ex_explain_encode: BITS must be 4 to 14, is %0d", BITS);
  end
  if (TILES < 1) begin : g_bad_tiles
    $error("ex_explain_encode: TILES must be at least 1, is %0d", TILES);
  end

  // ---------------------------------------------------------------- a tile is gathered
  logic              full_q, end_q;
  logic              closed_q;  // the last value of a map is in, and not yet turned to bits
  logic [3:0]        place_q;
  logic [15:0]       mask_q;
  logic [4:0]        count_q;
  logic [16*STORED-1:0] held_q;  // values that are not 0, the first one lowest

  wire move, ends;
  wire take = s_valid && s_ready;
  wire one = |s_data;
  logic [STORED-1:0] stored;
  if (LOG) begin : g_log
    wire [BITS-1:0] size = s_data[BITS-1] ? -s_data : s_data;
    logic [STORED-2:0] octave;
    always_comb begin
      octave = '0;
      for (int i = 1; i < BITS; i++) if (size[i]) octave = (STORED - 1)'(i);
    end
    assign stored = {s_data[BITS-1], octave};
  end else begin : g_linear
    assign stored = s_data;
  end
  wire [4:0] filled = place_q == 4'd0 ? 5'd0 : count_q;
  assign s_ready = !closed_q && (!full_q || move);

  always_ff @(posedge clk) begin
    if (move) full_q <= 1'b0;
    if (ends) closed_q <= 1'b0;
    if (take) begin
      closed_q <= s_last;
      place_q <= place_q + 4'd1;
      full_q  <= place_q == 4'd15;
      end_q   <= s_last;
      mask_q  <= {one, mask_q[15:1]};
      count_q <= filled + {4'd0, one};
      if (one) held_q[filled[3:0]*STORED +: STORED] <= stored;
    end
    if (rst) begin
      full_q   <= 1'b0;
      closed_q <= 1'b0;
      place_q  <= 4'd0;
    end
  end

  // ---------------------------------------------------------------- and turned to bits
  logic               busy_q, first_q, final_q;
  logic [15:0]        map_q;
  logic [4:0]         left_q;
  logic [16*STORED-1:0] values_q;

  logic sending_q;  // a packet leaves: no bits of the next one
  logic flush_q;    // the rest of the last word is written
  wire emit = busy_q && !sending_q;
  wire done = emit && left_q <= 5'd1;
  assign ends = done && final_q;  // the last bits of a map
  assign move = full_q && (!busy_q || done);

  always_ff @(posedge clk) begin
    if (emit) begin
      first_q  <= 1'b0;
      left_q   <= left_q - 5'd1;
      values_q <= values_q >> STORED;
    end
    if (done) busy_q <= 1'b0;
    if (move) begin
      busy_q   <= 1'b1;
      first_q  <= 1'b1;
      final_q  <= end_q;
      map_q    <= mask_q;
      left_q   <= count_q;
      values_q <= held_q;
    end
    if (rst) busy_q <= 1'b0;
  end

  wire none = left_q == 5'd0;
  wire [STORED-1:0] value = none ? '0 : values_q[STORED-1:0];
  wire [FW-1:0] bits = first_q ? {value, map_q, !none} : {17'd0, value};
  wire [NW-1:0] width = !first_q ? NW'(STORED) : none ? NW'(1) : NW'(FW);

  // ---------------------------------------------------------------- words of 32 bits
  logic [30:0]   rest_q;
  logic [4:0]    level_q;
  logic [LW-1:0] length_q;
  logic [CW-1:0] words_q;
  wire [62:0] joined = {32'd0, rest_q} | ({{(63 - FW) {1'b0}}, bits} << level_q);
  wire [6:0]  level = {2'd0, level_q} + {{(7 - NW) {1'b0}}, width};
  wire        write = (emit && level >= 7'd32) || (flush_q && level_q != 5'd0);

  (* no_rw_check *) logic [31:0] memory[WORDS];
  always_ff @(posedge clk) begin
    if (write) memory[words_q[AW-1:0]] <= emit ? joined[31:0] : {1'b0, rest_q};
  end

  wire over;  // the last word of a packet goes to the output
  always_ff @(posedge clk) begin
    flush_q <= ends;
    if (flush_q) sending_q <= 1'b1;
    if (write) words_q <= words_q + CW'(1);
    if (emit) begin
      rest_q   <= level >= 7'd32 ? joined[62:32] : joined[30:0];
      level_q  <= level[4:0];
      length_q <= length_q + {{(LW - NW) {1'b0}}, width};
    end
    if (over || rst) begin
      sending_q <= 1'b0;
      rest_q    <= 31'd0;
      level_q   <= 5'd0;
      length_q  <= '0;
      words_q   <= '0;
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
    if (take && s_last) waiting_q <= {clipped, exponent, method, exit_index, class_id, id};
    if (ends) begin
      {clipped_q, exponent_q, method_q, exit_q, class_q, id_q} <= waiting_q;
    end
  end

  logic [CW-1:0] at_q;  // of the word that goes to the output next
  logic [31:0]   crc_q, read_q, data_q;
  logic          valid_q, last_q;
  wire free = !valid_q || m_ready;
  wire load = sending_q && free;
  wire tail = at_q == words_q + CW'(4);
  assign over = load && tail;

  wire [CW-1:0] next = load ? at_q + CW'(1) : at_q;
  always_ff @(posedge clk) read_q <= memory[AW'(next - CW'(4))];

  logic [31:0] word;
  always_comb begin
    unique case (at_q)
      CW'(0):  word = id_q;
      CW'(1):  word = {LOG ? 4'd2 : 4'd1, method_q, exit_q, class_q};
      CW'(2):  word = {clipped_q, 8'(BITS), exponent_q};
      CW'(3):  word = 32'(length_q);
      default: word = read_q;
    endcase
  end

  logic [31:0] mixed;  // the CRC with the word that goes to the output
  always_comb begin
    mixed = crc_q ^ word;
    for (int i = 0; i < 32; i++) begin
      mixed = {1'b0, mixed[31:1]} ^ (mixed[0] ? 32'hedb88320 : 32'd0);
    end
  end

  always_ff @(posedge clk) begin
    if (m_ready) valid_q <= 1'b0;
    if (load) begin
      valid_q <= 1'b1;
      last_q  <= tail;
      data_q  <= tail ? ~crc_q : word;
      at_q    <= tail ? '0 : at_q + CW'(1);
      crc_q   <= tail ? '1 : mixed;
    end
    if (rst) begin
      valid_q <= 1'b0;
      at_q    <= '0;
      crc_q   <= '1;
    end
  end

  assign m_valid = valid_q;
  assign m_data = data_q;
  assign m_last = last_q;
endmodule

`default_nettype wire
