// ex_leaders: the largest and the second largest logit of one frame, and whose the largest is.
//
// s: CLASSES signed logits of BITS bits, PE a beat, class 0 first in the low bits. m, one word per
// frame: m_max, m_second <= m_max, both signed, and m_class = argmax (the first index wins a tie).
// A frame may follow another without a gap. Throughput: one beat a cycle; latency: m 1 cycle after
// the last beat. On stall m holds and s waits; the next beat is taken in the cycle in which m is.
// Reset: empty. busy: a beat joins those before it, or the word leaves (see ex_gate). What a score
// block does not use of m costs nothing after synthesis.
`default_nettype none

module ex_leaders #(
    parameter int PE = 1,        // logits a beat
    parameter int CLASSES = 10,  // logits a frame
    parameter int BITS = 16,     // bits of a logit
    localparam int CLASS_BITS = CLASSES > 2 ? $clog2(CLASSES) : 1
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  s_valid,
    output wire                  s_ready,
    input  wire [PE*BITS-1:0]    s_data,
    output wire                  m_valid,
    input  wire                  m_ready,
    output wire [BITS-1:0]       m_max,
    output wire [BITS-1:0]       m_second,
    output wire [CLASS_BITS-1:0] m_class,
    output wire                  busy
);
  localparam int LEAVES = 1 << $clog2(PE);
  localparam int NODES = 2 * LEAVES - 1;
  localparam logic [BITS-1:0] LOWEST = {1'b1, {(BITS - 1){1'b0}}};
  localparam bit ONE_BEAT = PE == CLASSES;
  localparam logic [CLASS_BITS-1:0] FINAL = CLASS_BITS'(CLASSES - PE);

  if (CLASSES < 2 || CLASSES > 65536) begin : g_bad_classes
    $error("ex_leaders: CLASSES must be 2 to 65536, is %0d", CLASSES);
  end
  if (PE < 1 || CLASSES % PE != 0) begin : g_bad_pe
    $error("ex_leaders: PE %0d must divide CLASSES %0d", PE, CLASSES);
  end
  if (BITS < 2 || BITS > 32) begin : g_bad_bits
    $error("ex_leaders: BITS must be 2 to 32, is %0d", BITS);
  end

  // a: best, second and class of one beat; b: of the frame so far; base: class of the next beat
  logic                  a_valid_q, a_first_q, a_last_q;
  logic [BITS-1:0]       a_max_q, a_second_q, b_max_q, b_second_q;
  logic [CLASS_BITS-1:0] a_class_q, b_class_q, base_q;

  wire first = ONE_BEAT || base_q == '0;
  wire last = ONE_BEAT || base_q == FINAL;
  wire go = a_valid_q && (!a_last_q || m_ready);
  wire take = s_valid && s_ready;
  assign s_ready = !a_valid_q || go;

  // a tree over the lanes; node k has the children 2k+1 (lower classes) and 2k+2
  logic [NODES-1:0][BITS-1:0]       tree_max, tree_second;
  logic [NODES-1:0][CLASS_BITS-1:0] tree_lane;
  logic [NODES-1:0]                 wins;
  always_comb begin
    wins = '0;
    for (int k = NODES - 1; k >= 0; k--) begin
      if (k >= LEAVES - 1) begin
        tree_max[k] = LOWEST;
        if (k - (LEAVES - 1) < PE) tree_max[k] = s_data[BITS*((k - (LEAVES - 1)) % PE) +: BITS];
        tree_second[k] = LOWEST;
        tree_lane[k] = CLASS_BITS'(k - (LEAVES - 1));
      end else begin
        wins[k] = $signed(tree_max[2*k+2]) > $signed(tree_max[2*k+1]);
        tree_max[k] = wins[k] ? tree_max[2*k+2] : tree_max[2*k+1];
        tree_lane[k] = wins[k] ? tree_lane[2*k+2] : tree_lane[2*k+1];
        if (2 * k + 1 >= LEAVES - 1) begin  // of two lanes the other one is second
          tree_second[k] = wins[k] ? tree_max[2*k+1] : tree_max[2*k+2];
        end else if (wins[k]) begin
          tree_second[k] = $signed(tree_second[2*k+2]) > $signed(tree_max[2*k+1])
              ? tree_second[2*k+2] : tree_max[2*k+1];
        end else begin
          tree_second[k] = $signed(tree_max[2*k+2]) > $signed(tree_second[2*k+1])
              ? tree_max[2*k+2] : tree_second[2*k+1];
        end
      end
    end
  end

  // the frame so far and the beat in a
  logic [BITS-1:0]       both_max, both_second;
  logic [CLASS_BITS-1:0] both_class;
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

  assign m_valid = a_valid_q && a_last_q;
  assign m_max = both_max;
  assign m_second = both_second;
  assign m_class = both_class;

  always_ff @(posedge clk) begin
    if (take) begin
      base_q     <= last ? '0 : base_q + CLASS_BITS'(PE);
      a_first_q  <= first;
      a_last_q   <= last;
      a_max_q    <= tree_max[0];
      a_second_q <= tree_second[0];
      a_class_q  <= base_q + tree_lane[0];
    end
    if (take) a_valid_q <= 1'b1;
    else if (go) a_valid_q <= 1'b0;
    if (go) begin
      b_max_q    <= both_max;
      b_second_q <= both_second;
      b_class_q  <= both_class;
    end
    if (rst) begin
      base_q    <= '0;
      a_valid_q <= 1'b0;
    end
  end

`ifdef EX_BULK
  assign busy = go;
`else
  assign busy = 1'b1;
`endif
endmodule

`default_nettype wire
