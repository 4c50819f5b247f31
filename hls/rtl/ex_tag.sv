// ex_tag: the gate of the controlled pipeline: cuts the input into frames and gives each its tag.
//
// A frame is FRAME beats, counted, never delimited by s_last. s_last before a frame's final beat
// (a transfer that ends inside a frame) pads the rest of that frame with zero beats and flags it
// bad, so that the next beat starts a frame again; on the final beat s_last changes nothing.
// meta_data = {bad, bank, stamp[31:0], id[31:0]}, once per frame, offered after its final beat: id
// counts frames from 0, stamp = now and bank = bank in the cycle of the first beat's transfer.
// A frame's first beat is admitted only while fewer than IN_FLIGHT frames are inside and hold is
// low; the later beats always. leave takes one frame of bank leave_bank off the count.
// Latency 0 (m_data is s_data or zero), one beat a cycle. On stall: m holds; a first beat once
// shown on m stays shown. Reset: between frames, id 0, nothing inside; s_ready is low meanwhile.
`default_nettype none

module ex_tag #(
    parameter int WIDTH = 8,       // bits a beat
    parameter int FRAME = 64,      // beats a frame
    parameter int IN_FLIGHT = 16   // most frames inside
) (
    input  wire              clk,
    input  wire              rst,
    input  wire [31:0]       now,
    input  wire              bank,
    input  wire              hold,
    input  wire              leave,
    input  wire              leave_bank,
    input  wire              s_valid,
    output wire              s_ready,
    input  wire [WIDTH-1:0]  s_data,
    input  wire              s_last,
    output wire              m_valid,
    input  wire              m_ready,
    output wire [WIDTH-1:0]  m_data,
    output wire              meta_valid,
    input  wire              meta_ready,
    output wire [65:0]       meta_data,
    output wire [$clog2(IN_FLIGHT+1)-1:0] flight0,  // frames inside that use bank 0
    output wire [$clog2(IN_FLIGHT+1)-1:0] flight1,
    output wire              ev_accept,             // a first beat is transferred
    output wire              ev_bad,                // a frame is cut short
    output wire              ev_stall               // a beat waits
);
  localparam int BEAT_BITS = FRAME > 1 ? $clog2(FRAME) : 1;
  localparam int COUNT_BITS = $clog2(IN_FLIGHT + 1);
  localparam logic [BEAT_BITS-1:0] FINAL = BEAT_BITS'(FRAME - 1);
  localparam logic [COUNT_BITS:0] MOST = (COUNT_BITS + 1)'(IN_FLIGHT);

  if (WIDTH < 1) begin : g_bad_width
    $error("ex_tag: WIDTH must be at least 1, is %0d", WIDTH);
  end
  if (FRAME < 1) begin : g_bad_frame
    $error("ex_tag: FRAME must be at least 1, is %0d", FRAME);
  end
  if (IN_FLIGHT < 1) begin : g_bad_in_flight
    $error("ex_tag: IN_FLIGHT must be at least 1, is %0d", IN_FLIGHT);
  end

  logic [BEAT_BITS-1:0]  beat_q;
  logic [31:0]           id_q, stamp_q;
  logic                  bank_q, pad_q, granted_q, meta_valid_q;
  logic [65:0]           meta_q;
  logic [COUNT_BITS-1:0] flight0_q, flight1_q;

  wire first = beat_q == '0;
  wire final_beat = beat_q == FINAL;
  wire [COUNT_BITS:0] occupied = {1'b0, flight0_q} + {1'b0, flight1_q};
  wire admitted = !first || granted_q || (!hold && occupied < MOST);
  wire meta_free = !final_beat || !meta_valid_q || meta_ready;
  wire open = admitted && meta_free && !rst;
  wire beat = m_valid && m_ready;
  wire cut = beat && !pad_q && s_last && !final_beat;

  assign m_valid = (pad_q || s_valid) && open;
  assign m_data = pad_q ? '0 : s_data;
  assign s_ready = m_ready && open && !pad_q;
  assign meta_valid = meta_valid_q;
  assign meta_data = meta_q;
  assign flight0 = flight0_q;
  assign flight1 = flight1_q;
  assign ev_accept = beat && first;
  assign ev_bad = cut;
  assign ev_stall = s_valid && !s_ready && !rst;

  always_ff @(posedge clk) begin
    if (beat) begin
      beat_q <= final_beat ? '0 : beat_q + 1'b1;
      if (first) begin
        stamp_q <= now;
        bank_q  <= bank;
      end
      if (cut) pad_q <= 1'b1;
      if (final_beat) begin
        pad_q <= 1'b0;
        id_q  <= id_q + 1'b1;
        meta_q <= {pad_q, FRAME == 1 ? bank : bank_q, FRAME == 1 ? now : stamp_q, id_q};
      end
    end
    granted_q <= first && m_valid && !m_ready;
    if (beat && final_beat) meta_valid_q <= 1'b1;
    else if (meta_ready) meta_valid_q <= 1'b0;
    flight0_q <= flight0_q + COUNT_BITS'(ev_accept && !bank) - COUNT_BITS'(leave && !leave_bank);
    flight1_q <= flight1_q + COUNT_BITS'(ev_accept && bank) - COUNT_BITS'(leave && leave_bank);
    if (rst) begin
      beat_q       <= '0;
      id_q         <= '0;
      pad_q        <= 1'b0;
      granted_q    <= 1'b0;
      meta_valid_q <= 1'b0;
      flight0_q    <= '0;
      flight1_q    <= '0;
    end
  end
endmodule

`default_nettype wire
