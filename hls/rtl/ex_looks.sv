// ex_looks: adds up the logits of the looks at a frame, behind head 0.
//
// s: CLASSES signed logits of BITS bits a look, PE a beat. info: for each look, in the order in which
// they come, {look, slot}, at the latest with its first logit. m = s in look 0, else m = s + what m
// was in the look before of the frame in that slot, signed, BITS + LOOKS bits.
// Latency 0, one beat a cycle; on stall m holds; info is taken with the last beat of its look.
// Reset: between frames.
`default_nettype none

module ex_looks #(
    parameter int PE = 1,        // logits a beat
    parameter int CLASSES = 10,  // logits a look
    parameter int BITS = 16,     // bits of a logit
    parameter int LOOKS = 1,     // looks after the first, at most 2
    parameter int SLOTS = 4,     // frames that may be looked at at once
    localparam int SLOT_BITS = SLOTS > 1 ? $clog2(SLOTS) : 1
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       s_valid,
    output wire                       s_ready,
    input  wire [PE*BITS-1:0]         s_data,
    input  wire                       info_valid,
    output wire                       info_ready,
    input  wire [SLOT_BITS+1:0]       info_data,
    output wire                       m_valid,
    input  wire                       m_ready,
    output wire [PE*(BITS+LOOKS)-1:0] m_data
);
  localparam int BEATS = CLASSES / PE;
  localparam int BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int WIDE = BITS + LOOKS;
  localparam int ADDRESS_BITS = $clog2(SLOTS << BEAT_BITS);

  if (LOOKS < 1 || LOOKS > 2) begin : g_bad_looks
    $error("ex_looks: LOOKS must be 1 or 2, is %0d", LOOKS);
  end
  if (PE < 1 || CLASSES % PE != 0) begin : g_bad_pe
    $error("ex_looks: PE %0d must divide CLASSES %0d", PE, CLASSES);
  end
  if (SLOTS < 1) begin : g_bad_slots
    $error("ex_looks: SLOTS must be at least 1, is %0d", SLOTS);
  end

  logic [BEAT_BITS-1:0] beat_q;
  logic [PE*WIDE-1:0]   sums[SLOTS << BEAT_BITS];
  wire [ADDRESS_BITS-1:0] address = ADDRESS_BITS'({info_data[SLOT_BITS-1:0], beat_q});
  wire [PE*WIDE-1:0] sum = sums[address];
  wire first = info_data[SLOT_BITS +: 2] == 2'd0;
  wire take = s_valid && s_ready;
  wire final_beat = beat_q == BEAT_BITS'(BEATS - 1);

  for (genvar k = 0; k < PE; k++) begin : g_lane
    assign m_data[WIDE*k +: WIDE] = WIDE'($signed(s_data[BITS*k +: BITS]))
        + (first ? WIDE'(0) : sum[WIDE*k +: WIDE]);
  end
  assign m_valid = s_valid && info_valid;
  assign s_ready = m_ready && info_valid;
  assign info_ready = take && final_beat;

  always_ff @(posedge clk) if (take) sums[address] <= m_data;
  always_ff @(posedge clk) begin
    if (take) beat_q <= final_beat ? '0 : beat_q + 1'b1;
    if (rst) beat_q <= '0;
  end
endmodule

`default_nettype wire
