// ex_band: part of ex_hold: an offset that holds the share of hits among events within a band.
//
// count: an event in this cycle, hit: it is a hit. last + 1 events in a row, from 8 on, are a
// window; the next one follows. Of a window with h hits:
//   h > high: held - step;  h < low: held + step;  else held;
// in the order given, between floor and ceiling, signed, which are at most 0 and at least 0. The
// new offset is in held from the ninth event after the window on: its register is loaded with the
// eighth. Events may come in every cycle, so held depends on their order alone and not on cycles.
// raised, lowered: in the cycle of that eighth event, held is about to become another number.
// Settings may only change while rst is high. Reset: held 0, a window begins.
`default_nettype none

module ex_band #(
    parameter int HELD = 12  // bits of an offset
) (
    input  wire            clk,
    input  wire            rst,
    input  wire            count,
    input  wire            hit,
    input  wire [15:0]     last,     // events of a window less 1
    input  wire [15:0]     low,
    input  wire [15:0]     high,
    input  wire [HELD-1:0] step,     // signed, not below 0, as the next two with it
    input  wire [HELD-1:0] floor,
    input  wire [HELD-1:0] ceiling,
    output wire [HELD-1:0] held,
    output wire            raised,
    output wire            lowered
);
  localparam logic [2:0] LAG = 3'd7;  // events after a window before the one that loads held

  if (HELD < 2 || HELD > 30) begin : g_bad_held
    $error("ex_band: HELD must be 2 to 30, is %0d", HELD);
  end

  logic [15:0] left_q;   // events that the window lacks behind the next one
  logic [2:0]  since_q;  // events of the window so far, modulo 8: held is loaded again in vain
  logic        seen_q, hit_q, ends_q;  // the event of the cycle before
  logic [16:0] hits_q, total_q;
  logic        full_q, raise_q, lower_q, tried_q, up_q, moves_q;
  logic [HELD:0]   sum_q;
  logic [HELD-1:0] next_q, held_q;

  wire ends = left_q == '0;
  wire load = count && since_q == LAG;
  wire [16:0] hits = hits_q + 17'(hit_q);
  wire [HELD:0] from = (HELD + 1)'($signed(held_q));
  wire [HELD:0] by = (HELD + 1)'($signed(step));
  wire [HELD:0] change = by ^ {(HELD + 1){lower_q}};
  // held is between floor and ceiling, so a sum can be beyond the one of them alone that it nears
  wire [HELD-1:0] bound = up_q ? ceiling : floor;
  wire [HELD+1:0] room = (HELD + 2)'($signed(bound)) - (HELD + 2)'($signed(sum_q));
  wire beyond = up_q ? room[HELD+1] : !room[HELD+1];
  wire unused_room = &{1'b0, room[HELD:0]};

  assign held = held_q;
  assign raised = load && moves_q && up_q;
  assign lowered = load && moves_q && !up_q;

  always_ff @(posedge clk) begin
    if (count) begin
      left_q  <= ends ? last : left_q - 1'b1;
      since_q <= ends ? '0 : since_q + 1'b1;
    end
    seen_q <= count;
    hit_q  <= hit;
    ends_q <= ends;
    if (seen_q) hits_q <= ends_q ? '0 : hits;
    total_q <= hits;
    full_q  <= seen_q && ends_q;
    raise_q <= full_q && total_q < {1'b0, low};
    lower_q <= full_q && total_q > {1'b0, high};
    sum_q   <= from + change + (HELD + 1)'(lower_q);
    tried_q <= raise_q || lower_q;
    if (raise_q || lower_q) up_q <= !lower_q;
    if (tried_q) next_q <= beyond ? bound : sum_q[HELD-1:0];
    moves_q <= next_q != held_q;
    if (load) held_q <= next_q;
    if (rst) begin
      left_q  <= last;
      since_q <= '0;
      seen_q  <= 1'b0;
      hits_q  <= '0;
      full_q  <= 1'b0;
      raise_q <= 1'b0;
      lower_q <= 1'b0;
      tried_q <= 1'b0;
      moves_q <= 1'b0;
      next_q  <= '0;
      held_q  <= '0;
    end
  end
endmodule

`default_nettype wire
