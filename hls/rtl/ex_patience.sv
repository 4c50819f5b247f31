// ex_patience: class of one frame, and how many exits in a row gave it.
//
// s: CLASSES signed logits of BITS bits, PE a beat, class 0 first in the low bits. carried, one
// word per frame: {run, class} of the exit before, run 4 bits, 0 before the first exit. m, one word
// per frame: {score, class}, class = argmax (the first index wins a tie) in the low CLASS_BITS bits,
// score = run + 1 where the class is the one carried, else 1, signed, 5 bits.
// In the cycle in which m is taken, keep says whether the frame goes on: then its {score, class}
// leaves on carry in that cycle, and is taken at once.
// A frame's first beat waits for its word on carried, which is taken with the last beat. Throughput:
// one beat a cycle; latency: m as many cycles after the last beat as ex_best has stages, 1 for up to
// 2**LEVELS_A_STAGE lanes. On stall m holds, everything inside stands still and s waits; the next
// beat is taken in the cycle in which m is. Reset: empty. busy: see ex_leaders.
`default_nettype none

module ex_patience #(
    parameter int PE = 1,              // logits a beat
    parameter int CLASSES = 10,        // logits a frame
    parameter int BITS = 16,           // bits of a logit
    parameter int LEVELS_A_STAGE = 1,  // see ex_leaders
    localparam int CLASS_BITS = CLASSES > 2 ? $clog2(CLASSES) : 1,
    localparam int RUN_BITS = 4,
    localparam int SCORE_BITS = RUN_BITS + 1
) (
    input  wire                             clk,
    input  wire                             rst,
    input  wire                             s_valid,
    output wire                             s_ready,
    input  wire [PE*BITS-1:0]               s_data,
    input  wire                             carried_valid,
    output wire                             carried_ready,
    input  wire [RUN_BITS+CLASS_BITS-1:0]   carried_data,
    output wire                             m_valid,
    input  wire                             m_ready,
    output wire [SCORE_BITS+CLASS_BITS-1:0] m_data,
    input  wire                             keep,
    output wire                             carry_valid,
    output wire [RUN_BITS+CLASS_BITS-1:0]   carry_data,
    output wire                             busy
);
  localparam int BEATS = CLASSES / PE;
  localparam int BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam logic [BEAT_BITS-1:0] FINAL = BEAT_BITS'(BEATS - 1);
  localparam int LEVELS = $clog2(PE);
  localparam int STAGES = (LEVELS + LEVELS_A_STAGE - 1) / LEVELS_A_STAGE  // of ex_best
      + (PE < CLASSES ? 1 : 0);
  localparam int WORD = RUN_BITS + CLASS_BITS;

  if (BITS < 2 || BITS > 31) begin : g_bad_bits
    $error("ex_patience: BITS must be 2 to 31, is %0d", BITS);
  end

  // the word that was there with each beat in the tree: with a last beat the frame's
  logic [BEAT_BITS-1:0]         beat_q;
  logic [STAGES-1:0][WORD-1:0]  carried_q;

  wire take = s_valid && s_ready;
  wire last = beat_q == FINAL;

  wire                  leaders_ready;
  wire [BITS-1:0]       unused_largest, unused_second;
  wire [CLASS_BITS-1:0] winner;
  ex_leaders #(
      .PE(PE), .CLASSES(CLASSES), .BITS(BITS), .LEVELS_A_STAGE(LEVELS_A_STAGE), .SECOND(1'b0)
  ) u_leaders (
      .clk(clk), .rst(rst),
      .s_valid(s_valid && carried_valid), .s_ready(leaders_ready), .s_data(s_data),
      .m_valid(m_valid), .m_ready(m_ready),
      .m_max(unused_largest), .m_second(unused_second), .m_class(winner),
      .busy(busy)
  );
  wire [WORD-1:0] brought = carried_q[STAGES-1];
  wire same = winner == brought[CLASS_BITS-1:0];
  wire [RUN_BITS-1:0] run = same ? brought[CLASS_BITS +: RUN_BITS] + 1'b1 : RUN_BITS'(1);

  assign s_ready = leaders_ready && carried_valid;
  assign carried_ready = take && last;
  assign m_data = {1'b0, run, winner};
  assign carry_valid = m_valid && m_ready && keep;
  assign carry_data = {run, winner};

  always_ff @(posedge clk) begin
    if (take) beat_q <= last ? '0 : beat_q + 1'b1;
    if (leaders_ready) carried_q <= (STAGES * WORD)'({carried_q, carried_data});
    if (rst) beat_q <= '0;
  end
endmodule

`default_nettype wire
