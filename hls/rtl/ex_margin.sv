// ex_margin: class and score of one frame by the margin of its largest logit over the second.
//
// s: CLASSES signed logits of BITS bits, PE a beat, class 0 first in the low bits. m, one word per
// frame: {score, class}, class = argmax (the first index wins a tie) in the low CLASS_BITS bits,
// score = largest - second largest, signed, 0 <= score < 2**BITS. A frame may follow another
// without a gap. Throughput, latency, stall, reset and busy: those of ex_leaders.
`default_nettype none

module ex_margin #(
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
    output wire                             m_valid,
    input  wire                             m_ready,
    output wire [SCORE_BITS+CLASS_BITS-1:0] m_data,
    output wire                             busy
);
  if (BITS < 2 || BITS > 31) begin : g_bad_bits
    $error("ex_margin: BITS must be 2 to 31, is %0d", BITS);
  end

  wire [BITS-1:0]       largest, second;
  wire [CLASS_BITS-1:0] winner;
  ex_leaders #(
      .PE(PE), .CLASSES(CLASSES), .BITS(BITS), .LEVELS_A_STAGE(LEVELS_A_STAGE)
  ) u_leaders (
      .clk(clk), .rst(rst),
      .s_valid(s_valid), .s_ready(s_ready), .s_data(s_data),
      .m_valid(m_valid), .m_ready(m_ready),
      .m_max(largest), .m_second(second), .m_class(winner),
      .busy(busy)
  );
  wire [BITS-1:0] margin = largest - second;  // below 2**BITS, so that no carry is lost
  assign m_data = {1'b0, margin, winner};
endmodule

`default_nettype wire
