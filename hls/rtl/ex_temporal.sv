// ex_temporal: class of one frame, and the margins of the frames in a row with that class, added up.
//
// s: CLASSES signed logits of BITS bits, PE a beat, class 0 first in the low bits. m, one word per
// frame: {score, class}, class = argmax (the first index wins a tie) in the low CLASS_BITS bits,
// score = (largest - second largest) + (score of the frame before, if its class was the same),
// signed, 32 bits, at most 7ffffffe. The frame before is the last whose word was taken.
// A frame may follow another without a gap. Throughput, latency, stall and busy: those of
// ex_leaders. Reset: empty, no frame before.
`default_nettype none

module ex_temporal #(
    parameter int PE = 1,              // logits a beat
    parameter int CLASSES = 10,        // logits a frame
    parameter int BITS = 16,           // bits of a logit
    parameter int LEVELS_A_STAGE = 1,  // see ex_leaders
    localparam int CLASS_BITS = CLASSES > 2 ? $clog2(CLASSES) : 1,
    localparam int SCORE_BITS = 32
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
  localparam logic [31:0] MOST = 32'h7fff_fffe;

  if (BITS < 2 || BITS > 31) begin : g_bad_bits
    $error("ex_temporal: BITS must be 2 to 31, is %0d", BITS);
  end

  logic [CLASS_BITS-1:0] class_q;
  logic [31:0]           sum_q;

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
  wire [31:0] so_far = winner == class_q ? sum_q : '0;
  wire [31:0] sum = so_far + 32'(margin);  // below 2**32, as both are below 2**31
  wire [31:0] score = sum > MOST ? MOST : sum;

  assign m_data = {score, winner};

  always_ff @(posedge clk) begin
    if (m_valid && m_ready) begin
      class_q <= winner;
      sum_q   <= score;
    end
    if (rst) begin
      class_q <= '0;
      sum_q   <= '0;
    end
  end
endmodule

`default_nettype wire
