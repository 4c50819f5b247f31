// ex_explain_slots: which slot of the stores keeps the context of which frame (see ex_explain_store).
//
// enter: a frame enters segment 0 in this cycle; want: it may have to be explained. It gets the
// lowest free slot, or none: then it goes unexplained, and ev_missed says so if it was wanted.
// Frames are decided in order at every exit: decide[e], with take[e] it leaves there, without it
// goes on to segment e + 1; the last exit takes all. explain[e], beside take[e]: its map is wanted.
// pass[e]: a frame enters segment e, pass_kept[e] and pass_slot[e] say whether it has a slot and
// which; the places that are kept of segment e and its head see frames in that order.
// left[e]: a frame whose map is wanted leaves at exit e with slot left_slot[e]; all of its context
// that its answer was made of is there or comes in the next three cycles. The slot is the engine's
// until free with free_slot. A frame that leaves otherwise frees its slot.
// All outputs are of the same cycle, a slot that becomes free can be given in the next one. Nothing
// here ever waits, and inference never waits for it: there are at most IN_FLIGHT frames inside
// (ex_tag), and at most SLOTS of those that left wait for the engine. Reset: all slots are free.
`default_nettype none

module ex_explain_slots #(
    parameter int SLOTS     = 2,   // frames whose context is kept
    parameter int EXITS     = 2,
    parameter int IN_FLIGHT = 16,  // most frames inside, a power of two
    localparam int SW       = SLOTS > 1 ? $clog2(SLOTS) : 1
) (
    input  wire                clk,
    input  wire                rst,
    input  wire                enter,
    input  wire                want,
    output wire                ev_missed,
    input  wire [EXITS-1:0]    decide,
    input  wire [EXITS-1:0]    take,
    input  wire [EXITS-1:0]    explain,
    output wire [EXITS-1:0]    pass,
    output wire [EXITS-1:0]    pass_kept,
    output wire [EXITS*SW-1:0] pass_slot,
    output wire [EXITS-1:0]    left,
    output wire [EXITS*SW-1:0] left_slot,
    input  wire                free,
    input  wire [SW-1:0]       free_slot,
    output wire [SLOTS-1:0]    used        // slots that are not free
);
  localparam int IW = IN_FLIGHT > 1 ? $clog2(IN_FLIGHT) : 1;

  if (SLOTS < 1 || EXITS < 1) begin : g_bad_size
    $error("ex_explain_slots: SLOTS and EXITS must be at least 1, are %0d and %0d", SLOTS, EXITS);
  end
  if (IN_FLIGHT < 2 || (IN_FLIGHT & (IN_FLIGHT - 1)) != 0) begin : g_bad_in_flight
    $error("ex_explain_slots: IN_FLIGHT must be a power of two from 2 on, is %0d", IN_FLIGHT);
  end

  logic [SLOTS-1:0] used_q;
  logic [SW-1:0]    lowest;
  logic [SLOTS-1:0] given, freed;
  wire kept = want && used_q != '1;
  assign used = used_q;
  assign ev_missed = enter && want && !kept;

  always_comb begin
    lowest = '0;
    for (int i = SLOTS - 1; i >= 0; i--) if (!used_q[i]) lowest = SW'(i);
  end

  wire [EXITS-1:0] dropped;  // it leaves with a slot, and nobody wants its map
  for (genvar e = 0; e < EXITS; e++) begin : g_exit
    // frames that are in segment e and not decided: {has a slot, which}
    logic [SW:0]   order[IN_FLIGHT];
    logic [IW-1:0] write_q, read_q;
    wire  [SW:0]   front = order[read_q];
    wire           has = front[SW];

    if (e == 0) begin : g_first
      assign pass[e] = enter;
      assign {pass_kept[e], pass_slot[e*SW +: SW]} = {kept, lowest};
    end else begin : g_later
      assign pass[e] = decide[e-1] && !take[e-1];
      assign {pass_kept[e], pass_slot[e*SW +: SW]} = g_exit[e-1].front;
    end

    assign left[e]    = decide[e] && take[e] && has && explain[e];
    assign dropped[e] = decide[e] && take[e] && has && !explain[e];
    assign left_slot[e*SW +: SW] = front[SW-1:0];

    always_ff @(posedge clk) begin
      if (pass[e]) order[write_q] <= {pass_kept[e], pass_slot[e*SW +: SW]};
      if (pass[e]) write_q <= write_q + 1'b1;
      if (decide[e]) read_q <= read_q + 1'b1;
      if (rst) begin
        write_q <= '0;
        read_q  <= '0;
      end
    end
  end

  always_comb begin
    given = '0;
    freed = '0;
    for (int i = 0; i < SLOTS; i++) begin
      given[i] = enter && kept && lowest == SW'(i);
      freed[i] = free && free_slot == SW'(i);
      for (int e = 0; e < EXITS; e++) begin
        if (dropped[e] && left_slot[e*SW +: SW] == SW'(i)) freed[i] = 1'b1;
      end
    end
  end

  always_ff @(posedge clk) used_q <= rst ? '0 : (used_q | given) & ~freed;
endmodule

`default_nettype wire
