// Width converter: the same elements in the same order, IN_WIDTH bits a beat in, OUT_WIDTH out.
//
//   up    (OUT_WIDTH = R * IN_WIDTH): m = {s[R-1], ..., s[1], s[0]} of R successive input words
//   down  (IN_WIDTH = R * OUT_WIDTH): R output words from every input word, lowest bits first
//
// Latency: 1 cycle from the (last) input word to the (first) output word. Throughput: one word a
// cycle on the narrow side, with CUT an input word every R + 1 cycles at most. Stall: the output
// word is held; upwards, R - 1 further input words are accepted meanwhile. Reset: empty, a partly
// collected or sent word is dropped. busy: a word leaves (see ex_gate).
`default_nettype none
module ex_width #(
    parameter int unsigned IN_WIDTH  = 8,  // bits
    parameter int unsigned OUT_WIDTH = 16, // bits
    parameter bit          CUT       = 0   // down: s_ready does not depend on m_ready
) (
    input  wire logic                 clk,
    input  wire logic                 rst,
    input  wire logic                 s_valid,
    output      logic                 s_ready,
    input  wire logic [ IN_WIDTH-1:0] s_data,
    output      logic                 m_valid,
    input  wire logic                 m_ready,
    output      logic [OUT_WIDTH-1:0] m_data,
    output      logic                 busy
);
  if (OUT_WIDTH % IN_WIDTH != 0 && IN_WIDTH % OUT_WIDTH != 0) begin : gen_illegal
    $error("ex_width: one width must divide the other, not IN_WIDTH %0d and OUT_WIDTH %0d",
           IN_WIDTH, OUT_WIDTH);
  end

  logic valid_q;
  assign m_valid = valid_q;

  if (OUT_WIDTH > IN_WIDTH) begin : gen_up
    localparam int unsigned RATIO = OUT_WIDTH / IN_WIDTH;
    localparam int unsigned CW = $clog2(RATIO);  // bits of the counter, at least 1
    logic [CW-1:0] count_q;  // input words collected
    logic [OUT_WIDTH-IN_WIDTH-1:0] part_q;  // the collected words, the newest on top
    logic [OUT_WIDTH-1:0] data_q;
    logic last, take;
    assign last = count_q == CW'(RATIO - 1);
    assign s_ready = !last || !valid_q || m_ready;
    assign take = s_valid && s_ready;
    assign m_data = data_q;
    always_ff @(posedge clk) begin
      if (m_ready) valid_q <= 1'b0;
      if (take) begin
        count_q <= last ? '0 : count_q + CW'(1);
        part_q  <= (OUT_WIDTH - IN_WIDTH)'({s_data, part_q} >> IN_WIDTH);
        if (last) begin
          data_q  <= {s_data, part_q};
          valid_q <= 1'b1;
        end
      end
      if (rst) begin
        valid_q <= 1'b0;
        count_q <= '0;
      end
    end
  end else if (OUT_WIDTH < IN_WIDTH) begin : gen_down
    localparam int unsigned RATIO = IN_WIDTH / OUT_WIDTH;
    localparam int unsigned CW = $clog2(RATIO);  // bits of the counter, at least 1
    logic [CW-1:0] count_q;  // output words sent of the current input word
    logic [IN_WIDTH-1:0] data_q;  // stays where it is: selecting takes less than shifting
    logic last, load;
    assign last = count_q == CW'(RATIO - 1);
    assign s_ready = !valid_q || (!CUT && last && m_ready);
    assign load = s_valid && s_ready;
    assign m_data = OUT_WIDTH'(data_q >> (32'(count_q) * OUT_WIDTH));
    always_ff @(posedge clk) begin
      if (load) data_q <= s_data;
      if (load || m_ready) valid_q <= load || (valid_q && !last);
      if (valid_q && m_ready) count_q <= last ? '0 : count_q + CW'(1);
      if (rst) begin
        valid_q <= 1'b0;
        count_q <= '0;
      end
    end
  end else begin : gen_same
    logic [OUT_WIDTH-1:0] data_q;
    assign s_ready = !valid_q || m_ready;
    assign m_data  = data_q;
    always_ff @(posedge clk) begin
      if (s_ready) valid_q <= s_valid;
      if (s_valid && s_ready) data_q <= s_data;
      if (rst) valid_q <= 1'b0;
    end
  end

`ifdef EX_BULK
  assign busy = valid_q && m_ready;
`else
  assign busy = 1'b1;
`endif
endmodule
`default_nettype wire
