// ex_raw: the raw logits of one exit as 128-bit beats.
//
// At most one of the N inputs is active. m_data = 4 logits of 32 bits, the earlier in the lower
// bits; a frame's last beat (m_last, with the frame's bank) is filled up with zeros.
// One logit a cycle; latency 1 from the logit that fills a beat. On stall m holds. Reset: empty.
// clear is a reset that leaves the beat on m: it stays, unchanged, until it is taken.
`default_nettype none

module ex_raw #(
    parameter int N = 3  // exits
) (
    input  wire            clk,
    input  wire            rst,
    input  wire            clear,
    input  wire [N-1:0]    s_valid,
    output wire [N-1:0]    s_ready,
    input  wire [N*32-1:0] s_data,
    input  wire [N-1:0]    s_last,
    input  wire [N-1:0]    s_bank,
    output wire            m_valid,
    input  wire            m_ready,
    output wire [127:0]    m_data,
    output wire            m_last,
    output wire            m_bank
);
  if (N < 1) begin : g_bad_n
    $error("ex_raw: N must be at least 1, is %0d", N);
  end

  logic [1:0]   fill_q;
  logic         valid_q, last_q, bank_q;
  logic [127:0] data_q;

  logic [31:0] logit;
  logic        last, bank;
  always_comb begin
    logit = s_data[31:0];
    last = s_last[0];
    bank = s_bank[0];
    for (int i = 1; i < N; i++) begin
      if (s_valid[i]) begin
        logit = s_data[32*i +: 32];
        last = s_last[i];
        bank = s_bank[i];
      end
    end
  end

  wire free = !valid_q || m_ready;
  wire put = |s_valid && free;
  assign s_ready = {N{free}};
  assign m_valid = valid_q;
  assign m_data = data_q;
  assign m_last = last_q;
  assign m_bank = bank_q;

  always_ff @(posedge clk) begin
    if (m_ready) valid_q <= 1'b0;
    if (put) begin
      fill_q  <= last ? 2'd0 : fill_q + 1'b1;
      valid_q <= (last || fill_q == 2'd3) && !clear;
      last_q  <= last;
      bank_q  <= bank;
      unique case (fill_q)
        2'd0: data_q <= {96'd0, logit};
        2'd1: data_q[63:32] <= logit;
        2'd2: data_q[95:64] <= logit;
        default: data_q[127:96] <= logit;
      endcase
    end
    if (rst || clear) fill_q <= 2'd0;
    if (rst) valid_q <= 1'b0;
  end
endmodule

`default_nettype wire
