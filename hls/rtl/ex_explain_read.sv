// Part of ex_explain: walks the words of a stream and gives what is not 0, one item a cycle.
//
// A walk goes over (rows, columns, groups) in that order; a word holds 16 lanes of a group. The
// words come from the gradients' masks, from the context (masks, or features whose lanes that are
// not 0 count), are all ones, or are a single one at the class. A lane that is set is an item; a
// word without any takes one cycle, a word with n takes n. Where an item is: row, u, line are
// sums that grow by a step with every row and column (every `every_y` rows, `every_x` columns), and
// an offset of the item's way: of its largest input behind a max pool, of its place in a tile.
//
// From `start` to the first item 4 cycles. Words follow each other without a gap. The whole pipe
// stands while the item in front is not taken. In a sweep words without an item come too (`has` is
// 0), and m_end tells the last item of a word. `busy`: something of the walk is still to come.
`default_nettype none

module ex_explain_read #(
    parameter int BITS         = 8,   // of a gradient
    parameter int FEATURE_BITS = 4,   // of a feature
    parameter int VALUE_BITS   = 8,   // of a value that is given, signed
    parameter int LEFT         = 0,   // most bits by which gradients are shifted up
    parameter int Y_BITS       = 6,   // of a row of the sums, signed
    parameter int X_BITS       = 8,   // of a place in a row, signed
    parameter int N_BITS       = 10,  // of a place in the sums
    parameter int P_BITS       = 10,  // of a position
    parameter int C_BITS       = 4,   // of a channel
    parameter int G_BITS       = 4,   // of a group
    parameter int WAY_BITS     = 2,   // of a way through a max pool
    parameter int A_BITS       = 10,  // address of a context word
    parameter int MA_BITS      = 10,  // address of a mask of gradients
    parameter int VA_BITS      = 10,  // address of a gradient
    parameter int RA_BITS      = 8,   // address of a row of weights
    parameter int TA_BITS      = 4,   // address of an offset of a way
    parameter int WA_BITS      = 10,  // address of weights
    parameter int CW           = 64   // bits of a context word
) (
    input  wire                         clk,
    input  wire                         rst,
    input  wire                         start,
    output wire                         busy,
    // the step
    input  wire                         sweep,      // and not a scatter
    input  wire                         from_masks, // where words come from: masks of gradients,
    input  wire                         from_context,  // masks of the context,
    input  wire                         from_features, // features,
    input  wire                         from_class,    // one at the class; else all ones
    input  wire                         routed,        // ways come with the words
    input  wire                         tiled,         // an item's place in its word is its way
    input  wire  [P_BITS-1:0]           last_x,
    input  wire  [P_BITS-1:0]           last_y,
    input  wire  [G_BITS-1:0]           last_g,
    input  wire  [3:0]                  last_lane,     // of the last group
    input  wire  [TA_BITS-1:0]          way_base,
    input  wire  [Y_BITS-1:0]           row_first,
    input  wire  [Y_BITS-1:0]           row_step,
    input  wire  [X_BITS-1:0]           u_first,
    input  wire  [X_BITS-1:0]           u_step,
    input  wire  [N_BITS-1:0]           line_first,
    input  wire  [N_BITS-1:0]           line_step,
    input  wire  [P_BITS-1:0]           every_y,
    input  wire  [P_BITS-1:0]           every_x,
    input  wire  [P_BITS-1:0]           across,        // positions from row to row
    input  wire  [RA_BITS-1:0]          weights_base,
    input  wire  [3:0]                  left,          // bits by which gradients are shifted up
    input  wire  [MA_BITS-1:0]          mask_base,
    input  wire  [VA_BITS-1:0]          value_base,
    input  wire  [C_BITS-1:0]           first_channel,
    input  wire  [C_BITS-1:0]           last_channel,
    // memories: what is addressed comes one cycle later, and stays
    output wire                         word_enable,
    output wire  [MA_BITS-1:0]          mask_address,
    input  wire  [15:0]                 mask_data,
    output wire  [A_BITS-1:0]           context_address,
    input  wire  [CW-1:0]               context_data,
    output wire                         item_enable,
    output wire  [VA_BITS-1:0]          value_address,
    input  wire  [BITS-1:0]             value_data,
    output wire  [RA_BITS-1:0]          weights_address,
    input  wire  [WA_BITS+C_BITS-1:0]   weights_data,  // {address, first channel}
    output wire  [TA_BITS-1:0]          way_address,
    input  wire  [Y_BITS+X_BITS+N_BITS+P_BITS-1:0] way_data,  // {row, u, line, position}
    // items
    output wire                         m_valid,
    input  wire                         m_ready,
    output wire                         m_has,
    output wire                         m_end,
    output wire                         m_last,        // of the walk
    output wire  [Y_BITS-1:0]           m_row,
    output wire  [X_BITS-1:0]           m_u,
    output wire  [N_BITS-1:0]           m_line,
    output wire  [P_BITS-1:0]           m_position,
    output wire  [C_BITS-1:0]           m_channel,
    output wire  [3:0]                  m_lane,
    output wire  [VALUE_BITS-1:0]       m_value,
    output wire  [WA_BITS-1:0]          m_weights
);
  logic r1_valid_q, r2_valid_q, r3_valid_q;
  wire enable = !r3_valid_q || m_ready;

  // ---------------------------------------------------------------- words
  logic              run_q;
  logic [P_BITS-1:0] x_q, y_q, sub_x_q, sub_y_q;
  logic [G_BITS-1:0] g_q;
  logic [A_BITS-1:0] word_q;
  logic [Y_BITS-1:0] row_q;
  logic [X_BITS-1:0] u_q;
  logic [N_BITS-1:0] line_q;
  logic [P_BITS-1:0] tile_x_q, tile_y_q;  // the position is their sum
  wire ends_x = x_q == last_x;
  wire ends_y = y_q == last_y;
  wire ends_g = g_q == last_g;
  wire r1_end;
  wire fetch = run_q && enable && (!r1_valid_q || r1_end);
  wire close_x = sub_x_q == every_x;
  wire close_y = sub_y_q == every_y;

  always_ff @(posedge clk) begin
    if (fetch) begin
      word_q <= word_q + 1'b1;
      g_q    <= ends_g ? '0 : g_q + 1'b1;
      if (ends_g) begin
        x_q      <= x_q + 1'b1;
        sub_x_q  <= close_x ? '0 : sub_x_q + 1'b1;
        tile_x_q <= tile_x_q + P_BITS'(tiled ? 4 : 1);
        if (close_x) u_q <= u_q + u_step;
        if (ends_x) begin
          x_q      <= '0;
          sub_x_q  <= '0;
          tile_x_q <= '0;
          u_q      <= u_first;
          y_q      <= y_q + 1'b1;
          sub_y_q  <= close_y ? '0 : sub_y_q + 1'b1;
          tile_y_q <= tile_y_q + across;
          if (close_y) begin
            row_q  <= row_q + row_step;
            line_q <= line_q + line_step;
          end
          if (ends_y) run_q <= 1'b0;
        end
      end
    end
    if (start) begin
      run_q    <= 1'b1;
      x_q      <= '0;
      y_q      <= '0;
      g_q      <= '0;
      sub_x_q  <= '0;
      sub_y_q  <= '0;
      tile_x_q <= '0;
      tile_y_q <= '0;
      word_q   <= '0;
      row_q    <= row_first;
      u_q      <= u_first;
      line_q   <= line_first;
    end
    if (rst) run_q <= 1'b0;
  end

  logic [MA_BITS-1:0] mask_address_q;
  always_ff @(posedge clk) begin
    if (fetch) mask_address_q <= mask_address_q + 1'b1;
    if (start) mask_address_q <= mask_base;
  end
  assign word_enable = fetch;
  assign mask_address = mask_address_q;
  assign context_address = word_q;

  // ---------------------------------------------------------------- items of a word
  logic              fresh_q, last_g_q, last_word_q;
  logic [15:0]       left_q;
  logic [G_BITS-1:0] r1_g_q;
  logic [Y_BITS-1:0] r1_row_q;
  logic [X_BITS-1:0] r1_u_q;
  logic [N_BITS-1:0] r1_line_q;
  logic [P_BITS-1:0] r1_position_q;

  logic [15:0] found;
  always_comb begin
    found = last_g_q ? 16'hffff >> (4'd15 - last_lane) : 16'hffff;
    if (from_masks) found = mask_data;
    if (from_context) found = context_data[15:0];
    if (from_class) found = 16'd1;
    if (from_features) begin
      for (int i = 0; i < 16; i++) found[i] = |context_data[i*FEATURE_BITS+:FEATURE_BITS];
    end
  end
  wire [15:0] word = fresh_q ? found : left_q;
  wire [15:0] rest = word & (word - 16'd1);
  wire        has = |word;
  assign r1_end = rest == 16'd0;

  logic [3:0] lane;  // the lowest one
  always_comb begin
    lane = 4'd0;
    for (int i = 15; i >= 0; i--) if (word[i]) lane = 4'(i);
  end

  always_ff @(posedge clk) begin
    if (enable) begin
      left_q  <= rest;
      fresh_q <= fetch;
      if (fetch) begin
        r1_valid_q    <= 1'b1;
        last_g_q      <= ends_g;
        last_word_q   <= ends_g && ends_x && ends_y;
        r1_g_q        <= g_q;
        r1_row_q      <= row_q;
        r1_u_q        <= u_q;
        r1_line_q     <= line_q;
        r1_position_q <= tile_y_q + tile_x_q;
      end else if (r1_end) begin
        r1_valid_q <= 1'b0;
      end
    end
    if (rst) r1_valid_q <= 1'b0;
  end

  wire [C_BITS-1:0] channel = tiled ? C_BITS'(r1_g_q) : C_BITS'({r1_g_q, lane});
  wire [WAY_BITS-1:0] routed_way = context_data[lane*WAY_BITS+:WAY_BITS];
  wire [TA_BITS-1:0] way = tiled ? TA_BITS'(lane) : routed ? TA_BITS'(routed_way) : '0;

  logic [VA_BITS-1:0] value_address_q;
  always_ff @(posedge clk) begin
    if (enable && r1_valid_q && has) value_address_q <= value_address_q + 1'b1;
    if (start) value_address_q <= value_base;
  end
  assign item_enable = enable && r1_valid_q;
  assign value_address = value_address_q;
  assign weights_address = weights_base + RA_BITS'(channel);
  assign way_address = way_base + way;

  // ---------------------------------------------------------------- with what the memories give
  logic              r2_has_q, r2_end_q, r2_last_q;
  logic [C_BITS-1:0] r2_channel_q;
  logic [3:0]        r2_lane_q;
  logic [Y_BITS-1:0] r2_row_q;
  logic [X_BITS-1:0] r2_u_q;
  logic [N_BITS-1:0] r2_line_q;
  logic [P_BITS-1:0] r2_position_q;
  logic [FEATURE_BITS-1:0] r2_feature_q;
  wire taken = sweep || (has && channel >= first_channel && channel <= last_channel);

  always_ff @(posedge clk) begin
    if (enable) begin
      r2_valid_q    <= r1_valid_q && taken;
      r2_has_q      <= has;
      r2_end_q      <= r1_end;
      r2_last_q     <= r1_end && last_word_q;
      r2_channel_q  <= channel;
      r2_lane_q     <= lane;
      r2_row_q      <= r1_row_q;
      r2_u_q        <= r1_u_q;
      r2_line_q     <= r1_line_q;
      r2_position_q <= r1_position_q;
      r2_feature_q  <= context_data[lane*FEATURE_BITS+:FEATURE_BITS];
    end
    if (rst) r2_valid_q <= 1'b0;
  end

  wire [Y_BITS-1:0]  way_row;
  wire [X_BITS-1:0]  way_u;
  wire [N_BITS-1:0]  way_line;
  wire [P_BITS-1:0]  way_position;
  wire [WA_BITS-1:0] weights;
  wire [C_BITS-1:0]  group_first;
  assign {way_row, way_u, way_line, way_position} = way_data;
  assign {weights, group_first} = weights_data;

  wire [VALUE_BITS-1:0] gradient = VALUE_BITS'($signed(value_data));
  wire [VALUE_BITS-1:0] shifted = LEFT == 0 ? gradient : gradient << left;
  logic              r3_has_q, r3_end_q, r3_last_q;
  logic [C_BITS-1:0] r3_channel_q;
  logic [3:0]        r3_lane_q;
  logic [Y_BITS-1:0] r3_row_q;
  logic [X_BITS-1:0] r3_u_q;
  logic [N_BITS-1:0] r3_line_q;
  logic [P_BITS-1:0] r3_position_q;
  logic [VALUE_BITS-1:0] r3_value_q;
  logic [WA_BITS-1:0] r3_weights_q;
  always_ff @(posedge clk) begin
    if (enable) begin
      r3_valid_q    <= r2_valid_q;
      r3_has_q      <= r2_has_q;
      r3_end_q      <= r2_end_q;
      r3_last_q     <= r2_last_q;
      r3_channel_q  <= r2_channel_q;
      r3_lane_q     <= r2_lane_q;
      r3_row_q      <= r2_row_q + way_row;
      r3_u_q        <= r2_u_q + way_u + X_BITS'(sweep ? r2_channel_q : group_first);
      r3_line_q     <= r2_line_q + way_line;
      r3_position_q <= r2_position_q + way_position;
      r3_weights_q  <= weights;
      r3_value_q    <= from_class ? VALUE_BITS'(1)
          : from_features ? VALUE_BITS'(r2_feature_q) : shifted;
    end
    if (rst) r3_valid_q <= 1'b0;
  end

  assign busy = run_q || r1_valid_q || r2_valid_q || r3_valid_q;
  assign m_valid = r3_valid_q;
  assign m_has = r3_has_q;
  assign m_end = r3_end_q;
  assign m_last = r3_last_q;
  assign m_row = r3_row_q;
  assign m_u = r3_u_q;
  assign m_line = r3_line_q;
  assign m_position = r3_position_q;
  assign m_channel = r3_channel_q;
  assign m_lane = r3_lane_q;
  assign m_value = r3_value_q;
  assign m_weights = r3_weights_q;
endmodule

`default_nettype wire
