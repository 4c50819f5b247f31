// The explanation engine: heat maps of frames, from what they left behind while they passed.
//
// s = a request {id, class, exit, method, slot}; m = the packet of the frame's map (exeunt.runtime.maps).
// The engine walks the layers of the exit backwards, as its program says (exeunt.explain.lower has
// its fields): a scatter takes the gradients of a stream that are not 0, and adds each times its
// weights to a map of sums; a sweep makes the next stream of gradients of these sums, in which
// what is 0 takes no place: a mask of 16 bits a word, and the values that are not 0. The last
// sweep gives the map, in the code of levels twice.
// The context port reads what a frame left in its slot: word `c_address` of tap `c_tap`, in c_data
// one cycle after c_enable, kept until the next one. `done` with the last read of a frame.
// Cycles: exeunt.explain.engine. While a packet leaves, the next map is worked on. On stall of m
// the next map waits with its third tile; requests wait then. Reset: idle, sums and packets gone.
`default_nettype none

module ex_explain #(
    parameter int BITS         = 8,    // of a gradient
    parameter int PE           = 8,    // sums in a cycle
    parameter int W_BITS       = 4,    // of a weight
    parameter int VALUE_BITS   = 8,    // of what is multiplied: a gradient shifted up, or a feature
    parameter int LEFT         = 0,    // most bits by which gradients are shifted up, to 15
    parameter int SUM_BITS     = 20,
    parameter int FACTOR_BITS  = 8,    // of a mantissa, or a pixel; at least 8
    parameter int FEATURE_BITS = 4,    // of a feature
    parameter int WAY_BITS     = 2,
    parameter bit CAM          = 1'b0, // some gradients are features
    parameter bit PIXELS       = 1'b0, // maps are multiplied by the image,
    parameter int IMAGE_C      = 1,    // which has so many channels
    parameter int F            = 16,   // bits of a field
    parameter int Y_BITS       = 6,
    parameter int X_BITS       = 9,
    parameter int N_BITS       = 10,
    parameter int P_BITS       = 10,
    parameter int C_BITS       = 5,
    parameter int G_BITS       = 4,
    parameter int A_BITS       = 10,   // address of a context word
    parameter int CW           = 64,   // bits of a context word
    parameter int T_BITS       = 2,    // of a tap
    parameter int SLOT_BITS    = 1,
    parameter int DEPTH        = 100,  // sums of a bank
    parameter int MASKS        = 100,  // words of masks
    parameter int VALUES       = 100,  // gradients
    parameter int WEIGHTS      = 100,  // words of weights
    parameter int ROWS         = 16,   // rows of weights
    parameter int WAYS         = 16,   // offsets of ways
    parameter int MANTISSAS    = 16,
    parameter int FIELDS       = 64,   // of the program
    parameter int MOST         = 3969, // bits of the largest payload
    parameter int EXITS        = 1,
    parameter int CODE         = 0,    // of maps: 0 linear, 1 logarithmic, 2 levels
    parameter int CHANNELS     = 1,    // most of a map
    parameter     PROGRAM_FILE  = "",  // {last of a step, field}; first a pointer for each method and exit
    parameter     WEIGHT_FILE   = "",  // PE weights a word
    parameter     ROW_FILE      = "",  // {address of its weights, first channel} of each row
    parameter     WAY_FILE      = "",  // {row, u, line, position}
    parameter     MANTISSA_FILE = ""
) (
    input  wire                  clk,
    input  wire                  rst,
    input  wire                  s_valid,
    output wire                  s_ready,
    input  wire  [31:0]          s_id,
    input  wire  [15:0]          s_class,
    input  wire  [7:0]           s_exit,
    input  wire  [3:0]           s_method,
    input  wire  [SLOT_BITS-1:0] s_slot,
    output wire                  done,       // the frame's slot is free again
    output wire  [SLOT_BITS-1:0] done_slot,
    output wire                  c_enable,
    output wire  [T_BITS-1:0]    c_tap,
    output wire  [SLOT_BITS-1:0] c_slot,
    output wire  [A_BITS-1:0]    c_address,
    input  wire  [CW-1:0]        c_data,
    output wire                  m_valid,
    input  wire                  m_ready,
    output wire  [31:0]          m_data,
    output wire                  m_last
);
  localparam int D_BITS  = DEPTH > 1 ? $clog2(DEPTH) : 1;
  localparam int MA_BITS = MASKS > 1 ? $clog2(MASKS) : 1;
  localparam int VA_BITS = VALUES > 1 ? $clog2(VALUES) : 1;
  localparam int WA_BITS = WEIGHTS > 1 ? $clog2(WEIGHTS) : 1;
  localparam int RA_BITS = ROWS > 1 ? $clog2(ROWS) : 1;
  localparam int TA_BITS = WAYS > 1 ? $clog2(WAYS) : 1;
  localparam int FA_BITS = MANTISSAS > 1 ? $clog2(MANTISSAS) : 1;
  localparam int PA_BITS = FIELDS > 1 ? $clog2(FIELDS) : 1;
  localparam int S_BITS  = $clog2(SUM_BITS + FACTOR_BITS + 1);
  localparam int COUNT   = 30;  // fields of the longest step
  localparam int WAY     = Y_BITS + X_BITS + N_BITS + P_BITS;

  // ---------------------------------------------------------------- the program
  typedef enum logic [2:0] {IDLE, POINT, FIRST, SECOND, LOAD, CLEAR, RUN} state_t;
  state_t state_q;
  (* no_rw_check *) logic [F:0] fields[FIELDS];
  if (PROGRAM_FILE != "") begin : g_program
    initial $readmemh(PROGRAM_FILE, fields);
  end
  logic [F:0]         field_q;
  logic [PA_BITS-1:0] at_q;
  logic [COUNT*F-1:0] step_q;  // the field that came last is lowest
  logic               run_q;   // not the first cycle of a walk
  wire begin_walk = state_q == RUN && !run_q;

  logic [31:0]          id_q;
  logic [15:0]          class_q;
  logic [7:0]           exit_q;
  logic [3:0]           method_q;
  logic [SLOT_BITS-1:0] slot_q;

  wire        sweep         = step_q[0];
  wire        final_step    = step_q[1];
  wire        from_masks    = step_q[2];
  wire        from_context  = step_q[3];
  wire        from_features = CAM && step_q[4];
  wire        from_class    = step_q[5];
  wire        routed        = step_q[6];
  wire        tiled         = step_q[7];
  wire        pixels        = PIXELS && step_q[8];
  wire        scaled        = step_q[9];
  wire        positive      = step_q[10];
  wire [3:0]  left          = step_q[14:11];
  wire [P_BITS-1:0] last_x = P_BITS'(step_q[1*F+:F]);
  wire [P_BITS-1:0] last_y = P_BITS'(step_q[2*F+:F]);
  wire [G_BITS-1:0] last_g = G_BITS'(step_q[3*F+:F]);
  wire [3:0] last_lane = 4'(step_q[4*F+:F]);
  wire [T_BITS-1:0] tap = T_BITS'(step_q[5*F+:F]);
  wire [TA_BITS-1:0] way_base = TA_BITS'(step_q[6*F+:F]);
  wire [Y_BITS-1:0] row_first = Y_BITS'(step_q[7*F+:F]);
  wire [Y_BITS-1:0] row_step = Y_BITS'(step_q[8*F+:F]);
  wire [X_BITS-1:0] u_first = X_BITS'(step_q[9*F+:F]);
  wire [X_BITS-1:0] u_step = X_BITS'(step_q[10*F+:F]);
  wire [N_BITS-1:0] line_first = N_BITS'(step_q[11*F+:F]);
  wire [N_BITS-1:0] line_step = N_BITS'(step_q[12*F+:F]);
  wire [Y_BITS-1:0] rows = Y_BITS'(step_q[13*F+:F]);
  wire [X_BITS-1:0] width = X_BITS'(step_q[14*F+:F]);
  wire [P_BITS-1:0] every_y = P_BITS'(step_q[15*F+:F]);
  wire [P_BITS-1:0] every_x = P_BITS'(step_q[16*F+:F]);
  wire [RA_BITS-1:0] row_base = RA_BITS'(step_q[17*F+:F]);  // of rows of weights, or
  wire [FA_BITS-1:0] mantissa_base = FA_BITS'(step_q[17*F+:F]);  // of mantissas
  wire [S_BITS-1:0] shift = S_BITS'(step_q[18*F+:F]);  // or
  wire [D_BITS:0] clear_words = (D_BITS + 1)'(step_q[18*F+:F]);  // of a bank
  wire [BITS-1:0] prune = BITS'(step_q[19*F+:F]);  // or
  wire [7:0] last_ky = 8'(step_q[19*F+:F]);
  wire [MA_BITS-1:0] mask_base = MA_BITS'(step_q[20*F+:F]);
  wire [VA_BITS-1:0] value_base = VA_BITS'(step_q[21*F+:F]);
  wire [7:0] exponent = 8'(step_q[22*F+:F]);  // or
  wire [7:0] last_kx = 8'(step_q[22*F+:F]);
  wire [P_BITS-1:0] across = P_BITS'(step_q[23*F+:F]);  // or
  wire [Y_BITS-1:0] kernel_row = Y_BITS'(step_q[23*F+:F]);  // rows between those of a kernel
  wire [N_BITS-1:0] kernel_line = N_BITS'(step_q[24*F+:F]);
  wire [X_BITS-1:0] kernel_u = X_BITS'(step_q[25*F+:F]);
  wire [X_BITS-1:0] length = X_BITS'(step_q[26*F+:F]);
  wire measure = CODE == 2 && final_step && step_q[20*F];  // the map comes once more
  wire absolute = step_q[20*F+1];
  wire [7:0] mean_factor = step_q[17*F+:8];
  wire [4:0] mean_shift = step_q[21*F+:5];
  wire [C_BITS-1:0] channels = C_BITS'(step_q[27*F+:F]);  // the first one
  wire [C_BITS-1:0] channels_to = C_BITS'(step_q[28*F+:F]);  // the last one
  wire [RA_BITS-1:0] class_step = RA_BITS'(step_q[29*F+:F]);  // rows of weights from class to class

  // The last field comes: has a scatter something to clear?
  wire clears = !field_q[0] && |step_q[17*F+:F];
  wire clear = state_q == LOAD && field_q[F] && clears;

  wire unused = ^{step_q, fetch_tag, sum_tag, fetch_place};  // not all of all bits are needed

  wire read_busy, sums_busy, sweep_busy, cleared;
  wire walked = state_q == RUN && run_q && !read_busy && !sums_busy && !sweep_busy;
  assign s_ready = state_q == IDLE;

  always_ff @(posedge clk) begin
    field_q <= fields[at_q];
    run_q   <= state_q == RUN;
    unique case (state_q)
      IDLE: begin
        at_q <= PA_BITS'(s_method) * PA_BITS'(EXITS) + PA_BITS'(s_exit);
        if (s_valid) begin
          id_q    <= s_id;
          class_q <= s_class;
          exit_q  <= s_exit;
          method_q <= s_method;
          slot_q  <= s_slot;
          state_q <= POINT;
        end
      end
      POINT: state_q <= FIRST;
      FIRST: begin  // the pointer has come
        at_q    <= PA_BITS'(field_q);
        state_q <= SECOND;
      end
      SECOND: begin  // the first field comes
        at_q    <= at_q + 1'b1;
        state_q <= LOAD;
      end
      LOAD: begin
        step_q <= {step_q[(COUNT-1)*F-1:0], field_q[F-1:0]};
        if (!field_q[F]) at_q <= at_q + 1'b1;
        else state_q <= clears ? CLEAR : RUN;
      end
      CLEAR: if (cleared) state_q <= RUN;
      default: if (walked) begin
        state_q <= final_step && !measure ? IDLE : LOAD;
        at_q    <= at_q + 1'b1;
      end
    endcase
    if (rst) state_q <= IDLE;
  end
  assign done = walked && final_step && !measure;
  assign done_slot = slot_q;

  logic [RA_BITS-1:0] weights_base_q;
  always_ff @(posedge clk) begin
    weights_base_q <= row_base
        + (CAM ? RA_BITS'(class_q) * class_step : from_class ? RA_BITS'(class_q) : '0);
  end

  // ---------------------------------------------------------------- memories
  wire                mask_write, value_write, word_enable, item_enable, weights_enable, fetch;
  wire [MA_BITS-1:0]  mask_write_address, mask_address;
  wire [15:0]         mask_write_data;
  wire [VA_BITS-1:0]  value_write_address, value_address;
  wire [BITS-1:0]     value_write_data;
  wire [WA_BITS-1:0]  weights_address;
  wire [RA_BITS-1:0]  row_address;
  wire [TA_BITS-1:0]  way_address;
  wire [A_BITS-1:0]   word_address;

  (* no_rw_check *) logic [15:0]     masks[MASKS];
  (* no_rw_check *) logic [BITS-1:0] values[VALUES];
  logic [PE*W_BITS-1:0]      weights[WEIGHTS];
  logic [WA_BITS+C_BITS-1:0] row_table[ROWS];
  logic [WAY-1:0]            ways[WAYS];
  logic [FACTOR_BITS-1:0]    mantissas[MANTISSAS];
  if (WEIGHT_FILE != "") begin : g_weights
    initial $readmemh(WEIGHT_FILE, weights);
  end
  if (ROW_FILE != "") begin : g_rows
    initial $readmemh(ROW_FILE, row_table);
  end
  if (WAY_FILE != "") begin : g_ways
    initial $readmemh(WAY_FILE, ways);
  end
  if (MANTISSA_FILE != "") begin : g_mantissas
    initial $readmemh(MANTISSA_FILE, mantissas);
  end

  typedef struct packed {
    logic              has, ends, last;
    logic [3:0]        lane;
    logic [C_BITS-1:0] channel;
    logic [P_BITS-1:0] position;
  } tag_t;
  localparam int TAG_BITS = 7 + C_BITS + P_BITS;
  tag_t item_tag, fetch_tag, sum_tag;

  logic [15:0]               mask_q;
  logic [BITS-1:0]           value_q;
  logic [PE*W_BITS-1:0]      weight_q;
  logic [WA_BITS+C_BITS-1:0] row_q;
  logic [WAY-1:0]            way_q;
  logic [FACTOR_BITS-1:0]    mantissa_q;
  always_ff @(posedge clk) begin
    if (mask_write) masks[mask_write_address] <= mask_write_data;
    if (value_write) values[value_write_address] <= value_write_data;
    if (word_enable) mask_q <= masks[mask_address];
    if (item_enable) begin
      value_q <= values[value_address];
      row_q   <= row_table[row_address];
      way_q   <= ways[way_address];
    end
    if (weights_enable) weight_q <= weights[weights_address];
    if (fetch) mantissa_q <= mantissas[mantissa_base + FA_BITS'(fetch_tag.channel)];
  end

  wire [N_BITS-1:0] fetch_place;
  assign c_enable = pixels ? fetch : word_enable && (from_context || from_features || routed);
  assign c_tap = tap;
  assign c_slot = slot_q;
  assign c_address = !pixels ? word_address
      : IMAGE_C == 1 ? A_BITS'(fetch_place) : A_BITS'(fetch_tag.position);

  // ---------------------------------------------------------------- the walk, the sums, the sweep
  wire                  item_valid, item_ready;
  wire [Y_BITS-1:0]     item_row;
  wire [X_BITS-1:0]     item_u;
  wire [N_BITS-1:0]     item_line;
  wire [VALUE_BITS-1:0] item_value;
  wire [WA_BITS-1:0]    item_weights;

  ex_explain_read #(
      .BITS        (BITS),
      .FEATURE_BITS(FEATURE_BITS),
      .VALUE_BITS  (VALUE_BITS),
      .LEFT        (LEFT),
      .Y_BITS      (Y_BITS),
      .X_BITS      (X_BITS),
      .N_BITS      (N_BITS),
      .P_BITS      (P_BITS),
      .C_BITS      (C_BITS),
      .G_BITS      (G_BITS),
      .WAY_BITS    (WAY_BITS),
      .A_BITS      (A_BITS),
      .MA_BITS     (MA_BITS),
      .VA_BITS     (VA_BITS),
      .RA_BITS     (RA_BITS),
      .TA_BITS     (TA_BITS),
      .WA_BITS     (WA_BITS),
      .CW          (CW)
  ) reader (
      .clk            (clk),
      .rst            (rst),
      .start          (begin_walk),
      .busy           (read_busy),
      .sweep          (sweep),
      .from_masks     (from_masks),
      .from_context   (from_context),
      .from_features  (from_features),
      .from_class     (from_class),
      .routed         (routed),
      .tiled          (tiled),
      .last_x         (last_x),
      .last_y         (last_y),
      .last_g         (last_g),
      .last_lane      (last_lane),
      .way_base       (way_base),
      .row_first      (row_first),
      .row_step       (row_step),
      .u_first        (u_first),
      .u_step         (u_step),
      .line_first     (line_first),
      .line_step      (line_step),
      .every_y        (every_y),
      .every_x        (every_x),
      .across         (across),
      .weights_base   (weights_base_q),
      .left           (left),
      .mask_base      (mask_base),
      .value_base     (value_base),
      .first_channel  (channels),
      .last_channel   (channels_to),
      .word_enable    (word_enable),
      .mask_address   (mask_address),
      .mask_data      (mask_q),
      .context_address(word_address),
      .context_data   (c_data),
      .item_enable    (item_enable),
      .value_address  (value_address),
      .value_data     (value_q),
      .weights_address(row_address),
      .weights_data   (row_q),
      .way_address    (way_address),
      .way_data       (way_q),
      .m_valid        (item_valid),
      .m_ready        (item_ready),
      .m_has          (item_tag.has),
      .m_end          (item_tag.ends),
      .m_last         (item_tag.last),
      .m_row          (item_row),
      .m_u            (item_u),
      .m_line         (item_line),
      .m_position     (item_tag.position),
      .m_channel      (item_tag.channel),
      .m_lane         (item_tag.lane),
      .m_value        (item_value),
      .m_weights      (item_weights)
  );

  wire                hold, sum_valid, sum_inside;
  wire [SUM_BITS-1:0] sum;

  ex_explain_sums #(
      .PE        (PE),
      .W_BITS    (W_BITS),
      .VALUE_BITS(VALUE_BITS),
      .SUM_BITS  (SUM_BITS),
      .DEPTH     (DEPTH),
      .Y_BITS    (Y_BITS),
      .X_BITS    (X_BITS),
      .N_BITS    (N_BITS),
      .WA_BITS   (WA_BITS),
      .TAG_BITS  (TAG_BITS)
  ) adder (
      .clk            (clk),
      .rst            (rst),
      .busy           (sums_busy),
      .sweep          (sweep),
      .rows           (rows),
      .width          (width),
      .last_ky        (last_ky),
      .last_kx        (last_kx),
      .row_step       (kernel_row),
      .line_step      (kernel_line),
      .u_step         (kernel_u),
      .length         (length),
      .clear          (clear),
      .clear_words    (clear_words),
      .cleared        (cleared),
      .hold           (hold),
      .s_valid        (item_valid),
      .s_ready        (item_ready),
      .s_row          (item_row),
      .s_u            (item_u),
      .s_line         (item_line),
      .s_value        (item_value),
      .s_weights      (item_weights),
      .s_tag          (item_tag),
      .weights_enable (weights_enable),
      .weights_address(weights_address),
      .weights_data   (weight_q),
      .m_fetch        (fetch),
      .m_fetch_tag    (fetch_tag),
      .m_fetch_place  (fetch_place),
      .m_valid        (sum_valid),
      .m_inside       (sum_inside),
      .m_tag          (sum_tag),
      .m_sum          (sum)
  );

  wire [7:0] pixel = IMAGE_C == 1 ? c_data[7:0] : c_data[sum_tag.channel*8+:8];
  wire [FACTOR_BITS-1:0] factor =
      pixels ? FACTOR_BITS'(pixel) : scaled ? mantissa_q : FACTOR_BITS'(1);

  wire            map_valid, map_ready, map_end, map_last;
  wire [BITS-1:0] map_data;
  wire [15:0]     clipped;

  ex_explain_sweep #(
      .BITS    (BITS),
      .SUM_BITS(SUM_BITS),
      .B_BITS  (FACTOR_BITS),
      .S_BITS  (S_BITS),
      .MA_BITS (MA_BITS),
      .VA_BITS (VA_BITS)
  ) sweeper (
      .clk          (clk),
      .rst          (rst),
      .start        (begin_walk),
      .busy         (sweep_busy),
      .hold         (hold),
      .forget       (state_q == IDLE),
      .clipped      (clipped),
      .map          (final_step),
      .measure      (measure),
      .positive     (positive),
      .shift        (shift),
      .prune        (prune),
      .mask_base    (mask_base),
      .value_base   (value_base),
      .s_valid      (sum_valid),
      .s_has        (sum_tag.has && sum_inside),
      .s_end        (sum_tag.ends),
      .s_last       (sum_tag.last),
      .s_lane       (sum_tag.lane),
      .s_sum        (sum),
      .s_factor     (factor),
      .mask_write   (mask_write),
      .mask_address (mask_write_address),
      .mask_data    (mask_write_data),
      .value_write  (value_write),
      .value_address(value_write_address),
      .value_data   (value_write_data),
      .m_valid      (map_valid),
      .m_ready      (map_ready),
      .m_data       (map_data),
      .m_end        (map_end),
      .m_last       (map_last)
  );

  ex_explain_encode #(
      .BITS    (BITS),
      .CODE    (CODE),
      .CHANNELS(CHANNELS),
      .MOST    (MOST)
  ) encoder (
      .clk       (clk),
      .rst       (rst),
      .id        (id_q),
      .class_id  (class_q),
      .exit_index(exit_q),
      .method    (method_q),
      .exponent  (exponent),
      .clipped   (clipped),
      .measure   (measure),
      .absolute  (absolute),
      .factor    (mean_factor),
      .shift     (mean_shift),
      .s_valid   (map_valid),
      .s_ready   (map_ready),
      .s_data    (map_data),
      .s_end     (map_end),
      .s_last    (map_last),
      .m_valid   (m_valid),
      .m_ready   (m_ready),
      .m_data    (m_data),
      .m_last    (m_last)
  );
endmodule

`default_nettype wire
