// ex_records: what the result of a frame needs of its beginning, while the frame is inside.
//
// put: the record put_data = {bad, bank, stamp[31:0], id[31:0]} of the next frame is stored; put_slot
// is the place of IN_FLIGHT that it gets in that cycle. get_data is the record in place get_slot; get
// frees that place. skip: a frame left without get. Ids count from 0, frames may be got in any order,
// and at most IN_FLIGHT are inside, from some time before their put until their get or skip.
// plain: frames leave in order, and each has the place of its id's low bits; skips come in no other
// mode. It changes only while no frame is inside whose record was put.
// Latency 0. Places that became free are given out again in the order in which they did, the first
// IN_FLIGHT frames since the last plain cycle have those of their ids. Reset: empty, the next id is 0.
`default_nettype none

module ex_records #(
    parameter int IN_FLIGHT = 16,  // most frames inside, a power of two
    localparam int SLOT_BITS = $clog2(IN_FLIGHT)
) (
    input  wire                 clk,
    input  wire                 rst,
    input  wire                 plain,
    input  wire                 put,
    input  wire [65:0]          put_data,
    output wire [SLOT_BITS-1:0] put_slot,
    input  wire                 get,
    input  wire                 skip,
    input  wire [SLOT_BITS-1:0] get_slot,
    output wire [65:0]          get_data
);
  if (IN_FLIGHT < 2 || (1 << SLOT_BITS) != IN_FLIGHT) begin : g_bad_in_flight
    $error("ex_records: IN_FLIGHT must be a power of two from 2, is %0d", IN_FLIGHT);
  end

  localparam logic [SLOT_BITS:0] ALL = (SLOT_BITS + 1)'(IN_FLIGHT);

  logic [65:0]          records [0:IN_FLIGHT-1];
  logic [SLOT_BITS-1:0] freed [0:IN_FLIGHT-1];  // by the count of frames that had left
  logic [SLOT_BITS-1:0] left_q;                 // frames that left
  logic [SLOT_BITS:0]   fresh_q;                // frames to come that have the place of their id

  wire [SLOT_BITS-1:0] turn = put_data[SLOT_BITS-1:0];
  assign put_slot = plain || fresh_q != '0 ? turn : freed[turn];
  assign get_data = records[get_slot];

  always_ff @(posedge clk) begin
    if (put) records[put_slot] <= put_data;
    if (get) freed[left_q] <= get_slot;
  end

  always_ff @(posedge clk) begin
    if (get || skip) left_q <= left_q + 1'b1;
    if (plain) fresh_q <= ALL;
    else if (put && fresh_q != '0) fresh_q <= fresh_q - 1'b1;
    if (rst) begin
      left_q  <= '0;
      fresh_q <= ALL;
    end
  end
endmodule

`default_nettype wire
