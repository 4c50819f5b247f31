// ex_explain_tap: keeps the context words of the frames that pass one place of a network and have
// a slot (see ex_explain_slots, ex_explain_gather, ex_explain_store).
//
// pass: a frame enters the segment of this place, pass_kept: with slot pass_slot; in the order in
// which frames come here, at least one cycle before the first beat is taken. Of those told of at
// most IN_FLIGHT + 1 have not passed whole: one may have left already whose last beats nobody needs.
// take, s_data: a beat of the stream that is watched, as ex_explain_gather has it. It never makes
// the stream wait. Words of frames without a slot are not written.
// r_valid: in the next cycle r_data is word r_address of slot r_slot, of a frame that has passed.
// The last word of a frame is in the store two cycles after its last beat, three where LANES does
// not divide 16. Reset: no frame is on its way.
`default_nettype none

module ex_explain_tap #(
    parameter int LANES     = 4,   // channels of a beat
    parameter int BITS      = 1,   // of a channel
    parameter int C         = 8,   // channels
    parameter int POSITIONS = 4,   // of a frame
    parameter int SLOTS     = 2,   // frames that are kept
    parameter int IN_FLIGHT = 16,  // most frames inside, a power of two
    localparam int L        = C < 16 ? C : 16,
    localparam int WORDS    = POSITIONS * ((C + 15) / 16),
    localparam int RW       = WORDS > 1 ? $clog2(WORDS) : 1,
    localparam int SW       = SLOTS > 1 ? $clog2(SLOTS) : 1
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  pass,
    input  wire                  pass_kept,
    input  wire [SW-1:0]         pass_slot,
    input  wire                  take,
    input  wire [LANES*BITS-1:0] s_data,
    input  wire                  r_valid,
    input  wire [SW-1:0]         r_slot,
    input  wire [RW-1:0]         r_address,
    output wire [L*BITS-1:0]     r_data
);
  localparam int WIDE = (LANES + 15) / 16;
  localparam int ROWS = WORDS / WIDE;
  localparam int WW   = ROWS > 1 ? $clog2(ROWS) : 1;

  wire                   w_valid, w_last, kept;
  wire [WW-1:0]          w_address;
  wire [WIDE*L*BITS-1:0] w_data;
  wire [SW-1:0]          slot;

  if (IN_FLIGHT < 1 || (IN_FLIGHT & (IN_FLIGHT - 1)) != 0) begin : g_bad_in_flight
    $error("ex_explain_tap: IN_FLIGHT must be a power of two, is %0d", IN_FLIGHT);
  end

  ex_explain_gather #(
      .LANES(LANES), .BITS(BITS), .C(C), .POSITIONS(POSITIONS)
  ) gather (
      .clk(clk), .rst(rst), .take(take), .s_data(s_data),
      .w_valid(w_valid), .w_last(w_last), .w_address(w_address), .w_data(w_data)
  );

  localparam int FW = $clog2(2 * IN_FLIGHT);
  logic [SW:0]   frames[2*IN_FLIGHT];  // told of, in order: {has a slot, which}
  logic [FW-1:0] told_q, passed_q;
  assign {kept, slot} = frames[passed_q];
  always_ff @(posedge clk) begin
    if (pass) frames[told_q] <= {pass_kept, pass_slot};
    if (pass) told_q <= told_q + 1'b1;
    if (w_valid && w_last) passed_q <= passed_q + 1'b1;
    if (rst) begin
      told_q   <= '0;
      passed_q <= '0;
    end
  end

  ex_explain_store #(.WIDTH(L * BITS), .WORDS(WORDS), .SLOTS(SLOTS), .WIDE(WIDE)) store (
      .clk(clk),
      .w_valid(w_valid && kept), .w_slot(slot), .w_address(w_address), .w_data(w_data),
      .r_valid(r_valid), .r_slot(r_slot), .r_address(r_address), .r_data(r_data)
  );
endmodule

`default_nettype wire
