// Part of ex_explain: the sums of a layer, PE banks; scatters into them, reads and clears them.
//
// Sum n lies in bank n % PE at n / PE. An item of a scatter adds value * weight to runs of
// neighbouring sums, PE a cycle: KH rows of KX runs of `length` sums each, from line + u on. Rows
// outside of `rows`, and sums outside of the `width` sums of a row, are left alone, but take their
// time: KH * KX * ceil(length / PE) cycles an item, one item after another without a gap. The
// weights of an item stand in that order, PE a word. What was added by the cycle before is seen.
// An item of a sweep takes one cycle and gives the sum at line + u, or 0 and `m_inside` 0 where it
// lies outside, 3 cycles later; m_fetch says one cycle before that what is to be looked up for it.
// `clear`: zeros up to `clear_words` in a bank, one a cycle, with `cleared` in the last one.
// With hold the whole pipe stands (in a sweep alone).
`default_nettype none

module ex_explain_sums #(
    parameter int PE         = 8,
    parameter int W_BITS     = 4,   // of a weight
    parameter int VALUE_BITS = 8,
    parameter int SUM_BITS   = 20,
    parameter int DEPTH      = 196, // of a bank
    parameter int Y_BITS     = 6,
    parameter int X_BITS     = 8,
    parameter int N_BITS     = 11,
    parameter int WA_BITS    = 10,
    parameter int TAG_BITS   = 1,   // what comes with an item of a sweep and goes with its sum
    parameter int D_BITS     = DEPTH > 1 ? $clog2(DEPTH) : 1
) (
    input  wire                       clk,
    input  wire                       rst,
    output wire                       busy,
    // the step
    input  wire                       sweep,
    input  wire  [Y_BITS-1:0]         rows,
    input  wire  [X_BITS-1:0]         width,
    input  wire  [7:0]                last_ky,
    input  wire  [7:0]                last_kx,
    input  wire  [Y_BITS-1:0]         row_step,
    input  wire  [N_BITS-1:0]         line_step,
    input  wire  [X_BITS-1:0]         u_step,
    input  wire  [X_BITS-1:0]         length,
    input  wire                       clear,
    input  wire  [D_BITS:0]           clear_words,
    output wire                       cleared,
    // items
    input  wire                       hold,
    input  wire                       s_valid,
    output wire                       s_ready,
    input  wire  [Y_BITS-1:0]         s_row,
    input  wire  [X_BITS-1:0]         s_u,
    input  wire  [N_BITS-1:0]         s_line,
    input  wire  [VALUE_BITS-1:0]     s_value,
    input  wire  [WA_BITS-1:0]        s_weights,
    input  wire  [TAG_BITS-1:0]       s_tag,
    // weights: one cycle later
    output wire                       weights_enable,
    output wire  [WA_BITS-1:0]        weights_address,
    input  wire  [PE*W_BITS-1:0]      weights_data,
    // sums of a sweep
    output wire                       m_fetch,
    output wire  [TAG_BITS-1:0]       m_fetch_tag,
    output wire  [N_BITS-1:0]         m_fetch_place,
    output wire                       m_valid,
    output wire                       m_inside,
    output wire  [TAG_BITS-1:0]       m_tag,
    output wire  [SUM_BITS-1:0]       m_sum
);
  localparam int B_BITS = PE > 1 ? $clog2(PE) : 1;
  localparam int SHIFT = $clog2(PE);
  localparam int FULL = VALUE_BITS + W_BITS;
  localparam int PRODUCT = FULL < SUM_BITS ? FULL : SUM_BITS;  // no sum is wider

  if (PE < 1 || (1 << SHIFT) != PE) begin : g_bad_pe
    $error("ex_explain_sums: PE must be a power of two, is %0d", PE);
  end

  wire enable = !hold;

  // ---------------------------------------------------------------- runs of an item
  logic                  valid_q;
  logic [7:0]            ky_q, kx_q;
  logic [Y_BITS-1:0]     row_q;
  logic [X_BITS-1:0]     u_q, run_q, first_q, left_q;  // run: where this one begins, first: the row
  logic [N_BITS-1:0]     line_q;
  logic [VALUE_BITS-1:0] value_q;
  logic [WA_BITS-1:0]    weights_q;
  logic [TAG_BITS-1:0]   tag_q;
  wire ends_run = sweep || left_q <= X_BITS'(PE);
  wire ends_row = sweep || kx_q == last_kx;
  wire ends = ends_run && ends_row && (sweep || ky_q == last_ky);
  assign s_ready = enable && (!valid_q || ends);

  always_ff @(posedge clk) begin
    if (enable) begin
      weights_q <= weights_q + 1'b1;
      u_q       <= u_q + X_BITS'(PE);
      left_q    <= left_q - X_BITS'(PE);
      if (ends_run) begin
        left_q <= length;
        kx_q   <= kx_q + 1'b1;
        u_q    <= run_q + u_step;
        run_q  <= run_q + u_step;
        if (ends_row) begin
          kx_q   <= '0;
          ky_q   <= ky_q + 1'b1;
          u_q    <= first_q;
          run_q  <= first_q;
          row_q  <= row_q + row_step;
          line_q <= line_q + line_step;
        end
      end
      if (ends) valid_q <= 1'b0;
      if (s_valid && s_ready) begin
        valid_q   <= 1'b1;
        ky_q      <= '0;
        kx_q      <= '0;
        left_q    <= length;
        row_q     <= s_row;
        u_q       <= s_u;
        run_q     <= s_u;
        first_q   <= s_u;
        line_q    <= s_line;
        value_q   <= s_value;
        weights_q <= s_weights;
        tag_q     <= s_tag;
      end
    end
    if (rst) valid_q <= 1'b0;
  end
  assign weights_enable = enable && valid_q;
  assign weights_address = weights_q;

  // Lanes from -u on and below width - u. Behind the end of a run weights are 0.
  wire row_inside = row_q < rows;  // unsigned: what is negative is large
  wire [X_BITS-1:0] below = width - u_q;
  wire begins = !u_q[X_BITS-1];       // all lanes from 0 on
  wire near = PE > 1 && &u_q[X_BITS-1:SHIFT];  // -PE to -1, where a single lane is outside
  wire open = row_inside && !below[X_BITS-1] && (begins || near);
  wire far = |below[X_BITS-1:SHIFT];  // PE lanes and more
  logic [PE-1:0] lanes;
  always_comb begin
    for (int l = 0; l < PE; l++) begin
      lanes[l] = open && (begins || 32'(l) >= PE - 32'(u_q[B_BITS-1:0]))
          && (far || 32'(l) < 32'(below[B_BITS-1:0]));
    end
  end

  // ---------------------------------------------------------------- lanes to banks
  logic                  clear_q, clear_2_q;  // zeros are written instead of sums
  logic [D_BITS:0]       clear_at_q;
  logic                  valid_1_q, valid_2_q, valid_3_q;
  logic [PE-1:0]         lanes_1_q;
  logic [N_BITS-1:0]     n_1_q;
  logic [VALUE_BITS-1:0] value_1_q, value_2_q;
  logic [TAG_BITS-1:0]   tag_1_q, tag_2_q, tag_3_q;

  logic [N_BITS-1:0]     n_2_q;
  logic [D_BITS-1:0]     high_2_q;  // of the banks below the first one
  logic [PE*W_BITS-1:0]  turned_2_q;
  logic [PE-1:0]         on_2_q, low_2_q;
  wire  [B_BITS-1:0]     turn = PE > 1 ? n_1_q[B_BITS-1:0] : '0;
  // Bank b takes lane b - turn: turned by the lowest two bits of turn, then by the next two, ...
  localparam int LANE = W_BITS + 1;  // {weight, on}
  wire [PE*LANE-1:0] turned[(SHIFT+1)/2+1];
  for (genvar l = 0; l < PE; l++) begin : g_lane
    assign turned[0][l*LANE+:LANE] = {weights_data[l*W_BITS+:W_BITS], lanes_1_q[l]};
  end
  for (genvar k = 0; k < SHIFT; k += 2) begin : g_turn
    wire [1:0] by = 2'(turn >> k);
    for (genvar b = 0; b < PE; b++) begin : g_bank
      wire [LANE-1:0] none = turned[k/2][b*LANE+:LANE];
      wire [LANE-1:0] one = turned[k/2][(b+PE-(1<<k))%PE*LANE+:LANE];
      wire [LANE-1:0] two = turned[k/2][(b+2*PE-(2<<k))%PE*LANE+:LANE];
      wire [LANE-1:0] three = turned[k/2][(b+3*PE-(3<<k))%PE*LANE+:LANE];
      assign turned[k/2+1][b*LANE+:LANE] = by[1] ? (by[0] ? three : two) : (by[0] ? one : none);
    end
  end
  logic [PE*W_BITS-1:0] weights;
  logic [PE-1:0]        on;
  wire  [PE-1:0]        low = {PE{1'b1}} << turn;  // it has not gone around
  always_comb begin
    for (int b = 0; b < PE; b++) begin
      {weights[b*W_BITS+:W_BITS], on[b]} = turned[(SHIFT+1)/2][b*LANE+:LANE];
    end
  end

  always_ff @(posedge clk) begin
    if (enable) begin
      valid_1_q  <= valid_q;
      lanes_1_q  <= lanes;
      n_1_q      <= line_q + N_BITS'($signed(u_q));
      value_1_q  <= value_q;
      tag_1_q    <= tag_q;
      valid_2_q  <= valid_1_q;
      n_2_q      <= clear_q ? N_BITS'(clear_at_q) << SHIFT : n_1_q;
      high_2_q   <= D_BITS'(n_1_q >> SHIFT) + 1'b1;
      turned_2_q <= weights;
      on_2_q     <= valid_1_q ? on : '0;
      low_2_q    <= low;
      value_2_q  <= value_1_q;
      tag_2_q    <= tag_1_q;
      valid_3_q  <= valid_2_q;
      tag_3_q    <= tag_2_q;
      clear_2_q  <= clear_q;
    end
    if (clear_q) begin  // 0 is written to all banks
      on_2_q    <= '1;
      low_2_q   <= '1;
      value_2_q <= '0;
    end
    if (rst) begin
      valid_1_q <= 1'b0;
      valid_2_q <= 1'b0;
      valid_3_q <= 1'b0;
      clear_2_q <= 1'b0;
      on_2_q    <= '0;
    end
  end

  // ---------------------------------------------------------------- zeros
  assign cleared = clear_q && clear_at_q == clear_words - 1'b1;
  always_ff @(posedge clk) begin
    if (clear_q) clear_at_q <= clear_at_q + 1'b1;
    if (cleared) clear_q <= 1'b0;
    if (clear) begin
      clear_q    <= 1'b1;
      clear_at_q <= '0;
    end
    if (rst) clear_q <= 1'b0;
  end

  // ---------------------------------------------------------------- banks
  wire [PE*SUM_BITS-1:0] read;
  wire [D_BITS-1:0] low_address = D_BITS'(n_2_q >> SHIFT);
  for (genvar b = 0; b < PE; b++) begin : g_bank
    (* no_rw_check *) logic [SUM_BITS-1:0] sums[DEPTH];
    logic [SUM_BITS-1:0] read_q, last_q;
    logic [D_BITS-1:0]   address_3_q;
    logic                on_3_q, again_3_q;  // again: of the sum that was written the cycle before
    logic signed [PRODUCT-1:0] product_3_q;
    wire  [D_BITS-1:0]   address = low_2_q[b] ? low_address : high_2_q;
    wire  [SUM_BITS-1:0] total = SUM_BITS'(product_3_q) + (again_3_q ? last_q : read_q);
    wire  add = on_3_q && !sweep;
    always_ff @(posedge clk) begin
      if (enable) begin
        read_q      <= sums[address];
        address_3_q <= address;
        on_3_q      <= on_2_q[b];
        again_3_q   <= clear_2_q || (add && address_3_q == address);
        product_3_q <= PRODUCT'($signed(turned_2_q[b*W_BITS+:W_BITS])) * PRODUCT'($signed(value_2_q));
        last_q      <= total;
      end
      if (clear_2_q) last_q <= '0;
      if (add) sums[address_3_q] <= total;
      if (rst) on_3_q <= 1'b0;
    end
    assign read[b*SUM_BITS+:SUM_BITS] = read_q;
  end

  logic [B_BITS-1:0] bank_3_q;
  logic              inside_3_q;
  always_ff @(posedge clk) begin
    if (enable) begin
      bank_3_q   <= PE > 1 ? n_2_q[B_BITS-1:0] : '0;
      inside_3_q <= |on_2_q;
    end
  end

  assign busy = valid_q || valid_1_q || valid_2_q || valid_3_q;
  assign m_fetch = enable && valid_2_q && sweep;
  assign m_fetch_tag = tag_2_q;
  assign m_fetch_place = n_2_q;
  assign m_valid = valid_3_q && sweep;
  assign m_inside = inside_3_q;
  assign m_tag = tag_3_q;
  assign m_sum = read[bank_3_q*SUM_BITS+:SUM_BITS];
endmodule

`default_nettype wire
