// ex_leaders: the largest and the second largest logit of one frame, and whose the largest is.
//
// s: CLASSES signed logits of BITS bits, PE a beat, class 0 first in the low bits. m, one word per
// frame: m_max, m_second <= m_max, both signed, and m_class = argmax (the first index wins a tie).
// A frame may follow another without a gap. Throughput: one beat a cycle; latency: m as many cycles
// after the last beat as ex_best has stages. On stall m holds, everything inside stands still and s
// waits; the next beat is taken in the cycle in which m is.
// Reset: empty. busy: a beat moves inside, or the word leaves (see ex_gate).
`default_nettype none

module ex_leaders #(
    parameter int PE = 1,               // logits a beat
    parameter int CLASSES = 10,         // logits a frame
    parameter int BITS = 16,            // bits of a logit
    parameter int LEVELS_A_STAGE = 1,   // see ex_best
    parameter bit SECOND = 1'b1,        // m_second is wanted
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
  wire go = !m_valid || m_ready;
  wire moving;
  assign s_ready = go;

  ex_best #(
      .PE(PE), .CLASSES(CLASSES), .BITS(BITS), .LEVELS_A_STAGE(LEVELS_A_STAGE), .SECOND(SECOND)
  ) u_best (
      .clk(clk), .rst(rst), .go(go),
      .s_valid(s_valid), .s_data(s_data),
      .m_valid(m_valid), .m_max(m_max), .m_second(m_second), .m_class(m_class),
      .busy(moving)
  );

`ifdef EX_BULK
  assign busy = moving && go;
`else
  wire unused_moving = moving;
  assign busy = 1'b1;
`endif
endmodule

`default_nettype wire
