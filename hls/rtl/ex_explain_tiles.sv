// Part of ex_explain_encode: the values of maps, tile by tile, as pieces of the tile code of
// exeunt.runtime.maps.
//
// s_data = the values of a map, signed, tile by tile: 16 values a tile, row by row, 0 beyond the
// edge of the map; s_last with the last value of the last tile.
// m = a piece of `m_width` bits, the first one lowest; m_ends with the last one of a map. A tile of
// zeros is one piece: 0. Any other one is a piece for each value: 0, or 1 and the value as it is
// stored, in front of the first one a bit 1. With LOG a value is stored as its sign and floor(log2
// |v|).
// One value a cycle, whatever the values are: the pieces of a tile leave while the next one comes.
// From the last value of a tile 2 cycles to its first piece. On stall of m two tiles enter. From the
// last value of a map to its last piece s waits. Reset: empty.
`default_nettype none

module ex_explain_tiles #(
    parameter int BITS   = 8,    // of a value
    parameter bit LOG    = 1'b0, // values are stored logarithmically
    parameter int STORED = LOG ? 1 + $clog2(BITS) : BITS,
    parameter int PIECE  = STORED + 2,
    parameter int W_BITS = $clog2(PIECE + 1)
) (
    input  wire              clk,
    input  wire              rst,
    input  wire              s_valid,
    output wire              s_ready,
    input  wire [BITS-1:0]   s_data,
    input  wire              s_last,
    output wire              m_valid,
    input  wire              m_ready,
    output wire [PIECE-1:0]  m_bits,
    output wire [W_BITS-1:0] m_width,
    output wire              m_ends
);
  // ---------------------------------------------------------------- a tile is gathered
  logic       full_q;    // a tile waits
  logic       any_q;     // it has a value that is not 0
  logic       closed_q;  // the last value of a map is in, and its last piece has not left
  logic [3:0] place_q;
  logic       half_q;    // of `held`, into which values are written

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
  assign s_ready = !closed_q && (!full_q || move);

  (* no_rw_check, ram_style = "distributed" *) logic [STORED:0] held[32];  // {value, not 0}
  always_ff @(posedge clk) begin
    if (take) held[{half_q, place_q}] <= {stored, one};
    if (move) full_q <= 1'b0;
    if (ends) closed_q <= 1'b0;
    if (take) begin
      closed_q <= s_last;
      place_q  <= place_q + 4'd1;
      full_q   <= place_q == 4'd15;
      any_q    <= one || (any_q && place_q != 4'd0);
      if (place_q == 4'd15) half_q <= !half_q;
    end
    if (rst) begin
      full_q   <= 1'b0;
      closed_q <= 1'b0;
      place_q  <= 4'd0;
    end
  end

  // ---------------------------------------------------------------- and leaves in pieces
  logic       busy_q, some_q, final_q, from_q;
  logic [3:0] at_q;
  wire        emit = busy_q && m_ready;
  wire        done = emit && (!some_q || at_q == 4'd15);
  wire [STORED:0] value = held[{from_q, at_q}];
  assign ends = done && final_q;
  assign move = full_q && (!busy_q || done);

  always_ff @(posedge clk) begin
    if (emit) at_q <= at_q + 4'd1;
    if (done) busy_q <= 1'b0;
    if (move) begin
      busy_q  <= 1'b1;
      some_q  <= any_q;
      final_q <= closed_q;
      from_q  <= !half_q;
      at_q    <= 4'd0;
    end
    if (rst) busy_q <= 1'b0;
  end

  wire first = at_q == 4'd0;
  assign m_valid = busy_q;
  assign m_ends = final_q && (!some_q || at_q == 4'd15);
  wire [STORED:0] piece = value[0] ? value : '0;
  assign m_bits = !some_q ? '0 : first ? {piece, 1'b1} : {1'b0, piece};
  assign m_width = !some_q ? W_BITS'(1)
      : value[0] ? (first ? W_BITS'(STORED + 2) : W_BITS'(STORED + 1))
      : (first ? W_BITS'(2) : W_BITS'(1));
endmodule

`default_nettype wire
