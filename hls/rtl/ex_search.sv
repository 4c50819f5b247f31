// Thresholds of PE lanes by SEARCH lanes that take turns: y = BIAS + #{ t : x >= t } of CHANNELS
// channels, PE a word, as ex_threshold.
//
// With TURNS = PE / SEARCH > 1 a word goes through a converter to SEARCH lanes and one back: a word
// every TURNS + 1 cycles, TURNS + 1 cycles more than ex_threshold; s_ready does not depend on m_ready.
// Otherwise it is ex_threshold alone.
// Files, stall, reset and busy are those of ex_threshold with SEARCH lanes; m_edge too.
`default_nettype none

module ex_search #(
    parameter int PE        = 2,    // lanes of a word
    parameter int SEARCH    = 1,    // lanes that search
    parameter int CHANNELS  = 4,    // of a pixel
    parameter int IN_BITS   = 16,   // bits of x
    parameter bit IN_SIGNED = 1'b1, // x is two's complement
    parameter int OUT_BITS  = 4,    // bits of y
    parameter int LEVELS    = 15,   // thresholds of a channel
    parameter int BIAS      = 0,    // y below the first threshold
    parameter     THRESHOLD_FILE = "",  // see ex_threshold
    parameter bit EDGES     = 1'b0,     // m_edge is built
    parameter     EDGE_FILE = ""        // see ex_threshold
) (
    input  wire                   clk,
    input  wire                   rst,
    input  wire                   s_valid,
    output wire                   s_ready,
    input  wire [PE*IN_BITS-1:0]  s_data,
    output wire                   m_valid,
    input  wire                   m_ready,
    output wire [PE*OUT_BITS-1:0] m_data,
    output wire [PE-1:0]          m_edge,
    output wire                   busy
);
  localparam int TURNS = PE / SEARCH;

  if (SEARCH < 1 || PE % SEARCH != 0 || CHANNELS % PE != 0) begin : g_bad_search
    $error("ex_search: SEARCH must divide PE and PE CHANNELS %0d, not be %0d and %0d",
           CHANNELS, SEARCH, PE);
  end

  localparam int LANE = OUT_BITS + 32'(EDGES);  // bits of a lane that has been searched
  wire x_valid, x_ready, y_valid, y_ready, inner_busy;
  wire [SEARCH*IN_BITS-1:0] x;
  wire [SEARCH*OUT_BITS-1:0] y;
  wire [SEARCH-1:0] y_edge;

  ex_threshold #(
      .PE            (SEARCH),
      .IN_BITS       (IN_BITS),
      .IN_SIGNED     (IN_SIGNED),
      .OUT_BITS      (OUT_BITS),
      .FOLDS         (CHANNELS / SEARCH),
      .LEVELS        (LEVELS),
      .BIAS          (BIAS),
      .THRESHOLD_FILE(THRESHOLD_FILE),
      .EDGES         (EDGES),
      .EDGE_FILE     (EDGE_FILE)
  ) threshold (
      .clk    (clk),
      .rst    (rst),
      .s_valid(x_valid),
      .s_ready(x_ready),
      .s_data (x),
      .m_valid(y_valid),
      .m_ready(y_ready),
      .m_data (y),
      .m_edge (y_edge),
      .busy   (inner_busy)
  );

  if (TURNS == 1) begin : g_at_once
    assign x_valid = s_valid;
    assign s_ready = x_ready;
    assign x       = s_data;
    assign m_valid = y_valid;
    assign y_ready = m_ready;
    assign m_data  = y;
    assign m_edge  = y_edge;
    assign busy    = inner_busy;
  end else begin : g_in_turn
    wire x_busy, y_busy;
    wire [SEARCH*LANE-1:0] found;
    wire [PE*LANE-1:0] all;

    ex_width #(
        .IN_WIDTH (PE * IN_BITS),
        .OUT_WIDTH(SEARCH * IN_BITS),
        .CUT      (1'b1)
    ) in_turn (
        .clk    (clk),
        .rst    (rst),
        .s_valid(s_valid),
        .s_ready(s_ready),
        .s_data (s_data),
        .m_valid(x_valid),
        .m_ready(x_ready),
        .m_data (x),
        .busy   (x_busy)
    );
    ex_width #(
        .IN_WIDTH (SEARCH * LANE),
        .OUT_WIDTH(PE * LANE)
    ) together (
        .clk    (clk),
        .rst    (rst),
        .s_valid(y_valid),
        .s_ready(y_ready),
        .s_data (found),
        .m_valid(m_valid),
        .m_ready(m_ready),
        .m_data (all),
        .busy   (y_busy)
    );
    for (genvar p = 0; p < SEARCH; p++) begin : g_found
      if (EDGES) begin : g_edge
        assign found[p*LANE+:LANE] = {y_edge[p], y[p*OUT_BITS+:OUT_BITS]};
      end else begin : g_no_edge
        assign found[p*LANE+:LANE] = y[p*OUT_BITS+:OUT_BITS];
      end
    end
    for (genvar p = 0; p < PE; p++) begin : g_all
      assign m_data[p*OUT_BITS+:OUT_BITS] = all[p*LANE+:OUT_BITS];
      assign m_edge[p] = EDGES && all[p*LANE+LANE-1];
    end
    if (!EDGES) begin : g_unused
      wire unused = &{1'b0, y_edge};
    end
    assign busy = inner_busy || x_busy || y_busy;
  end
endmodule

`default_nettype wire
