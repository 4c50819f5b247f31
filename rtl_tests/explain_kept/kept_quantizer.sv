// A quantizer with all that keeps its context: its mask, its levels, and in front of a max pool the
// ways and the bits at their ends. Each lane of the latter is {mask, way}.
`default_nettype none

module kept_quantizer #(
    parameter int PE = 1, IN_BITS = 8, OUT_BITS = 4, FOLDS = 1, LEVELS = 15, BIAS = 0,
    parameter bit IN_SIGNED = 1'b1, EDGES = 1'b1,
    parameter THRESHOLD_FILE = "", EDGE_FILE = "",
    parameter int C = 1, H = 4, W = 4, KH = 2, KW = 2, SLOTS = 2, IN_FLIGHT = 2,
    localparam int WB = KH * KW > 1 ? $clog2(KH * KW) : 1,
    localparam int L  = C < 16 ? C : 16,
    localparam int G  = (C + 15) / 16,
    localparam int SW = SLOTS > 1 ? $clog2(SLOTS) : 1,
    localparam int AW = $clog2(H * W * G),
    localparam int PW = $clog2((H / KH) * (W / KW) * G)
) (
    input  wire                   clk,
    input  wire                   rst,
    input  wire                   s_valid,
    output wire                   s_ready,
    input  wire [PE*IN_BITS-1:0]  s_data,
    output wire                   m_valid,
    input  wire                   m_ready,
    output wire [PE*OUT_BITS-1:0] m_data,
    input  wire                   pass,
    input  wire                   pass_kept,
    input  wire [SW-1:0]          pass_slot,
    input  wire                   r_valid,
    input  wire [SW-1:0]          r_slot,
    input  wire [AW-1:0]          r_address,
    output wire [L-1:0]           r_mask,
    output wire [L*OUT_BITS-1:0]  r_levels,
    input  wire [PW-1:0]          r_pooled_address,
    output wire [L*(WB+1)-1:0]    r_pooled
);
  wire [PE-1:0] m_edge;
  wire take = m_valid && m_ready;

  ex_threshold #(
      .PE(PE), .IN_BITS(IN_BITS), .IN_SIGNED(IN_SIGNED), .OUT_BITS(OUT_BITS), .FOLDS(FOLDS),
      .LEVELS(LEVELS), .BIAS(BIAS), .THRESHOLD_FILE(THRESHOLD_FILE), .EDGES(EDGES),
      .EDGE_FILE(EDGE_FILE)
  ) quantizer (
      .clk(clk), .rst(rst), .s_valid(s_valid), .s_ready(s_ready), .s_data(s_data),
      .m_valid(m_valid), .m_ready(m_ready), .m_data(m_data), .m_edge(m_edge), .busy()
  );

  ex_explain_tap #(
      .LANES(PE), .BITS(1), .C(C), .POSITIONS(H * W), .SLOTS(SLOTS), .IN_FLIGHT(IN_FLIGHT)
  ) masks (
      .clk(clk), .rst(rst), .pass(pass), .pass_kept(pass_kept), .pass_slot(pass_slot),
      .take(take), .s_data(m_edge),
      .r_valid(r_valid), .r_slot(r_slot), .r_address(r_address), .r_data(r_mask)
  );
  ex_explain_tap #(
      .LANES(PE), .BITS(OUT_BITS), .C(C), .POSITIONS(H * W), .SLOTS(SLOTS), .IN_FLIGHT(IN_FLIGHT)
  ) levels (
      .clk(clk), .rst(rst), .pass(pass), .pass_kept(pass_kept), .pass_slot(pass_slot),
      .take(take), .s_data(m_data),
      .r_valid(r_valid), .r_slot(r_slot), .r_address(r_address), .r_data(r_levels)
  );

  wire                  way_valid;
  wire [PE*WB-1:0]      way;
  wire [PE-1:0]         way_mask;
  wire [PE*(WB+1)-1:0]  lanes;
  ex_explain_pool #(
      .LANES(PE), .IN_BITS(OUT_BITS), .IN_SIGNED(BIAS < 0), .C(C), .H(H), .W(W), .KH(KH), .KW(KW)
  ) pool (
      .clk(clk), .rst(rst), .take(take), .s_data(m_data), .s_mask(m_edge),
      .m_valid(way_valid), .m_way(way), .m_mask(way_mask), .m_data()
  );
  for (genvar i = 0; i < PE; i++) begin : g_lane
    assign lanes[i*(WB+1) +: WB+1] = {way_mask[i], way[i*WB +: WB]};
  end
  ex_explain_tap #(
      .LANES(PE), .BITS(WB + 1), .C(C), .POSITIONS((H / KH) * (W / KW)), .SLOTS(SLOTS),
      .IN_FLIGHT(IN_FLIGHT)
  ) pooled (
      .clk(clk), .rst(rst), .pass(pass), .pass_kept(pass_kept), .pass_slot(pass_slot),
      .take(way_valid), .s_data(lanes),
      .r_valid(r_valid), .r_slot(r_slot), .r_address(r_pooled_address), .r_data(r_pooled)
  );
endmodule

`default_nettype wire
