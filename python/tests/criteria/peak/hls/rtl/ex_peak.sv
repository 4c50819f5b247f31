// ex_peak: class and score of one frame, the score is its largest logit and BONUS_FILE.
//
// s: CLASSES signed logits of BITS bits, PE a beat, class 0 first in the low bits. m, one word per
// frame: {score, class}, class = argmax (the first index wins a tie) in the low CLASS_BITS bits.
// Throughput: one beat a cycle; latency: m 1 cycle after the last beat. On stall m holds and s
// waits; the next beat is taken in the cycle in which m is. Reset: empty.
`default_nettype none

module ex_peak #(
    parameter int PE = 1,        // logits a beat
    parameter int CLASSES = 10,  // logits a frame
    parameter int BITS = 16,     // bits of a logit
    parameter     BONUS_FILE = "",  // one number of 8 bits
    localparam int CLASS_BITS = CLASSES > 2 ? $clog2(CLASSES) : 1
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       s_valid,
    output wire                       s_ready,
    input  wire [PE*BITS-1:0]         s_data,
    output wire                       m_valid,
    input  wire                       m_ready,
    output wire [BITS+CLASS_BITS:0]   m_data
);
  localparam logic [CLASS_BITS-1:0] FINAL = CLASS_BITS'(CLASSES - PE);

  logic                  valid_q;
  logic [BITS-1:0]       best_q, best;
  logic [CLASS_BITS-1:0] class_q, class_d, base_q;

  wire last = base_q == FINAL;
  wire take = s_valid && s_ready;
  assign s_ready = !valid_q || m_ready;
  assign m_valid = valid_q;
  logic [7:0] bonus[1];
  if (BONUS_FILE != "") begin : g_file
    initial $readmemh(BONUS_FILE, bonus);
  end
  wire [BITS:0] score = {best_q[BITS-1], best_q} + (BITS + 1)'(bonus[0]);
  assign m_data = {score, class_q};

  always_comb begin
    best = best_q;
    class_d = class_q;
    for (int k = 0; k < PE; k++) begin
      if ((base_q == '0 && k == 0) || $signed(s_data[BITS*k +: BITS]) > $signed(best)) begin
        best = s_data[BITS*k +: BITS];
        class_d = base_q + CLASS_BITS'(k);
      end
    end
  end

  always_ff @(posedge clk) begin
    if (m_ready) valid_q <= 1'b0;
    if (take) begin
      best_q  <= best;
      class_q <= class_d;
      base_q  <= last ? '0 : base_q + CLASS_BITS'(PE);
      valid_q <= last;
    end
    if (rst) begin
      base_q  <= '0;
      valid_q <= 1'b0;
    end
  end
endmodule

`default_nettype wire
