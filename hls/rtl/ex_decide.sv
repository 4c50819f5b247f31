// ex_decide: the verdict on one frame, whatever the criterion; a score block computes its score.
//
// s: CLASSES signed logits of BITS bits, PE a beat, class 0 first in the low bits. They pass
// through logits to the score block, which answers on score with one {score, class} per frame: a
// signed score of SCORE_BITS bits above a class of CLASS_BITS bits. Per frame
//   take = LAST or (threshold != never and score >= threshold), signed, with the threshold of the
//          bank in the frame's metadata; 7fffffff = never, 80000000 = always.
// With HELD, held is added to every other threshold than these two: score >= threshold + held, exactly.
// With OFFSET_BITS, the score is one less the offset of its class, 0 <= offset < 2**OFFSET_BITS, in
// what is compared and in the token: each class then has the threshold plus its offset. It must fit
// in 32 bits.
// One token {take, silent, class, score, meta} per frame joins its score with one meta_data {.., bank};
// it leaves when both are there, logits pass without waiting for the metadata.
// In the cycle in which a score is taken, score_keep = !take and score_limit = that threshold, for
// score blocks whose frames carry something on, not with HELD.
// Throughput: one beat a cycle; latency: logits 0 cycles, token 1 cycle after its score.
// raw_later (logits of a later exit are wanted): never takes. raw_here (of this one): the logits
// also leave on raw, sign-extended, one a cycle, raw_last with the last, and the token takes
// silently (no result); the last logit waits until no frame is between logits and token and the
// metadata is there, which gives raw_bank (else 0). Both may only change while no frame is inside;
// a frame is out of raw mode with its last logit. On stall all outputs hold. Reset: empty.
`default_nettype none

module ex_decide #(
    parameter int PE = 1,           // logits a beat
    parameter int CLASSES = 10,     // logits a frame
    parameter int BITS = 16,        // bits of a logit
    parameter int SCORE_BITS = 17,  // bits of a score
    parameter int OFFSET_BITS = 0,  // bits of an offset of a class; 0: there are none
    parameter     OFFSET_FILE = "", // offsets, one a line, class 0 first; empty: not initialised
    parameter int META = 5,         // bits of the metadata, the bank lowest
    parameter int HELD = 0,         // bits of held, signed; 0: it is 0
    parameter bit LIMIT = HELD == 0, // score_limit is wanted, else it is 0
    parameter bit LAST = 1'b0,      // the last exit takes every frame
    localparam int CLASS_BITS = CLASSES > 2 ? $clog2(CLASSES) : 1,
    localparam int HELD_BITS = HELD > 0 ? HELD : 1
) (
    input  wire                             clk,
    input  wire                             rst,
    input  wire [31:0]                      threshold0,
    input  wire [31:0]                      threshold1,
    input  wire [HELD_BITS-1:0]             held,
    input  wire                             raw_here,
    input  wire                             raw_later,
    input  wire                             s_valid,
    output wire                             s_ready,
    input  wire [PE*BITS-1:0]               s_data,
    output wire                             logits_valid,
    input  wire                             logits_ready,
    output wire [PE*BITS-1:0]               logits_data,
    input  wire                             score_valid,
    output wire                             score_ready,
    input  wire [SCORE_BITS+CLASS_BITS-1:0] score_data,
    output wire                             score_keep,
    output wire [31:0]                      score_limit,
    input  wire                             meta_valid,
    output wire                             meta_ready,
    input  wire [META-1:0]                      meta_data,
    output wire                             m_valid,
    input  wire                             m_ready,
    output wire                             m_take,
    output wire                             m_silent,
    output wire [15:0]                      m_class,
    output wire [31:0]                      m_score,
    output wire [META-1:0]                      m_meta,
    output wire                             raw_valid,
    input  wire                             raw_ready,
    output wire [31:0]                      raw_data,
    output wire                             raw_last,
    output wire                             raw_bank
);
  localparam int BEATS = CLASSES / PE;
  localparam int BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int LANE_BITS = PE > 1 ? $clog2(PE) : 1;
  localparam logic [BEAT_BITS-1:0] FINAL = BEAT_BITS'(BEATS - 1);
  localparam int KEPT = OFFSET_BITS > 0 ? 32 : SCORE_BITS;  // bits of a score in the token
  localparam logic [31:0] NEVER = 32'h7fff_ffff;
  localparam logic [31:0] ALWAYS = 32'h8000_0000;

  if (CLASSES < 2 || CLASSES > 65536) begin : g_bad_classes
    $error("ex_decide: CLASSES must be 2 to 65536, is %0d", CLASSES);
  end
  if (PE < 1 || CLASSES % PE != 0) begin : g_bad_pe
    $error("ex_decide: PE %0d must divide CLASSES %0d", PE, CLASSES);
  end
  if (BITS < 2 || BITS > 31) begin : g_bad_bits
    $error("ex_decide: BITS must be 2 to 31, is %0d", BITS);
  end
  if (SCORE_BITS < 1 || SCORE_BITS > 32) begin : g_bad_score
    $error("ex_decide: SCORE_BITS must be 1 to 32, is %0d", SCORE_BITS);
  end

  if (META < 1) begin : g_bad_meta
    $error("ex_decide: META must be at least 1, is %0d", META);
  end
  if (OFFSET_BITS < 0 || OFFSET_BITS > 30) begin : g_bad_offset
    $error("ex_decide: OFFSET_BITS must be 0 to 30, is %0d", OFFSET_BITS);
  end
  if (HELD < 0 || HELD > 30 || HELD == 1) begin : g_bad_held
    $error("ex_decide: HELD must be 0 or 2 to 30, is %0d", HELD);
  end
  if (LIMIT && HELD > 0) begin : g_bad_limit
    $error("ex_decide: LIMIT must be 0 with HELD, score_limit would lack what is held");
  end

  // told: raw has the last lane of the beat; silent: the oldest frame inside is raw
  logic [BEAT_BITS-1:0]  beat_q;
  logic [LANE_BITS-1:0]  lane_q;
  logic                  told_q, silent_q;
  logic                  t_valid_q, t_take_q, t_silent_q;
  logic [CLASS_BITS-1:0] t_class_q;
  logic [KEPT-1:0]       t_score_q;
  logic [META-1:0]           t_meta_q;

  wire final_beat = beat_q == FINAL;
  wire final_lane = lane_q == LANE_BITS'(PE - 1);
  wire final_logit = final_beat && final_lane;
  wire raw_give = raw_valid && raw_ready;
  wire told = told_q || (raw_give && final_lane);
  wire take_beat = logits_valid && logits_ready;
  wire decide = score_valid && score_ready;

  // raw: the lanes of a beat one by one; the frame before must be gone so that meta is this one's
  wire [BITS-1:0] lane_data = s_data[BITS*lane_q +: BITS];
  assign raw_valid = raw_here && s_valid && !told_q
      && (!final_logit || (meta_valid && !silent_q && !t_valid_q));
  assign raw_data = {{(32 - BITS){lane_data[BITS-1]}}, lane_data};
  assign raw_last = final_logit;
  assign raw_bank = final_logit && meta_data[0];

  wire pass = !raw_here || told;
  assign logits_valid = s_valid && pass;
  assign logits_data = s_data;
  assign s_ready = logits_ready && pass;

  wire [CLASS_BITS-1:0] class_in = score_data[CLASS_BITS-1:0];
  wire [SCORE_BITS-1:0] given = score_data[CLASS_BITS +: SCORE_BITS];
  wire [KEPT-1:0] score_in;
  if (OFFSET_BITS > 0) begin : g_offsets
    logic [OFFSET_BITS-1:0] offsets [CLASSES];
    if (OFFSET_FILE != "") begin : g_file
      initial $readmemh(OFFSET_FILE, offsets);
    end
    assign score_in = 32'($signed(given)) - 32'(offsets[class_in]);
  end else begin : g_plain
    assign score_in = given;
  end
  wire [31:0] threshold = meta_data[0] ? threshold1 : threshold0;
  // as a difference, whose sign counts: the choice of the threshold then needs no LUTs of its own. A
  // score of fewer than 32 bits never reaches 7fffffff, one of 30 not with 30 bits off either.
  wire reaches;
  if (HELD > 0) begin : g_held
    localparam int LEFT = (KEPT > HELD ? KEPT : HELD) + 1;
    // by itself, since Yosys makes more LUTs of three terms at once
    (* keep *) wire [LEFT-1:0] left = LEFT'($signed(score_in)) - LEFT'($signed(held));
    wire [33:0] over = 34'($signed(left)) - 34'($signed(threshold));
    wire unused_over = &{1'b0, over[32:0]};
    if (KEPT > 30) begin : g_codes
      assign reaches = threshold == ALWAYS || (threshold != NEVER && !over[33]);
    end else begin : g_plain
      assign reaches = !over[33];
    end
  end else begin : g_fixed
    wire [32:0] over = 33'($signed(score_in)) - 33'($signed(threshold));
    wire unused_over = &{1'b0, over[31:0], held, ALWAYS};
    assign reaches = (SCORE_BITS < 32 || threshold != NEVER) && !over[32];
  end
  wire takes = LAST || silent_q || (!raw_later && reaches);
  wire t_free = !t_valid_q || m_ready;

  assign score_ready = t_free && meta_valid;
  assign score_keep = !takes;
  assign score_limit = LIMIT ? threshold : '0;
  assign meta_ready = t_free && score_valid;
  assign m_valid = t_valid_q;
  assign m_take = t_take_q;
  assign m_silent = t_silent_q;
  assign m_class = 16'(t_class_q);
  assign m_score = 32'($signed(t_score_q));
  assign m_meta = t_meta_q;

  always_ff @(posedge clk) begin
    if (raw_give) lane_q <= final_lane ? '0 : lane_q + 1'b1;
    told_q <= told && !take_beat;
    if (take_beat) beat_q <= final_beat ? '0 : beat_q + 1'b1;
    if (take_beat && final_beat && (raw_here || told_q)) silent_q <= 1'b1;
    else if (decide) silent_q <= 1'b0;
    if (m_ready) t_valid_q <= 1'b0;
    if (decide) begin
      t_valid_q  <= 1'b1;
      t_take_q   <= takes;
      t_silent_q <= silent_q;
      t_class_q  <= class_in;
      t_score_q  <= score_in;
      t_meta_q   <= meta_data;
    end
    if (rst) begin
      beat_q    <= '0;
      lane_q    <= '0;
      told_q    <= 1'b0;
      silent_q  <= 1'b0;
      t_valid_q <= 1'b0;
    end
  end
endmodule

`default_nettype wire
