// ex_decide: the verdict on one frame from its integer logits.
//
// s: CLASSES signed logits of BITS bits, PE a beat, class 0 first in the low bits. Per frame
//   class = argmax (the first index wins a tie), score = margin = largest - second largest >= 0,
//   take  = LAST or (threshold != never and score >= threshold), signed, with the threshold of the
//           bank in the frame's metadata; 7fffffff = never, 80000000 = always.
// One token {take, silent, class, score, meta} per frame, joined with one meta_data
// {bad, bank, stamp, id}; it leaves when both are there, logits are consumed without waiting for
// the metadata. Throughput: one beat a cycle; latency: token 2 cycles after the last beat.
// raw_later (logits of a later exit are wanted): never takes. raw_here (of this one): the logits
// leave on raw, sign-extended, one a cycle, raw_last with the last, and the token takes silently
// (no result); the last logit waits for the metadata, which gives raw_bank (else 0). Both may
// only change while no frame is inside. On stall all outputs hold. Reset: empty.
`default_nettype none

module ex_decide #(
    parameter int PE = 1,        // logits a beat
    parameter int CLASSES = 10,  // logits a frame
    parameter int BITS = 16,     // bits of a logit
    parameter bit LAST = 1'b0    // the last exit takes every frame
) (
    input  wire               clk,
    input  wire               rst,
    input  wire [31:0]        threshold0,
    input  wire [31:0]        threshold1,
    input  wire               raw_here,
    input  wire               raw_later,
    input  wire               s_valid,
    output wire               s_ready,
    input  wire [PE*BITS-1:0] s_data,
    input  wire               meta_valid,
    output wire               meta_ready,
    input  wire [65:0]        meta_data,
    output wire               m_valid,
    input  wire               m_ready,
    output wire               m_take,
    output wire               m_silent,
    output wire [15:0]        m_class,
    output wire [31:0]        m_score,
    output wire [65:0]        m_meta,
    output wire               raw_valid,
    input  wire               raw_ready,
    output wire [31:0]        raw_data,
    output wire               raw_last,
    output wire               raw_bank
);
  localparam int BEATS = CLASSES / PE;
  localparam int BEAT_BITS = BEATS > 1 ? $clog2(BEATS) : 1;
  localparam int LANE_BITS = PE > 1 ? $clog2(PE) : 1;
  localparam int LEAVES = 1 << $clog2(PE);
  localparam int NODES = 2 * LEAVES - 1;
  localparam logic [BITS-1:0] LOWEST = {1'b1, {(BITS - 1){1'b0}}};
  localparam logic [BEAT_BITS-1:0] FINAL = BEAT_BITS'(BEATS - 1);
  localparam logic [31:0] NEVER = 32'h7fff_ffff;

  if (CLASSES < 2 || CLASSES > 65536) begin : g_bad_classes
    $error("ex_decide: CLASSES must be 2 to 65536, is %0d", CLASSES);
  end
  if (PE < 1 || CLASSES % PE != 0) begin : g_bad_pe
    $error("ex_decide: PE %0d must divide CLASSES %0d", PE, CLASSES);
  end
  if (BITS < 2 || BITS > 31) begin : g_bad_bits
    $error("ex_decide: BITS must be 2 to 31, is %0d", BITS);
  end

  // a: best, second and class of one beat; b: of the frame so far; t: the token
  logic                 a_valid_q, a_first_q, a_last_q, a_silent_q;
  logic [BITS-1:0]      a_max_q, a_second_q, b_max_q, b_second_q;
  logic [15:0]          a_class_q, b_class_q, base_q;
  logic [BEAT_BITS-1:0] beat_q;
  logic [LANE_BITS-1:0] lane_q;
  logic                 t_valid_q, t_take_q, t_silent_q;
  logic [15:0]          t_class_q;
  logic [31:0]          t_score_q;
  logic [65:0]          t_meta_q;

  wire t_free = !t_valid_q || m_ready;
  wire a_go = a_valid_q && (!a_last_q || (t_free && meta_valid));
  wire a_free = !a_valid_q || a_go;
  wire final_beat = beat_q == FINAL;
  wire take_beat = s_valid && s_ready;

  // raw: the lanes of a beat one by one; the frame before must be gone so that meta is this one's
  wire final_lane = lane_q == LANE_BITS'(PE - 1);
  wire final_logit = final_beat && final_lane;
  wire [BITS-1:0] lane_data = s_data[BITS*lane_q +: BITS];
  assign raw_valid = raw_here && s_valid && (!final_lane || a_free)
      && (!final_logit || (meta_valid && !a_valid_q && !t_valid_q));
  assign raw_data = {{(32 - BITS){lane_data[BITS-1]}}, lane_data};
  assign raw_last = final_logit;
  assign raw_bank = final_logit && meta_data[64];
  assign s_ready = raw_here ? raw_valid && raw_ready && final_lane : a_free;

  // a tree over the lanes; node k has the children 2k+1 (lower classes) and 2k+2
  logic [NODES-1:0][BITS-1:0] tree_max, tree_second;
  logic [NODES-1:0][15:0]     tree_lane;
  always_comb begin
    for (int k = NODES - 1; k >= 0; k--) begin
      if (k >= LEAVES - 1) begin
        tree_max[k] = LOWEST;
        if (k - (LEAVES - 1) < PE) tree_max[k] = s_data[BITS*((k - (LEAVES - 1)) % PE) +: BITS];
        tree_second[k] = LOWEST;
        tree_lane[k] = 16'(k - (LEAVES - 1));
      end else if ($signed(tree_max[2*k+2]) > $signed(tree_max[2*k+1])) begin
        tree_max[k] = tree_max[2*k+2];
        tree_lane[k] = tree_lane[2*k+2];
        tree_second[k] = $signed(tree_second[2*k+2]) > $signed(tree_max[2*k+1])
            ? tree_second[2*k+2] : tree_max[2*k+1];
      end else begin
        tree_max[k] = tree_max[2*k+1];
        tree_lane[k] = tree_lane[2*k+1];
        tree_second[k] = $signed(tree_max[2*k+2]) > $signed(tree_second[2*k+1])
            ? tree_max[2*k+2] : tree_second[2*k+1];
      end
    end
  end

  // the frame so far and the beat in a
  logic [BITS-1:0] both_max, both_second;
  logic [15:0]     both_class;
  always_comb begin
    both_max = b_max_q;
    both_class = b_class_q;
    both_second = $signed(a_max_q) > $signed(b_second_q) ? a_max_q : b_second_q;
    if ($signed(a_max_q) > $signed(b_max_q)) begin
      both_max = a_max_q;
      both_class = a_class_q;
      both_second = $signed(a_second_q) > $signed(b_max_q) ? a_second_q : b_max_q;
    end
    if (a_first_q) begin
      both_max = a_max_q;
      both_class = a_class_q;
      both_second = a_second_q;
    end
  end

  wire [BITS:0] margin = {both_max[BITS-1], both_max} - {both_second[BITS-1], both_second};
  wire [31:0] score = {{(31 - BITS){1'b0}}, margin};
  wire [31:0] threshold = meta_data[64] ? threshold1 : threshold0;
  wire reaches = threshold != NEVER && $signed(score) >= $signed(threshold);

  assign meta_ready = a_valid_q && a_last_q && t_free;
  assign m_valid = t_valid_q;
  assign m_take = t_take_q;
  assign m_silent = t_silent_q;
  assign m_class = t_class_q;
  assign m_score = t_score_q;
  assign m_meta = t_meta_q;

  always_ff @(posedge clk) begin
    if (raw_valid && raw_ready) lane_q <= final_lane ? '0 : lane_q + 1'b1;
    if (take_beat) begin
      beat_q <= final_beat ? '0 : beat_q + 1'b1;
      base_q <= final_beat ? '0 : base_q + 16'(PE);
      a_first_q  <= beat_q == '0;
      a_last_q   <= final_beat;
      a_silent_q <= raw_here;
      a_max_q    <= tree_max[0];
      a_second_q <= tree_second[0];
      a_class_q  <= base_q + tree_lane[0];
    end
    if (take_beat) a_valid_q <= 1'b1;
    else if (a_go) a_valid_q <= 1'b0;
    if (a_go) begin
      b_max_q    <= both_max;
      b_second_q <= both_second;
      b_class_q  <= both_class;
    end
    if (m_ready) t_valid_q <= 1'b0;
    if (a_go && a_last_q) begin
      t_valid_q  <= 1'b1;
      t_take_q   <= LAST || a_silent_q || (!raw_later && reaches);
      t_silent_q <= a_silent_q;
      t_class_q  <= both_class;
      t_score_q  <= score;
      t_meta_q   <= meta_data;
    end
    if (rst) begin
      lane_q    <= '0;
      beat_q    <= '0;
      base_q    <= '0;
      a_valid_q <= 1'b0;
      t_valid_q <= 1'b0;
    end
  end
endmodule

`default_nettype wire
