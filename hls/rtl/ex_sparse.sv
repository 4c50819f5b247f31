// Multiplies vectors by a constant matrix as a schedule says: y = W x, then thresholds (LEVELS > 0)
// as ex_threshold. Blocks of zeros are neither stored nor visited.
//
// x has MW elements, LANES a word; y has MH elements, PE a word. A block is SIMD neighbours of a row
// of W (SIMD divides LANES). Row r is the work of lane r % PE, which takes its rows one after the
// other, and of each the blocks that are not all zeros, at least one. So a lane may be several rows
// ahead of another, as many as QUEUE has room for, and no lane waits for another one before the end
// of the vector. With BANKS < PE, PE / BANKS lanes side by side see the same block in each step, and
// visit it if it is not zero for one of them.
// A vector costs STEPS steps, one a cycle without a gap between vectors. x has room for two vectors:
// the next one comes in while this one is in work, and a vector is begun when it is whole. If it is
// in N words, vectors follow each other every max(STEPS, N, (STEPS + N + 1) / 2) cycles. Latency:
// the first word of y is offered its steps and 4 cycles after the last word of x (1 more for
// SIMD > 9, 1 more with a codebook), with thresholds clog2(LEVELS + 1) + 1 more, and with SEARCH < PE
// PE / SEARCH + 1 more (see ex_search). On stall the pipeline closes up and stops, input is taken
// until the room is full; s_ready does not depend on m_ready. On reset everything inside is
// forgotten. busy: something moves inside or leaves (see ex_gate).
//
// ROM_FILE: word s is step s, from the lowest bit: PE * SIMD weights of W_BITS, that of lane p and
// element s at p * SIMD + s; with NEGATES a bit for each lane, row times -1; with SCHEDULED a bit
// that a word of y is complete, for each bank its block (the word of x above, the block in it below)
// and, with QUEUE > 1, a bit that the rows of its lanes end. Without SCHEDULED (LANES = SIMD, BANKS
// and QUEUE 1) all blocks are visited, in turn. Accumulators wrap at ACC_BITS, which must hold every
// result.
//
// With KEY_BITS > 0 weights are shared: W_BITS are those of an index, and nothing is multiplied. x
// is cut into digits of KEY_BITS - W_BITS bits; TABLES holds index times digit for each {index,
// digit}, the numbers for signed digits behind those for unsigned ones, and a one behind all.
//
// With EDGES, m_edge says of each lane of m_data where y = W x lies, see ex_threshold.
`default_nettype none

module ex_sparse #(
    parameter int MW        = 8,     // elements of x
    parameter int MH        = 4,     // elements of y
    parameter int LANES     = 2,     // elements of x in an input word
    parameter int SIMD      = 2,     // elements of a block
    parameter int PE        = 2,     // elements of an output word
    parameter int BANKS     = 1,     // blocks in a step
    parameter int STEPS     = 8,     // of a vector
    parameter int QUEUE     = 1,     // words of y that may be incomplete, a power of two
    parameter bit SCHEDULED = 1'b0,  // blocks are left out
    parameter int IN_BITS   = 4,     // bits of an element of x
    parameter bit IN_SIGNED = 1'b0,  // x is two's complement
    parameter int W_BITS    = 4,     // bits of a weight, two's complement, or of its index
    parameter bit NEGATES   = 1'b0,  // rows may be times -1
    parameter int ACC_BITS  = 16,    // bits of an accumulator, two's complement
    parameter int OUT_BITS  = 16,    // bits of an element of y; ACC_BITS where LEVELS = 0
    parameter int LEVELS    = 0,     // thresholds of a row; 0: y is the accumulator
    parameter int BIAS      = 0,     // y below the first threshold
    parameter int SEARCH    = 0,     // lanes that search thresholds in turns; 0: PE
    parameter int KEY_BITS   = 0,    // bits of index and digit; 0: weights are not shared
    parameter int TABLE_BITS = 8,    // bits of index times digit, two's complement
    parameter bit [(2<<KEY_BITS)*TABLE_BITS:0] TABLES = '0,  // see above
    parameter     ROM_FILE       = "",  // empty: not initialised
    parameter     THRESHOLD_FILE = "",  // see ex_threshold
    parameter bit EDGES          = 1'b0,  // m_edge is built, needs thresholds
    parameter     EDGE_FILE      = ""   // see ex_threshold
) (
    input  wire                     clk,
    input  wire                     rst,
    input  wire                     s_valid,
    output wire                     s_ready,
    input  wire [LANES*IN_BITS-1:0] s_data,
    output wire                     m_valid,
    input  wire                     m_ready,
    output wire [PE*OUT_BITS-1:0]   m_data,
    output wire [PE-1:0]            m_edge,
    output wire                     busy
);

  localparam int WORDS   = MW / LANES;
  localparam int BLOCKS  = MW / SIMD;
  localparam int SUB     = LANES / SIMD;  // blocks of a word
  localparam int BANK    = PE / BANKS;    // lanes that see the same block
  localparam int WEIGHTS = PE * SIMD * W_BITS;

  localparam int WORD_BITS  = WORDS > 1 ? $clog2(WORDS) : 1;
  localparam int SUB_BITS   = SUB > 1 ? $clog2(SUB) : 1;
  localparam int SUB_SHIFT  = SUB > 1 ? SUB_BITS : 0;
  localparam int BLOCK_BITS = SUB_SHIFT + (WORDS > 1 || SUB == 1 ? WORD_BITS : 0);
  localparam int STEP_BITS  = STEPS > 1 ? $clog2(STEPS) : 1;
  localparam int SEARCHED   = SEARCH == 0 ? PE : SEARCH;
  localparam int QUEUE_BITS = QUEUE > 1 ? $clog2(QUEUE) : 1;
  localparam int SIGN_BITS  = NEGATES ? PE : 0;
  localparam int END_BITS   = QUEUE > 1 ? BANKS : 0;
  localparam int ROM_BITS   = WEIGHTS + SIGN_BITS
      + (SCHEDULED ? 1 + BANKS * BLOCK_BITS + END_BITS : 0);

  // Products are summed in groups, the sums of the groups one cycle later.
  localparam int GROUP      = 9;
  localparam int GROUPS     = (SIMD + GROUP - 1) / GROUP;
  localparam int FULL       = SIMD < GROUP ? SIMD : GROUP;
  localparam bit SHARED     = KEY_BITS > 0;
  localparam int DIGIT      = KEY_BITS > W_BITS ? KEY_BITS - W_BITS : 1;
  localparam int DIGITS     = (IN_BITS + DIGIT - 1) / DIGIT;
  localparam int PRODUCT    = SHARED ? TABLE_BITS + (DIGITS - 1) * DIGIT : IN_BITS + W_BITS;
  localparam int GROUP_WANT = PRODUCT + $clog2(FULL);
  localparam int GROUP_BITS = GROUP_WANT < ACC_BITS ? GROUP_WANT : ACC_BITS;
  localparam int SUM_WANT   = GROUP_BITS + $clog2(GROUPS);
  localparam int SUM_BITS   = SUM_WANT < ACC_BITS ? SUM_WANT : ACC_BITS;

  if (LANES < 1 || MW % LANES != 0) begin : g_bad_lanes
    $error("ex_sparse: LANES must divide MW %0d, not be %0d", MW, LANES);
  end
  if (SIMD < 1 || LANES % SIMD != 0) begin : g_bad_simd
    $error("ex_sparse: SIMD must divide LANES %0d, not be %0d", LANES, SIMD);
  end
  if (PE < 1 || MH % PE != 0) begin : g_bad_pe
    $error("ex_sparse: PE must divide MH %0d, not be %0d", MH, PE);
  end
  if (BANKS < 1 || PE % BANKS != 0) begin : g_bad_banks
    $error("ex_sparse: BANKS must divide PE %0d, not be %0d", PE, BANKS);
  end
  if (QUEUE < 1 || (QUEUE & (QUEUE - 1)) != 0 || STEPS < MH / PE) begin : g_bad_queue
    $error("ex_sparse: QUEUE must be a power of two, STEPS one a row at least, not %0d and %0d",
           QUEUE, STEPS);
  end
  if (!SCHEDULED && (SUB != 1 || BANKS != 1 || QUEUE != 1 || STEPS != MH / PE * BLOCKS)) begin : g_bad_dense
    $error("ex_sparse: LANES, BANKS, QUEUE, STEPS must be SIMD, 1, 1, %0d without SCHEDULED, not %0d",
           MH / PE * BLOCKS, STEPS);
  end
  if (SHARED ? W_BITS < 1 || KEY_BITS <= W_BITS : W_BITS < 2) begin : g_bad_w_bits
    $error("ex_sparse: W_BITS must be at least 2, or 1 and below KEY_BITS %0d, is %0d",
           KEY_BITS, W_BITS);
  end
  if (ACC_BITS < 2 || ACC_BITS > 32 || (LEVELS == 0 && OUT_BITS != ACC_BITS)) begin : g_bad_bits
    $error("ex_sparse: ACC_BITS must be 2 to 32, and OUT_BITS without thresholds, not %0d and %0d",
           ACC_BITS, OUT_BITS);
  end
  if (SEARCH < 0 || PE % SEARCHED != 0) begin : g_bad_search
    $error("ex_sparse: SEARCH must divide PE %0d, not be %0d", PE, SEARCH);
  end
  if (EDGES && LEVELS == 0) begin : g_bad_edges
    $error("ex_sparse: EDGES need thresholds, not LEVELS 0");
  end

  // Input: two vectors, one in each half of the room; a half is full, or is filled.
  logic [WORD_BITS-1:0] word_q;
  logic                 fill_q, work_q;  // halves that are filled and worked on
  logic [1:0]           full_q;
  logic [STEP_BITS-1:0] step_q;

  wire enable_m, move_m, end_m;  // end_m: the step in stage m is a vector's last
  wire half_m;                   // its half
  wire last_word = word_q == WORD_BITS'(WORDS - 1);
  wire last_step = step_q == STEP_BITS'(STEPS - 1);
  wire take = s_valid && s_ready;
  wire step = enable_m && full_q[work_q];
  assign s_ready = !full_q[fill_q];

  always_ff @(posedge clk) begin
    if (rst) begin
      word_q <= '0;
      fill_q <= 1'b0;
      work_q <= 1'b0;
      full_q <= '0;
      step_q <= '0;
    end else begin
      if (take) word_q <= last_word ? '0 : word_q + 1'b1;
      if (take && last_word) begin
        fill_q <= !fill_q;
        full_q[fill_q] <= 1'b1;
      end
      if (step) step_q <= last_step ? '0 : step_q + 1'b1;
      if (step && last_step) work_q <= !work_q;
      if (move_m && end_m) full_q[half_m] <= 1'b0;
    end
  end

  // Stage m: the step as the memory gives it. Stage a: its weights and blocks of x.
  wire  [ROM_BITS-1:0] rom_m_q;
  logic [WEIGHTS-1:0]  w_q;
  logic valid_m_q, half_m_q, end_m_q;
  logic valid_a_q, done_a_q;
  wire  enable_a, done_m;
  wire  [BANKS*BLOCK_BITS-1:0] block_m;
  wire  [BANKS-1:0] last_m;  // rows end
  wire  [PE-1:0] minus_m;
  logic [BANKS-1:0] last_a_q;
  logic [PE-1:0] minus_a_q;
  assign move_m   = valid_m_q && enable_a;
  assign enable_m = !valid_m_q || enable_a;
  assign end_m    = end_m_q;
  assign half_m   = half_m_q;

  ex_rom #(
      .WIDTH   (ROM_BITS),
      .DEPTH   (STEPS),
      .ROM_FILE(ROM_FILE)
  ) rom (
      .clk    (clk),
      .enable (step),
      .address(step_q),
      .q      (rom_m_q)
  );

  if (NEGATES) begin : g_minus
    assign minus_m = rom_m_q[WEIGHTS+:PE];
  end else begin : g_minus
    assign minus_m = '0;
  end
  if (SCHEDULED) begin : g_schedule
    localparam int LOW = WEIGHTS + SIGN_BITS;
    assign done_m  = rom_m_q[LOW];
    assign block_m = rom_m_q[LOW+1+:BANKS*BLOCK_BITS];
    if (QUEUE > 1) begin : g_ends
      assign last_m = rom_m_q[LOW+1+BANKS*BLOCK_BITS+:BANKS];
    end else begin : g_ends
      assign last_m = {BANKS{done_m}};
    end
  end else begin : g_schedule
    logic [BLOCK_BITS-1:0] block_q;
    always_ff @(posedge clk) begin
      if (rst) block_q <= '0;
      else if (move_m) block_q <= done_m ? '0 : block_q + 1'b1;
    end
    assign done_m  = block_q == BLOCK_BITS'(BLOCKS - 1);
    assign block_m = block_q;
    assign last_m  = done_m;
  end

  always_ff @(posedge clk) begin
    if (step) begin
      half_m_q <= work_q;
      end_m_q  <= last_step;
    end
    if (move_m) begin
      w_q       <= rom_m_q[WEIGHTS-1:0];
      done_a_q  <= done_m;
      last_a_q  <= last_m;
      minus_a_q <= minus_m;
    end
  end

  wire [BANKS*SIMD*IN_BITS-1:0] x_q;
  for (genvar b = 0; b < BANKS; b++) begin : g_bank
    (* no_rw_check *) logic [LANES*IN_BITS-1:0] room[2<<WORD_BITS];
    wire [BLOCK_BITS-1:0] block = block_m[b*BLOCK_BITS+:BLOCK_BITS];
    logic [LANES*IN_BITS-1:0] x_word_q;
    always_ff @(posedge clk) begin
      if (take) room[{fill_q, word_q}] <= s_data;
      if (move_m) x_word_q <= room[{half_m_q, WORD_BITS'(32'(block) >> SUB_SHIFT)}];
    end
    if (SUB > 1) begin : g_sub
      logic [SUB_BITS-1:0] sub_q;
      always_ff @(posedge clk) if (move_m) sub_q <= block[SUB_BITS-1:0];
      assign x_q[b*SIMD*IN_BITS+:SIMD*IN_BITS] = x_word_q[32'(sub_q)*SIMD*IN_BITS+:SIMD*IN_BITS];
    end else begin : g_sub
      assign x_q[b*SIMD*IN_BITS+:SIMD*IN_BITS] = x_word_q;
    end
  end

  // Stages behind a: products (with a codebook), sums of groups (where there are several), sums.
  localparam int SHALLOW = 1 + 32'(SHARED) + 32'(GROUPS > 1);
  localparam int PRODUCTS = 0;             // of these: into products
  localparam int PARTS = 32'(SHARED);      // into sums of groups
  localparam int SUMS = SHALLOW - 1;       // into sums
  logic [SHALLOW-1:0] valid_q, done_q;
  logic [SHALLOW*BANKS-1:0] last_q;
  logic [SHALLOW*PE-1:0] minus_q;
  wire  [SHALLOW:0] enable;  // what stands in front has a place
  wire  [SHALLOW-1:0] move;  // goes there
  wire  enable_c;
  assign enable[SHALLOW] = enable_c;
  assign enable_a = !valid_a_q || enable[0];
  for (genvar i = 0; i < SHALLOW; i++) begin : g_stage
    assign enable[i] = !valid_q[i] || enable[i+1];
    if (i == 0) begin : g_from
      assign move[0] = valid_a_q && enable[0];
      always_ff @(posedge clk) begin
        if (rst) valid_q[0] <= 1'b0;
        else if (enable[0]) valid_q[0] <= valid_a_q;
        if (move[0]) begin
          done_q[0] <= done_a_q;
          last_q[0+:BANKS] <= last_a_q;
          minus_q[0+:PE] <= minus_a_q;
        end
      end
    end else begin : g_from
      assign move[i] = valid_q[i-1] && enable[i];
      always_ff @(posedge clk) begin
        if (rst) valid_q[i] <= 1'b0;
        else if (enable[i]) valid_q[i] <= valid_q[i-1];
        if (move[i]) begin
          done_q[i] <= done_q[i-1];
          last_q[i*BANKS+:BANKS] <= last_q[(i-1)*BANKS+:BANKS];
          minus_q[i*PE+:PE] <= minus_q[(i-1)*PE+:PE];
        end
      end
    end
  end

  // Stage c: accumulators; a complete word of y stays until it is taken.
  logic result_q;
  wire  result_ready;
  wire  load_c = valid_q[SUMS] && enable_c;
  wire  done_b = done_q[SUMS];
  wire  [BANKS-1:0] last_b = last_q[SUMS*BANKS+:BANKS];
  wire  [PE-1:0] minus_b = minus_q[SUMS*PE+:PE];
  logic [BANKS-1:0] first_q;  // the next step is the first of a row
  assign enable_c = !result_q || result_ready;

  always_ff @(posedge clk) begin
    if (rst) begin
      valid_m_q <= 1'b0;
      valid_a_q <= 1'b0;
      result_q  <= 1'b0;
      first_q   <= '1;
    end else begin
      if (enable_m) valid_m_q <= step;
      if (enable_a) valid_a_q <= valid_m_q;
      if (enable_c) result_q <= valid_q[SUMS] && done_b;
      if (load_c) first_q <= last_b;
    end
  end

  wire [PE*ACC_BITS-1:0] result;
  logic [QUEUE_BITS-1:0] out_q;  // the word of y that is offered
  if (QUEUE > 1) begin : g_out
    always_ff @(posedge clk) begin
      if (rst) out_q <= '0;
      else if (result_q && result_ready) out_q <= out_q + 1'b1;
    end
  end else begin : g_out
    assign out_q = '0;
    wire unused_out = out_q;
  end

  for (genvar p = 0; p < PE; p++) begin : g_lane
    localparam int B = p / BANK;
    logic [ACC_BITS-1:0] acc_q;
    wire [SIMD*IN_BITS-1:0] x = x_q[B*SIMD*IN_BITS+:SIMD*IN_BITS];
    wire [SIMD*W_BITS-1:0]  w = w_q[p*SIMD*W_BITS+:SIMD*W_BITS];

    // Products: with a codebook a register behind them.
    wire [SIMD*PRODUCT-1:0] product;
    if (SHARED) begin : g_shared
      logic [SIMD*PRODUCT-1:0] product_q;
      wire  [SIMD*PRODUCT-1:0] term;
      for (genvar s = 0; s < SIMD; s++) begin : g_element
        wire [DIGITS*DIGIT-1:0] x_s =
            (DIGITS * DIGIT)'($signed({IN_SIGNED && x[(s+1)*IN_BITS-1], x[s*IN_BITS+:IN_BITS]}));
        wire [DIGITS*TABLE_BITS-1:0] sum;  // of the digits so far, without what is below the last
        for (genvar d = 0; d < DIGITS; d++) begin : g_digit
          localparam bit TOP = IN_SIGNED && d == DIGITS - 1;  // a signed digit
          wire [TABLE_BITS-1:0] below;
          if (d == 0) begin : g_below
            assign below = '0;
          end else begin : g_below
            assign below = TABLE_BITS'($signed(sum[d*TABLE_BITS-1-:TABLE_BITS-DIGIT]));
          end
          ex_term #(
              .BITS      (TABLE_BITS),
              .KEY_BITS  (KEY_BITS),
              .TABLE_BITS(TABLE_BITS),
              .TABLE     (TABLES[32'(TOP)*(1<<KEY_BITS)*TABLE_BITS+:(1<<KEY_BITS)*TABLE_BITS])
          ) one (
              .a(below),
              .k({w[s*W_BITS+:W_BITS], x_s[d*DIGIT+:DIGIT]}),
              .m(sum[d*TABLE_BITS+:TABLE_BITS])
          );
          if (d < DIGITS - 1) begin : g_low
            assign term[s*PRODUCT+d*DIGIT+:DIGIT] = sum[d*TABLE_BITS+:DIGIT];
          end else begin : g_low
            assign term[s*PRODUCT+d*DIGIT+:TABLE_BITS] = sum[d*TABLE_BITS+:TABLE_BITS];
          end
        end
      end
      always_ff @(posedge clk) if (move[PRODUCTS]) product_q <= term;
      assign product = product_q;
    end else begin : g_shared
      assign product = '0;
    end

    for (genvar g = 0; g < GROUPS; g++) begin : g_group
      localparam int LOW   = g * GROUP;
      localparam int COUNT = LOW + GROUP < SIMD ? GROUP : SIMD - LOW;
      logic [GROUP_BITS-1:0] sum_q;
      always_ff @(posedge clk) begin : sums
        int sum;
        if (move[PARTS]) begin
          sum = 0;
          for (int s = LOW; s < LOW + COUNT; s++) begin
            if (SHARED) begin
              sum = sum + 32'($signed(product[s*PRODUCT+:PRODUCT]));
            end else begin
              sum = sum + 32'($signed({IN_SIGNED && x[(s+1)*IN_BITS-1], x[s*IN_BITS+:IN_BITS]}))
                  * 32'($signed(w[s*W_BITS+:W_BITS]));
            end
          end
          sum_q <= GROUP_BITS'(sum);
        end
      end
    end

    wire [GROUPS*GROUP_BITS-1:0] sums;
    for (genvar g = 0; g < GROUPS; g++) begin : g_sums
      assign sums[g*GROUP_BITS+:GROUP_BITS] = g_group[g].sum_q;
    end
    wire [SUM_BITS-1:0] sum_q;
    if (GROUPS > 1) begin : g_tree
      logic [SUM_BITS-1:0] total, total_q;
      always_comb begin
        total = '0;
        for (int g = 0; g < GROUPS; g++) begin
          total = total + SUM_BITS'($signed(sums[g*GROUP_BITS+:GROUP_BITS]));
        end
      end
      always_ff @(posedge clk) if (move[SUMS]) total_q <= total;
      assign sum_q = total_q;
    end else begin : g_tree
      assign sum_q = sums;
    end

    // A row times -1 begins with -1 and ends with its complement.
    wire [ACC_BITS-1:0] begins = {ACC_BITS{NEGATES && minus_b[p]}};
    wire [ACC_BITS-1:0] acc = ACC_BITS'($signed(sum_q)) + (first_q[B] ? begins : acc_q);
    always_ff @(posedge clk) if (load_c) acc_q <= acc;

    if (QUEUE > 1) begin : g_result
      (* no_rw_check *) logic [ACC_BITS-1:0] results[QUEUE];
      logic [QUEUE_BITS-1:0] row_q;
      always_ff @(posedge clk) begin
        if (rst) row_q <= '0;
        else if (load_c && last_b[B]) row_q <= row_q + 1'b1;
        if (load_c && last_b[B]) results[row_q] <= acc ^ begins;
      end
      assign result[p*ACC_BITS+:ACC_BITS] = results[out_q];
    end else begin : g_result
      logic minus_c_q;
      always_ff @(posedge clk) if (load_c) minus_c_q <= NEGATES && minus_b[p];
      assign result[p*ACC_BITS+:ACC_BITS] = acc_q ^ {ACC_BITS{minus_c_q}};
    end
  end

  wire threshold_busy;
  if (LEVELS == 0) begin : g_raw
    assign threshold_busy = 1'b0;
    assign m_valid      = result_q;
    assign result_ready = m_ready;
    assign m_data       = result;
    assign m_edge       = '0;
  end else begin : g_threshold
    ex_search #(
        .PE            (PE),
        .SEARCH        (SEARCHED),
        .CHANNELS      (MH),
        .IN_BITS       (ACC_BITS),
        .OUT_BITS      (OUT_BITS),
        .LEVELS        (LEVELS),
        .BIAS          (BIAS),
        .THRESHOLD_FILE(THRESHOLD_FILE),
        .EDGES         (EDGES),
        .EDGE_FILE     (EDGE_FILE)
    ) threshold (
        .clk    (clk),
        .rst    (rst),
        .s_valid(result_q),
        .s_ready(result_ready),
        .s_data (result),
        .m_valid(m_valid),
        .m_ready(m_ready),
        .m_data (m_data),
        .m_edge (m_edge),
        .busy   (threshold_busy)
    );
  end

`ifdef EX_BULK
  assign busy = step || move_m || (|move) || load_c || (result_q && result_ready)
      || threshold_busy;
`else
  assign busy = 1'b1;
  wire unused = threshold_busy;
`endif
endmodule

`default_nettype wire
