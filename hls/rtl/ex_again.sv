// ex_again: behind exit 0 of frames that may be looked at again: their tokens, and what comes of them.
//
// decide is high in the cycle in which ex_decide takes the score of a look, and info = {more, look,
// who} is that look's; its token is offered on s in the next cycle. A token that takes, or of a look
// without more, passes to m as it is. Another one, unless off is high, goes to m as one that takes
// silently, so that nobody answers: verdict_again is high with the token, and again in the cycle in
// which it leaves. For every token of a look with more verdict_valid is high in that cycle, with
// verdict_info = {look, who}; look is the number of its look.
// Latency 0, one token a cycle; on stall m holds. It is ready when m is.
`default_nettype none

module ex_again #(
    parameter int WHO_BITS = 2  // bits of who: which frame it is
) (
    input  wire                 clk,
    input  wire                 off,
    input  wire                 decide,
    input  wire [WHO_BITS+2:0] info,
    input  wire                 s_valid,
    input  wire                 s_take,
    input  wire                 s_silent,
    input  wire                 m_ready,
    output wire                 m_take,
    output wire                 m_silent,
    output wire                 again,
    output wire [1:0]           look,
    output wire                 verdict_valid,
    output wire                 verdict_again,
    output wire [WHO_BITS+1:0] verdict_info
);
  logic [WHO_BITS+2:0] info_q;
  always_ff @(posedge clk) if (decide) info_q <= info;
  wire more = info_q[WHO_BITS+2];
  wire once_more = more && !s_take && !off;
  assign m_take = s_take || once_more;
  assign m_silent = s_silent || once_more;
  assign again = s_valid && m_ready && once_more;
  assign look = info_q[WHO_BITS +: 2];
  assign verdict_valid = s_valid && m_ready && more;
  assign verdict_again = once_more;
  assign verdict_info = info_q[WHO_BITS+1:0];
endmodule

`default_nettype wire
