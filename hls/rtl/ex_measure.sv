// ex_measure: part of ex_rules: statistics of a frame, and which rule of each list matches first.
//
// Beats of a frame (HEIGHT x WIDTH pixels of FOLD beats of LANES values p of 8 bits) are told by
// take, its last one by last. N = HEIGHT * WIDTH * FOLD * LANES. As the frame comes, those of its
// statistics are gathered that STATISTICS has a bit for:
//   0 mean: sum p   1 contrast: sum |p - left|   2 ink: #{p >= INK}   3 edges: #{|p - left| >= EDGE}
//   4 row: sum (HEIGHT - 1 - y) p   5 column: sum (WIDTH - 1 - x) p
//   6 slant: sum q p, q = x where 2 y >= HEIGHT, else WIDTH - 1 - x
// left is p's left neighbour in its channel, p itself in the first column. Then one condition after
// the other is evaluated, LIMIT_BITS + 1 cycles each:
//   reached = 16 stat >= limit * N (0, 1), 1024 stat >= limit * N (2, 3),
//             16 stat > limit * sum p (4, 5), 16 stat >= limit * sum p (6), true (7),
//   holds = reached xor invert.
// A condition is a word {none, last, final, invert, statistic[2:0], limit}: final ends a rule, last a
// list. Rules are counted through all lists from 1; of each list the first all of whose conditions
// hold is chosen (0 if it has none), else 0. judged: high in the cycle of the last comparison, CONDITIONS *
// (LIMIT_BITS + 1) cycles after last; chosen is valid then. busy from the cycle after last up to and
// including that of judged; no frame may end meanwhile, but the next one may come. write stores a
// condition at write_index, and must not while busy. Reset: between frames, conditions stay.
`default_nettype none

module ex_measure #(
    parameter int LANES = 1,                // values a beat, channels of one pixel
    parameter int FOLD = 1,                 // beats a pixel
    parameter int HEIGHT = 8,
    parameter int WIDTH = 8,
    parameter logic [6:0] STATISTICS = '1,  // which are gathered
    parameter int INK = 128,
    parameter int EDGE = 32,
    parameter int CONDITIONS = 1,           // of all rules
    parameter int RULES = 1,                // of all lists
    parameter int LISTS = 1,
    parameter int LIMIT_BITS = 12,
    parameter     CONDITION_FILE = "",      // the conditions, one a line
    localparam int RULE_BITS = $clog2(RULES + 1),
    localparam int INDEX_BITS = CONDITIONS > 1 ? $clog2(CONDITIONS) : 1
) (
    input  wire                       clk,
    input  wire                       rst,
    input  wire                       take,
    input  wire                       last,
    input  wire [LANES*8-1:0]         data,
    output wire                       busy,
    output wire                       judged,
    output wire [LISTS*RULE_BITS-1:0] chosen,
    input  wire                       write,
    input  wire [INDEX_BITS-1:0]      write_index,
    input  wire [31:0]                write_data
);
  localparam int N = HEIGHT * WIDTH * FOLD * LANES;
  localparam int SIDE = HEIGHT > WIDTH ? HEIGHT : WIDTH;
  localparam int MASS_BITS = $clog2(255 * N + 1);
  localparam int COUNT_BITS = $clog2(N + 1);
  localparam int BEAT_BITS = $clog2(255 * LANES + 1);
  localparam int LANE_BITS = $clog2(LANES + 1);
  localparam bit CENTRES = STATISTICS[6:4] != '0;
  localparam bit SHARES = STATISTICS[3:0] != '0;
  localparam int MOMENT_BITS = MASS_BITS + (SIDE > 1 ? $clog2(SIDE) : 1);
  localparam int TOP_BITS = (CENTRES ? MOMENT_BITS : MASS_BITS) + 4;
  localparam int WORD_BITS = LIMIT_BITS + 7;
  localparam int STEP_BITS = LIMIT_BITS > 1 ? $clog2(LIMIT_BITS) : 1;
  localparam logic [STEP_BITS-1:0] HIGH = STEP_BITS'(LIMIT_BITS - 1);
  localparam int X_BITS = WIDTH > 1 ? $clog2(WIDTH) : 1;
  localparam int Y_BITS = HEIGHT > 1 ? $clog2(HEIGHT) : 1;
  localparam int F_BITS = FOLD > 1 ? $clog2(FOLD) : 1;

  if (LANES < 1 || FOLD < 1 || HEIGHT < 1 || WIDTH < 1) begin : g_bad_shape
    $error("ex_measure: LANES, FOLD, HEIGHT and WIDTH must be at least 1, are %0d, %0d, %0d, %0d",
           LANES, FOLD, HEIGHT, WIDTH);
  end
  if (INK < 1 || INK > 255 || EDGE < 1 || EDGE > 255) begin : g_bad_level
    $error("ex_measure: INK and EDGE must be 1 to 255, are %0d and %0d", INK, EDGE);
  end
  if (CONDITIONS < 1 || RULES < 1 || LISTS < 1) begin : g_bad_rules
    $error("ex_measure: CONDITIONS, RULES and LISTS must be at least 1, are %0d, %0d and %0d",
           CONDITIONS, RULES, LISTS);
  end
  if (LIMIT_BITS < 1 || LIMIT_BITS > 25) begin : g_bad_limit
    $error("ex_measure: LIMIT_BITS must be 1 to 25, is %0d", LIMIT_BITS);
  end

  // where the beat is
  logic [X_BITS-1:0] x_q;
  logic [Y_BITS-1:0] y_q;
  logic [F_BITS-1:0] f_q;
  wire pixel_end = f_q == F_BITS'(FOLD - 1);
  wire row_end = pixel_end && x_q == X_BITS'(WIDTH - 1);
  always_ff @(posedge clk) begin
    if (take) begin
      f_q <= pixel_end ? '0 : f_q + 1'b1;
      if (pixel_end) x_q <= row_end ? '0 : x_q + 1'b1;
      if (row_end) y_q <= last ? '0 : y_q + 1'b1;
    end
    if (rst) begin
      f_q <= '0;
      x_q <= '0;
      y_q <= '0;
    end
  end

  // of the beat: sums over its lanes
  wire [LANES*8-1:0] left;
  if (STATISTICS[1] || STATISTICS[3]) begin : g_left
    logic [FOLD*LANES*8-1:0] left_q;  // the beats of a pixel, the oldest in the high bits
    always_ff @(posedge clk) if (take) left_q <= (FOLD * LANES * 8)'({left_q, data});
    assign left = left_q[FOLD*LANES*8-1 -: LANES*8];
  end else begin : g_no_left
    assign left = '0;
  end
  logic [BEAT_BITS-1:0] mass, step;
  logic [LANE_BITS-1:0] ink, edges;
  logic [7:0]           lane_step;
  always_comb begin
    mass = '0;
    step = '0;
    ink = '0;
    edges = '0;
    lane_step = '0;
    for (int k = 0; k < LANES; k++) begin
      mass += BEAT_BITS'(data[8*k +: 8]);
      if (data[8*k +: 8] >= 8'(INK)) ink += 1'b1;
      lane_step = data[8*k +: 8] < left[8*k +: 8]
          ? left[8*k +: 8] - data[8*k +: 8] : data[8*k +: 8] - left[8*k +: 8];
      if (x_q == '0) lane_step = '0;
      step += BEAT_BITS'(lane_step);
      if (lane_step >= 8'(EDGE)) edges += 1'b1;
    end
  end

  // the statistics: of the frame that comes, and those of the one before
  wire [MASS_BITS-1:0]   total;
  wire [6:0][TOP_BITS-1:0] tops;
  if (CENTRES || STATISTICS[0]) begin : g_mass
    logic [MASS_BITS-1:0] sum_q, total_q;
    wire  [MASS_BITS-1:0] sum = sum_q + MASS_BITS'(mass);
    always_ff @(posedge clk) begin
      if (take) sum_q <= sum;
      if (take && last) total_q <= sum;
      if (rst || (take && last)) sum_q <= '0;
    end
    assign total = total_q;
  end else begin : g_no_mass
    wire unused_mass = &mass;
    assign total = '0;
  end
  assign tops[0] = STATISTICS[0] ? TOP_BITS'({total, 4'd0}) : '0;

  if (STATISTICS[1]) begin : g_contrast
    logic [MASS_BITS-1:0] sum_q, total_q;
    wire  [MASS_BITS-1:0] sum = sum_q + MASS_BITS'(step);
    always_ff @(posedge clk) begin
      if (take) sum_q <= sum;
      if (take && last) total_q <= sum;
      if (rst || (take && last)) sum_q <= '0;
    end
    assign tops[1] = TOP_BITS'({total_q, 4'd0});
  end else begin : g_no_contrast
    wire unused_step = &step;
    assign tops[1] = '0;
  end

  if (STATISTICS[2]) begin : g_ink
    logic [COUNT_BITS-1:0] sum_q, total_q;
    wire  [COUNT_BITS-1:0] sum = sum_q + COUNT_BITS'(ink);
    always_ff @(posedge clk) begin
      if (take) sum_q <= sum;
      if (take && last) total_q <= sum;
      if (rst || (take && last)) sum_q <= '0;
    end
    assign tops[2] = TOP_BITS'({total_q, 10'd0});
  end else begin : g_no_ink
    wire unused_ink = &ink;
    assign tops[2] = '0;
  end

  if (STATISTICS[3]) begin : g_edges
    logic [COUNT_BITS-1:0] sum_q, total_q;
    wire  [COUNT_BITS-1:0] sum = sum_q + COUNT_BITS'(edges);
    always_ff @(posedge clk) begin
      if (take) sum_q <= sum;
      if (take && last) total_q <= sum;
      if (rst || (take && last)) sum_q <= '0;
    end
    assign tops[3] = TOP_BITS'({total_q, 10'd0});
  end else begin : g_no_edges
    wire unused_edges = &edges;
    assign tops[3] = '0;
  end

  // the sum over the rows of all that is above each
  if (STATISTICS[4]) begin : g_row
    logic [MOMENT_BITS-1:0] sum_q, total_q;
    wire  row_start = f_q == '0 && x_q == '0;
    wire  [MOMENT_BITS-1:0] sum = sum_q
        + (row_start ? MOMENT_BITS'(g_mass.sum_q) : MOMENT_BITS'(0));
    always_ff @(posedge clk) begin
      if (take) sum_q <= sum;
      if (take && last) total_q <= sum;
      if (rst || (take && last)) sum_q <= '0;
    end
    assign tops[4] = TOP_BITS'({total_q, 4'd0});
  end else begin : g_no_row
    assign tops[4] = '0;
  end

  // the sum over the pixels of all that is to the left of each in its row
  if (STATISTICS[5]) begin : g_column
    localparam int ROW_BITS = $clog2(255 * LANES * FOLD * WIDTH + 1);
    logic [ROW_BITS-1:0]    here_q;  // of the beats before in this row
    logic [MOMENT_BITS-1:0] sum_q, total_q;
    wire  [ROW_BITS-1:0]    here = here_q + ROW_BITS'(mass);
    wire  [MOMENT_BITS-1:0] sum = sum_q + (f_q == '0 ? MOMENT_BITS'(here_q) : MOMENT_BITS'(0));
    always_ff @(posedge clk) begin
      if (take) begin
        here_q <= here;
        sum_q  <= sum;
      end
      if (take && last) total_q <= sum;
      if (rst || (take && row_end)) here_q <= '0;
      if (rst || (take && last)) sum_q <= '0;
    end
    assign tops[5] = TOP_BITS'({total_q, 4'd0});
  end else begin : g_no_column
    assign tops[5] = '0;
  end

  if (STATISTICS[6]) begin : g_slant
    logic [MOMENT_BITS-1:0] sum_q, total_q;
    wire  lower = {y_q, 1'b0} >= (Y_BITS + 1)'(HEIGHT);
    wire  [X_BITS-1:0] q = lower ? x_q : X_BITS'(WIDTH - 1) - x_q;
    wire  [MOMENT_BITS-1:0] sum = sum_q + MOMENT_BITS'(mass * (BEAT_BITS + X_BITS)'(q));
    always_ff @(posedge clk) begin
      if (take) sum_q <= sum;
      if (take && last) total_q <= sum;
      if (rst || (take && last)) sum_q <= '0;
    end
    assign tops[6] = TOP_BITS'({total_q, 4'd0});
  end else begin : g_no_slant
    wire unused_y = &y_q;
    assign tops[6] = '0;
  end

  // one condition after the other: product = limit * bottom, from the limit's high bit down
  logic [WORD_BITS-1:0] conditions[CONDITIONS];
  if (CONDITION_FILE != "") begin : g_file
    initial $readmemh(CONDITION_FILE, conditions);
  end
  wire unused_high = &{1'b0, write_data};
  always_ff @(posedge clk) if (write) conditions[write_index] <= write_data[WORD_BITS-1:0];

  logic                  busy_q, compare_q, so_far_q, found_q;
  logic [INDEX_BITS-1:0] index_q;
  logic [STEP_BITS-1:0]  step_q;   // bit of the limit
  logic [TOP_BITS-1:0]   product_q;
  logic [RULE_BITS-1:0]  rule_q, kept_q;

  wire [WORD_BITS-1:0]  condition = conditions[index_q];
  wire [LIMIT_BITS-1:0] limit = condition[LIMIT_BITS-1:0];
  wire [2:0] statistic = condition[LIMIT_BITS +: 3];
  wire invert = condition[LIMIT_BITS+3];
  wire final_one = condition[LIMIT_BITS+4];
  wire last_one = condition[LIMIT_BITS+5];
  wire none = condition[LIMIT_BITS+6];
  wire compare = busy_q && compare_q;
  wire by_mass = CENTRES && (!SHARES || statistic[2]);
  wire [TOP_BITS-1:0] bottom = by_mass ? TOP_BITS'(total) : TOP_BITS'(N);
  wire bit_set = limit[step_q];
  wire [TOP_BITS-1:0] top = statistic == 3'd7 ? '0 : tops[statistic];
  wire above = statistic[2] && !statistic[1];  // more than, not at least
  wire reached = statistic == 3'd7 || {top, 1'b0} >= {product_q, above};
  wire holds = reached != invert;
  wire match = so_far_q && holds && final_one && !found_q;
  wire [RULE_BITS-1:0] winner = match && !none ? rule_q : found_q ? kept_q : '0;
  wire done = compare && index_q == INDEX_BITS'(CONDITIONS - 1);

  assign busy = busy_q;
  assign judged = done;

  // what the lists before have chosen
  if (LISTS > 1) begin : g_lists
    logic [(LISTS-1)*RULE_BITS-1:0] before_q;
    always_ff @(posedge clk)
      if (compare && last_one) before_q <= ((LISTS-1)*RULE_BITS)'({winner, before_q} >> RULE_BITS);
    assign chosen = {winner, before_q};
  end else begin : g_one_list
    assign chosen = winner;
  end

  always_ff @(posedge clk) begin
    if (take && last) busy_q <= 1'b1;
    else if (done) busy_q <= 1'b0;
    product_q <= TOP_BITS'({product_q, 1'b0}) + (bit_set ? bottom : '0);
    if (!busy_q || compare) product_q <= '0;
    if (!busy_q || compare) step_q <= HIGH;
    else if (step_q != '0) step_q <= step_q - 1'b1;
    compare_q <= busy_q && !compare && step_q == '0;
    if (compare) begin
      index_q  <= done ? '0 : index_q + 1'b1;
      so_far_q <= final_one || last_one || (so_far_q && holds);
      kept_q   <= winner;
      found_q  <= !last_one && (found_q || match);
      if (final_one) rule_q <= rule_q + 1'b1;
    end
    if (!busy_q) begin
      so_far_q <= 1'b1;
      found_q  <= 1'b0;
      rule_q   <= RULE_BITS'(1);
    end
    if (rst) begin
      busy_q  <= 1'b0;
      index_q <= '0;
    end
  end
endmodule

`default_nettype wire
