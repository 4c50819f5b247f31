// ex_maximum: class and score of one frame, the score is its largest logit.
//
// s: CLASSES signed logits of BITS bits, PE a beat, class 0 first in the low bits. m, one word per
// frame: {score, class}, class = argmax (the first index wins a tie) in the low CLASS_BITS bits,
// score = largest logit, signed. A frame may follow another without a gap. Throughput, latency,
// stall, reset and busy: those of ex_leaders.
`default_nettype none

module ex_maximum #(
    parameter int PE = 1,              // logits a beat
    parameter int CLASSES = 10,        // logits a frame
    parameter int BITS = 16,           // bits of a logit
    parameter int LEVELS_A_STAGE = 1,  // see ex_leaders
    localparam int CLASS_BITS = CLASSES > 2 ? $clog2(CLASSES) : 1
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       s_valid,
    output wire                       s_ready,
    input  wire [PE*BITS-1:0]         s_data,
    output wire                       m_valid,
    input  wire                       m_ready,
    output wire [BITS+CLASS_BITS-1:0] m_data,
    output wire                       busy
);
  wire [BITS-1:0]       largest, unused_second;
  wire [CLASS_BITS-1:0] winner;
  ex_leaders #(
      .PE(PE), .CLASSES(CLASSES), .BITS(BITS), .LEVELS_A_STAGE(LEVELS_A_STAGE), .SECOND(1'b0)
  ) u_leaders (
      .clk(clk), .rst(rst),
      .s_valid(s_valid), .s_ready(s_ready), .s_data(s_data),
      .m_valid(m_valid), .m_ready(m_ready),
      .m_max(largest), .m_second(unused_second), .m_class(winner),
      .busy(busy)
  );
  assign m_data = {largest, winner};
endmodule

`default_nettype wire
