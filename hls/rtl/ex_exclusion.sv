// ex_exclusion: class and score of one frame among the classes that are left, and who is left next.
//
// s: CLASSES signed logits of BITS bits, PE a beat, class 0 first in the low bits. carried, one
// word per frame: bit k = class k is left, at least two are. m, one word per frame: {score, class},
// class = argmax of those left (the first index wins a tie) in the low CLASS_BITS bits, score =
// largest - second largest of them, signed, 0 <= score < 2**BITS.
// In the cycle in which m is taken, keep says whether the frame goes on, and limit is its threshold
// (signed, 7fffffff = never). One word per frame that goes on leaves on carry, which is taken at
// once: bit k = class k was left and largest - logit k < limit.
// A frame's first beat waits for its word on carried, which is taken with the last beat. Throughput:
// one beat a cycle; latency: m as many cycles after the last beat as ex_best has stages; carry
// CLASSES / PE + 1 after m is taken (the logits are kept, and looked at again while the next frame
// comes in). On stall m holds and s waits; the next beat is taken in
// the cycle in which m is. With fewer than two classes left, or keep with limit <= score (raw mode
// alone), class, score and carry mean nothing.
// Reset: empty. busy: something moves inside, or m is taken (see ex_gate).
`default_nettype none

module ex_exclusion #(
    parameter int PE = 1,              // logits a beat
    parameter int CLASSES = 10,        // logits a frame
    parameter int BITS = 16,           // bits of a logit
    parameter int LEVELS_A_STAGE = 1,  // see ex_leaders
    localparam int CLASS_BITS = CLASSES > 2 ? $clog2(CLASSES) : 1,
    localparam int SCORE_BITS = BITS + 1
) (
    input  wire                             clk,
    input  wire                             rst,
    input  wire                             s_valid,
    output wire                             s_ready,
    input  wire [PE*BITS-1:0]               s_data,
    input  wire                             carried_valid,
    output wire                             carried_ready,
    input  wire [CLASSES-1:0]               carried_data,
    output wire                             m_valid,
    input  wire                             m_ready,
    output wire [SCORE_BITS+CLASS_BITS-1:0] m_data,
    input  wire                             keep,
    input  wire [31:0]                      limit,
    output wire                             carry_valid,
    output wire [CLASSES-1:0]               carry_data,
    output wire                             busy
);
  localparam int BEATS = CLASSES / PE;
  localparam int BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int KEY = BITS + 1;  // bits of a logit, or of what stands for an excluded one
  localparam logic [BEAT_BITS-1:0] FINAL = BEAT_BITS'(BEATS - 1);
  localparam int LEVELS = $clog2(PE);
  localparam int STAGES = (LEVELS + LEVELS_A_STAGE - 1) / LEVELS_A_STAGE  // of ex_best
      + (PE < CLASSES ? 1 : 0);
  localparam int AHEAD = STAGES - 1;       // beats of other frames before the frame's score
  localparam int DEPTH = BEATS + AHEAD;    // a ring: a beat is read when the first overwrites it
  localparam int PLACE_BITS = DEPTH > 1 ? $clog2(DEPTH) : 1;
  localparam logic [PLACE_BITS-1:0] END = PLACE_BITS'(DEPTH - 1);
  localparam logic [KEY-1:0] OUT = {1'b1, {BITS{1'b0}}};  // below every logit
  localparam logic [31:0] NEVER = 32'h7fff_ffff;

  if (BITS < 2 || BITS > 31) begin : g_bad_bits
    $error("ex_exclusion: BITS must be 2 to 31, is %0d", BITS);
  end

  // beat_q: beats taken of this frame, the next one goes to write_q; look_q: beats looked at again,
  // the next one is at read_q; sight: the beat of the cycle before is compared
  logic [BEAT_BITS-1:0]  beat_q, look_q;
  logic [PLACE_BITS-1:0] write_q, read_q;
  logic                 looking_q, sight_q, done_q;
  logic [KEY-1:0]       floor_q;
  logic [PE*KEY-1:0]    seen_q;
  logic [CLASSES-1:0]   left_q;
  logic [PE*KEY-1:0]    memory [DEPTH];

  wire take = s_valid && s_ready;
  wire last = beat_q == FINAL;
  wire score = m_valid && m_ready;

  // the logits of those that are left
  wire [PE-1:0] alive = carried_data[PE*32'(beat_q) +: PE];
  logic [PE*KEY-1:0] keys;
  always_comb begin
    for (int k = 0; k < PE; k++) begin
      keys[KEY*k +: KEY] = alive[k] ? {s_data[BITS*k + BITS - 1], s_data[BITS*k +: BITS]} : OUT;
    end
  end

  wire                  leaders_ready, leaders_busy;
  wire [KEY-1:0]        largest, second;
  wire [CLASS_BITS-1:0] winner;
  ex_leaders #(
      .PE(PE), .CLASSES(CLASSES), .BITS(KEY), .LEVELS_A_STAGE(LEVELS_A_STAGE)
  ) u_leaders (
      .clk(clk), .rst(rst),
      .s_valid(s_valid && carried_valid), .s_ready(leaders_ready), .s_data(keys),
      .m_valid(m_valid), .m_ready(m_ready),
      .m_max(largest), .m_second(second), .m_class(winner),
      .busy(leaders_busy)
  );
  wire [KEY-1:0] margin = largest - second;
  assign s_ready = leaders_ready && carried_valid;
  assign carried_ready = take && last;
  assign m_data = {1'b0, margin[BITS-1:0], winner};

  // who is more than floor is left next
  wire [32:0] below = {{(33 - KEY){largest[KEY-1]}}, largest} - {limit[31], limit};
  wire        all = limit == NEVER || $signed(below) < $signed({{(33 - KEY){1'b1}}, OUT});

  logic [PE-1:0] survives;
  always_comb begin
    for (int k = 0; k < PE; k++) begin
      survives[k] = $signed(seen_q[KEY*k +: KEY]) > $signed(floor_q);
    end
  end

  // past the beats of a frame that leaves: BEATS on, which is AHEAD back
  wire [PLACE_BITS-1:0] skipped;
  if (AHEAD > 0) begin : g_ring
    assign skipped = 32'(read_q) >= AHEAD
        ? read_q - PLACE_BITS'(AHEAD) : read_q + PLACE_BITS'(BEATS);
  end else begin : g_frame
    assign skipped = read_q;
  end
  assign carry_valid = done_q;
  assign carry_data = left_q;

  always_ff @(posedge clk) begin
    if (take) begin
      beat_q <= last ? '0 : beat_q + 1'b1;
      memory[write_q] <= keys;
      write_q <= write_q == END ? '0 : write_q + 1'b1;
    end
    seen_q <= memory[read_q];  // of a beat that is written now, what was there
    if ((score && keep) || looking_q) read_q <= read_q == END ? '0 : read_q + 1'b1;
    else if (score) read_q <= skipped;
    if (score) begin
      floor_q   <= all ? OUT : below[KEY-1:0];
      looking_q <= keep && BEATS > 1;
      look_q    <= keep && BEATS > 1 ? BEAT_BITS'(1) : '0;
    end else if (looking_q) begin
      looking_q <= look_q != FINAL;
      look_q    <= look_q == FINAL ? '0 : look_q + 1'b1;
    end
    sight_q <= (score && keep) || looking_q;
    if (sight_q) left_q <= CLASSES'({survives, left_q} >> PE);
    done_q <= sight_q && !looking_q;
    if (rst) begin
      beat_q    <= '0;
      write_q   <= '0;
      read_q    <= '0;
      look_q    <= '0;
      looking_q <= 1'b0;
      sight_q   <= 1'b0;
      done_q    <= 1'b0;
    end
  end

`ifdef EX_BULK
  assign busy = leaders_busy || looking_q || sight_q || done_q;
`else
  assign busy = leaders_busy;
`endif
  wire unused = &{1'b0, margin[KEY-1]};
endmodule

`default_nettype wire
