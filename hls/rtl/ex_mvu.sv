// Multiplies vectors by a constant matrix: y = W x, then thresholds (LEVELS > 0) as ex_threshold,
// or y = W x + o with a constant of each row (OFFSET_FILE).
//
// x has MW elements, SIMD a word; y has MH elements, PE a word. With SF = MW / SIMD, NF = MH / PE
// a vector costs NF * SF steps, one a cycle without a gap between vectors. Step nf * SF + sf adds
// the products of input word sf to the PE rows of output word nf. The input has room for two
// vectors, so the next one comes in while this one is replayed (two words where NF = 1).
// Latency: an output word is offered STAGES + 2 cycles after its last input word at the earliest,
// with thresholds clog2(LEVELS + 1) + 1 more, and PE / SEARCH + 1 more if SEARCH < PE. STAGES is 3
// and one more for each factor of 9 in SIMD, begun or whole; with SIGNS one less, at least 3. On
// stall the pipeline closes up and stops, input is taken until the room is full; s_ready does not
// depend on m_ready. On reset everything inside is forgotten, the next input word begins a vector.
// busy: something moves inside or leaves (see ex_gate).
//
// Only SEARCH lanes search thresholds: since an output word takes SF steps, PE / SEARCH of them,
// fewer than SF, can go through one after the other. There m_ready reaches no further back.
//
// With PARTS > 1 so many vectors that follow each other have rows of their own: MH counts the rows
// of all, NF = MH / PARTS / PE, and vector g is multiplied by rows g * MH / PARTS and on. With
// ARMS > 1 a word holds SIMD elements of each of ARMS such vectors, of which ARMS * MW = x; the
// lanes of a word out see one of them each, PE / ARMS lanes the first, and on: PE = MH / PARTS *
// ARMS, so NF = 1.
//
// WEIGHT_FILE: word (g * NF + nf) * SF + sf holds PE * SIMD weights, row p and column s at position
// p * SIMD + s. Many words are smaller as ROM_FILE, in a memory apart (see ex_rom); few are so as
// WEIGHT_FILE, constants and equal bits to the logic behind them. Accumulators wrap at ACC_BITS,
// which must hold every result. OFFSET_FILE: word nf holds the PE constants of ACC_BITS of output
// word nf, with which its accumulators begin, those of vector g behind those of g - 1.
//
// With SIGNS every weight is -1, 0 or 1 (W_BITS = 2), or -1 or 1 (W_BITS = 1, a bit that is 1 for
// -1), and nothing is multiplied: with the sign bit of x inverted, an element is added as it is, as
// its complement for -1, as zero for 0. So an accumulator holds y minus the smallest y that its row
// could give, from 0 up; for single bits it is the popcount of an XNOR. Thresholds count from that
// smallest y of their row too (unsigned, ACC_BITS); without them OFFSET_FILE adds it again.
//
// Without SIGNS, MULTIPLIERS says what multiplies. 0: what the synthesis tool likes. 1: LUTs; a
// product is written as its rows, which no tool takes for a multiplication and which take fewer LUTs
// than one. 2: DSPs; Vivado is told, Yosys takes a DSP for a product of nine bits or more by itself.
// 3: DSPs, each for as many lanes as ex_packed has room for; not with signed x. Values and cycles are
// the same.
//
// With EDGES, m_edge says of each lane of m_data where y = W x lies, see ex_threshold; with SIGNS
// edges count from the smallest y as well.
`default_nettype none

module ex_mvu #(
    parameter int MW        = 8,     // elements of x
    parameter int MH        = 4,     // elements of y, of all PARTS
    parameter int SIMD      = 4,     // elements of x in an input word
    parameter int PE        = 2,     // elements of an output word
    parameter int IN_BITS   = 4,     // bits of an element of x
    parameter bit IN_SIGNED = 1'b0,  // x is two's complement
    parameter int W_BITS    = 4,     // bits of a weight, two's complement
    parameter bit SIGNS     = 1'b0,  // weights are signs or 0, W_BITS is 1 or 2
    parameter int ACC_BITS  = 16,    // bits of an accumulator, two's complement
    parameter int OUT_BITS  = 16,    // bits of an element of y; ACC_BITS where LEVELS = 0
    parameter int LEVELS    = 0,     // thresholds of a row; 0: y is the accumulator
    parameter int BIAS      = 0,     // y below the first threshold
    parameter int SEARCH    = 0,     // lanes that search thresholds; 0: PE
    parameter int PARTS     = 1,     // vectors that have rows of their own
    parameter int ARMS      = 1,     // of these, how many a word holds
    parameter int MULTIPLIERS = 0,   // 0: as the synthesis likes; 1: LUTs; 2: DSPs; 3: shared DSPs
    parameter     WEIGHT_FILE    = "",  // empty: not initialised, or in ROM_FILE
    parameter     ROM_FILE       = "",  // empty: in WEIGHT_FILE
    parameter     THRESHOLD_FILE = "",  // see ex_threshold
    parameter     OFFSET_FILE    = "",  // empty: none; not with thresholds, needed with SIGNS
    parameter bit EDGES          = 1'b0,  // m_edge is built, needs thresholds
    parameter     EDGE_FILE      = ""   // see ex_threshold
) (
    input  wire                     clk,
    input  wire                     rst,
    input  wire                     s_valid,
    output wire                     s_ready,
    input  wire  [ARMS*SIMD*IN_BITS-1:0] s_data,
    output wire                     m_valid,
    input  wire                     m_ready,
    output wire  [PE*OUT_BITS-1:0]  m_data,
    output wire  [PE-1:0]           m_edge,
    output wire                     busy
);

  localparam int SF    = MW / SIMD;
  localparam int ROWS  = MH / PARTS;
  localparam int NF    = ROWS * ARMS / PE;
  localparam int ROOM  = NF == 1 ? 2 : 2 * SF;  // input words
  localparam int STEPS = MH / PE * SF;
  localparam int WORD  = ARMS * SIMD * IN_BITS;
  localparam int ARM   = PE / ARMS;  // lanes that see the same elements
  localparam int WEIGHTS = PE * SIMD * W_BITS;

  localparam int SF_BITS   = SF > 1 ? $clog2(SF) : 1;
  localparam int NF_BITS   = NF > 1 ? $clog2(NF) : 1;
  localparam int ROW_BITS  = MH > PE ? $clog2(MH / PE) : 1;
  localparam int ROOM_BITS = $clog2(ROOM);
  localparam int STEP_BITS = STEPS > 1 ? $clog2(STEPS) : 1;

  // Products have a register each; then they are added up, GROUP of them or of their sums a stage.
  // Sums are written as 32-bit integers, which simulate fastest; synthesis drops the bits nobody
  // needs.
  localparam int GROUP  = 9;  // a 3 x 3 window of one channel
  localparam int ADDED  = SIMD == 1 ? 0 : SIMD <= GROUP ? 1 : SIMD <= GROUP * GROUP ? 2
      : SIMD <= GROUP * GROUP * GROUP ? 3 : 4;  // stages of sums
  localparam int SUMS   = SIGNS && ADDED == 0 ? 1 : ADDED;
  localparam int STAGES = 2 + 32'(!SIGNS) + SUMS;  // m, a, products, sums
  localparam int MOST   = (1 << IN_BITS) - 1;  // what an element adds at most, with SIGNS
  // Beside others a product has a bit more than it needs: Yosys takes a DSP from nine bits on.
  localparam int PRODUCT_BITS = IN_BITS + W_BITS + 32'(SIMD > 1);
  localparam int SUM_WANT = SIGNS ? $clog2(SIMD * MOST + 1) : PRODUCT_BITS + $clog2(SIMD);
  localparam int SUM_BITS = SUM_WANT < ACC_BITS ? SUM_WANT : ACC_BITS;
  localparam int FIELD    = IN_BITS + W_BITS - 1;  // with MULTIPLIERS 3, see ex_packed
  localparam int FITTING  = W_BITS < 25 ? (25 - W_BITS) / FIELD + 1 : 1;
  localparam int SHARING  = MULTIPLIERS != 3 ? 1 : FITTING < ARM ? FITTING : ARM;  // lanes of a DSP
  localparam int SEARCHED = SEARCH == 0 ? PE : SEARCH;
  localparam int TURNS    = PE / SEARCHED;

  if (SIMD < 1 || MW % SIMD != 0) begin : g_bad_simd
    $error("ex_mvu: SIMD must divide MW %0d, not be %0d", MW, SIMD);
  end
  if (PARTS < 1 || MH % PARTS != 0 || ARMS < 1 || PARTS % ARMS != 0) begin : g_bad_parts
    $error("ex_mvu: ARMS must divide PARTS and PARTS MH %0d, not be %0d and %0d", MH, ARMS, PARTS);
  end
  if (PE < 1 || ROWS * ARMS % PE != 0 || (ARMS > 1 && PE != ROWS * ARMS)) begin : g_bad_pe
    $error("ex_mvu: PE must divide the %0d rows of a part, or be those of all %0d arms, not be %0d",
           ROWS, ARMS, PE);
  end
  if (SIGNS ? W_BITS < 1 || W_BITS > 2 : W_BITS < 2) begin : g_bad_w_bits
    $error("ex_mvu: W_BITS must be 1 or 2 with SIGNS and at least 2 without, is %0d", W_BITS);
  end
  if (SIGNS && (LEVELS == 0) == (OFFSET_FILE == "")) begin : g_bad_signs
    $error("ex_mvu: SIGNS need thresholds or constants of rows, not %0d and OFFSET_FILE '%s'",
           LEVELS, OFFSET_FILE);
  end
  if (ACC_BITS < 2 || ACC_BITS > 32) begin : g_bad_acc_bits
    $error("ex_mvu: ACC_BITS must be 2 to 32, is %0d", ACC_BITS);
  end
  if (LEVELS != 0 && OFFSET_FILE != "") begin : g_bad_offsets
    $error("ex_mvu: constants of rows are for LEVELS 0, not %0d", LEVELS);
  end
  if (SIMD > GROUP * GROUP * GROUP * GROUP) begin : g_bad_sums
    $error("ex_mvu: SIMD must be at most %0d, is %0d", GROUP * GROUP * GROUP * GROUP, SIMD);
  end
  if (SEARCH < 0 || PE % SEARCHED != 0 || (TURNS > 1 && TURNS >= SF)) begin : g_bad_search
    $error("ex_mvu: SEARCH must be PE %0d or divide it less than %0d times, not be %0d", PE, SF,
           SEARCH);
  end
  if (LEVELS == 0 && OUT_BITS != ACC_BITS) begin : g_bad_out_bits
    $error("ex_mvu: OUT_BITS must be ACC_BITS %0d without thresholds, is %0d", ACC_BITS, OUT_BITS);
  end

  if (MULTIPLIERS < 0 || MULTIPLIERS > 3 || (SIGNS && MULTIPLIERS != 0)
      || (IN_SIGNED && MULTIPLIERS == 3)) begin : g_bad_multipliers
    $error("ex_mvu: MULTIPLIERS must be 0 to 3, 0 with SIGNS, not 3 with IN_SIGNED, is %0d",
           MULTIPLIERS);
  end
  if (EDGES && LEVELS == 0) begin : g_bad_edges
    $error("ex_mvu: EDGES need thresholds, not LEVELS 0");
  end

  // Input: a ring of ROOM words. A word is free again after its last replay.
  logic [ROOM_BITS-1:0] write_q, read_q, base_q;  // base: where this vector begins
  logic [ROOM_BITS:0]   stored_q;                 // words not yet free
  logic [ROOM_BITS:0]   unread_q;                 // of these, words never read
  logic [SF_BITS-1:0]   sf_q;
  logic [NF_BITS-1:0]   nf_q;
  logic [STEP_BITS-1:0] step_q;

  wire first_pass = nf_q == '0;
  wire last_pass  = nf_q == NF_BITS'(NF - 1);
  wire first_sf   = sf_q == '0;
  wire last_sf    = sf_q == SF_BITS'(SF - 1);

  wire take, step;
  wire [STAGES:0] enable;  // stage j can take a word; the last one: accumulators can
  assign s_ready = stored_q != (ROOM_BITS + 1)'(ROOM);
  assign take    = s_valid && s_ready;
  assign step    = enable[0] && (!first_pass || unread_q != '0);

  wire [ROOM_BITS-1:0] read_next = read_q == ROOM_BITS'(ROOM - 1) ? '0 : read_q + 1'b1;
  wire free = step && last_pass;
  wire open = step && first_pass;

  always_ff @(posedge clk) begin
    if (rst) begin
      write_q  <= '0;
      read_q   <= '0;
      base_q   <= '0;
      stored_q <= '0;
      unread_q <= '0;
      sf_q     <= '0;
      nf_q     <= '0;
      step_q   <= '0;
    end else begin
      if (take) write_q <= write_q == ROOM_BITS'(ROOM - 1) ? '0 : write_q + 1'b1;
      if (take != free) stored_q <= take ? stored_q + 1'b1 : stored_q - 1'b1;
      if (take != open) unread_q <= take ? unread_q + 1'b1 : unread_q - 1'b1;
      if (step) begin
        step_q <= step_q == STEP_BITS'(STEPS - 1) ? '0 : step_q + 1'b1;
        sf_q   <= last_sf ? '0 : sf_q + 1'b1;
        read_q <= last_sf && !last_pass ? base_q : read_next;
        if (last_sf) begin
          nf_q <= last_pass ? '0 : nf_q + 1'b1;
          if (last_pass) base_q <= read_next;
        end
      end
    end
  end

  // Stage 0: operands as the memories give them, late in the cycle where these are blocks. Stage 1:
  // the same, one cycle later, next to the multipliers. Then products and sums.
  (* no_rw_check *) logic [WORD-1:0] room[ROOM];
  logic [WORD-1:0]    x_m_q, x_q;
  wire  [WEIGHTS-1:0] w_m_q;
  logic [WEIGHTS-1:0] w_q;
  logic [STAGES-1:0]  valid_q, first_q, last_q;
  wire  [STAGES-1:0]  move = valid_q & enable[STAGES:1];  // words that leave their stage
  wire                load_c = move[STAGES-1];
  for (genvar j = 0; j < STAGES; j++) begin : g_enable
    assign enable[j] = !valid_q[j] || enable[j+1];
  end

  always_ff @(posedge clk) begin
    if (rst) valid_q <= '0;
    else valid_q <= STAGES'({valid_q, step}) & enable[STAGES-1:0] | valid_q & ~enable[STAGES-1:0];
    if (step) {first_q[0], last_q[0]} <= {first_sf, last_sf};
    for (int j = 1; j < STAGES; j++) begin
      if (move[j-1]) {first_q[j], last_q[j]} <= {first_q[j-1], last_q[j-1]};
    end
  end

  if (ROM_FILE != "") begin : g_weights
    ex_rom #(
        .WIDTH   (WEIGHTS),
        .DEPTH   (STEPS),
        .ROM_FILE(ROM_FILE)
    ) rom (
        .clk    (clk),
        .enable (step),
        .address(step_q),
        .q      (w_m_q)
    );
  end else begin : g_weights
    logic [WEIGHTS-1:0] weights[STEPS];
    logic [WEIGHTS-1:0] word_q;
    if (WEIGHT_FILE != "") begin : g_file
      initial $readmemh(WEIGHT_FILE, weights);
    end
    always_ff @(posedge clk) if (step) word_q <= weights[step_q];
    assign w_m_q = word_q;
  end

  always_ff @(posedge clk) begin
    if (take) room[write_q] <= s_data;
    if (step) x_m_q <= room[read_q];
    if (move[0]) begin
      x_q <= x_m_q;
      w_q <= w_m_q;
    end
  end

  // Stage c: accumulators; a result stays until it is taken.
  logic result_q;
  wire  result_ready;
  assign enable[STAGES] = !result_q || result_ready;

  always_ff @(posedge clk) begin
    if (rst) result_q <= 1'b0;
    else if (enable[STAGES]) result_q <= valid_q[STAGES-1] && last_q[STAGES-1];
  end

  wire [PE*ACC_BITS-1:0] result, begins;

  if (OFFSET_FILE != "") begin : g_offsets
    logic [PE*ACC_BITS-1:0] offsets[MH/PE];
    logic [ROW_BITS-1:0]    row_q;  // the output word that is summed up
    initial $readmemh(OFFSET_FILE, offsets);
    always_ff @(posedge clk) begin
      if (rst) row_q <= '0;
      else if (load_c && last_q[STAGES-1]) begin
        row_q <= row_q == ROW_BITS'(MH / PE - 1) ? '0 : row_q + 1'b1;
      end
    end
    assign begins = offsets[row_q];
  end else begin : g_offsets
    assign begins = '0;
  end

  // Products of lanes that share DSPs: term s of lane p at p * SIMD + s
  wire [PE*SIMD*(FIELD+1)-1:0] shared;
  wire [PE*SIMD-1:0]           carries;
  if (MULTIPLIERS == 3) begin : g_packed
    localparam int SHARES = (ARM + SHARING - 1) / SHARING;  // DSPs of an element of an arm
    for (genvar d = 0; d < ARMS * SHARES; d++) begin : g_dsp
      localparam int P = d / SHARES * ARM + d % SHARES * SHARING;  // the first of its lanes
      localparam int N = d % SHARES < SHARES - 1 ? SHARING : ARM - (SHARES - 1) * SHARING;
      for (genvar s = 0; s < SIMD; s++) begin : g_element
        wire [N*W_BITS-1:0] w;
        wire [N*(FIELD+1)-1:0] y;
        wire [N-1:0] carry;
        ex_packed #(
            .N      (N),
            .IN_BITS(IN_BITS),
            .W_BITS (W_BITS)
        ) products (
            .clk   (clk),
            .enable(move[1]),
            .x     (x_q[(P/ARM*SIMD+s)*IN_BITS+:IN_BITS]),
            .w     (w),
            .y     (y),
            .carry (carry)
        );
        for (genvar i = 0; i < N; i++) begin : g_term
          assign w[i*W_BITS+:W_BITS] = w_q[((P+i)*SIMD+s)*W_BITS+:W_BITS];
          assign shared[((P+i)*SIMD+s)*(FIELD+1)+:FIELD+1] = y[i*(FIELD+1)+:FIELD+1];
          assign carries[(P+i)*SIMD+s] = carry[i];
        end
      end
    end
  end else begin : g_packed
    assign shared  = '0;
    assign carries = '0;
  end

  for (genvar p = 0; p < PE; p++) begin : g_lane
    logic [ACC_BITS-1:0] acc_q;
    wire [SIMD*IN_BITS-1:0] x = x_q[p/ARM*SIMD*IN_BITS+:SIMD*IN_BITS];
    wire [SIMD*W_BITS-1:0]  w = w_q[p*SIMD*W_BITS+:SIMD*W_BITS];

    wire [SIMD*(FIELD+1)-1:0] term = shared[p*SIMD*(FIELD+1)+:SIMD*(FIELD+1)];
    wire [SIMD-1:0] carry = carries[p*SIMD+:SIMD];
    wire unused = &{1'b0, x, w, term, carry};

    if (!SIGNS && MULTIPLIERS != 3) begin : g_products
      (* mem2reg *) logic signed [PRODUCT_BITS-1:0] product_q[SIMD];
      if (MULTIPLIERS == 1) begin : g_rows
        always_ff @(posedge clk) begin : rows
          int sum, x_s;
          if (move[1]) begin
            for (int s = 0; s < SIMD; s++) begin
              x_s = 32'($signed({IN_SIGNED && x[(s+1)*IN_BITS-1], x[s*IN_BITS+:IN_BITS]}));
              sum = 0;
              for (int b = 0; b < W_BITS - 1; b++) begin
                sum = sum + ((x_s & {32{w[s*W_BITS+b]}}) << b);
              end
              sum = sum - ((x_s & {32{w[(s+1)*W_BITS-1]}}) << (W_BITS - 1));
              product_q[s] <= PRODUCT_BITS'(sum);
            end
          end
        end
      end else if (MULTIPLIERS == 2) begin : g_dsp
        for (genvar s = 0; s < SIMD; s++) begin : g_product
          (* use_dsp = "yes" *)
          wire signed [PRODUCT_BITS-1:0] one;
          assign one = $signed({IN_SIGNED && x[(s+1)*IN_BITS-1], x[s*IN_BITS+:IN_BITS]})
              * $signed(w[s*W_BITS+:W_BITS]);
          always_ff @(posedge clk) if (move[1]) product_q[s] <= one;
        end
      end else begin : g_any
        always_ff @(posedge clk) begin
          if (move[1]) begin
            for (int s = 0; s < SIMD; s++) begin
              product_q[s] <= PRODUCT_BITS'(
                  32'($signed({IN_SIGNED && x[(s+1)*IN_BITS-1], x[s*IN_BITS+:IN_BITS]}))
                  * 32'($signed(w[s*W_BITS+:W_BITS])));
            end
          end
        end
      end
    end

    for (genvar l = 0; l < SUMS; l++) begin : g_sums
      localparam int SPAN  = GROUP ** (l + 1);  // elements in a sum
      localparam int COUNT = (SIMD + SPAN - 1) / SPAN;
      localparam int FULL  = SIMD < SPAN ? SIMD : SPAN;
      localparam int WANT  = SIGNS ? $clog2(FULL * MOST + 1) : PRODUCT_BITS + $clog2(FULL);
      localparam int BITS  = WANT < ACC_BITS ? WANT : ACC_BITS;
      localparam int TERMS = (SIMD + SPAN / GROUP - 1) / (SPAN / GROUP);  // of all sums
      (* mem2reg *) logic [BITS-1:0] sum_q[COUNT];

      for (genvar n = 0; n < COUNT; n++) begin : g_sum
        localparam int LOW = n * GROUP;
        localparam int TOP = LOW + GROUP < TERMS ? LOW + GROUP : TERMS;
        if (l > 0) begin : g_further
          always_ff @(posedge clk) begin : further
            int sum;
            if (move[STAGES-1-SUMS+l]) begin
              sum = 0;
              for (int s = LOW; s < TOP; s++) begin
                sum = sum + (SIGNS ? 32'(g_sums[l-1].sum_q[s])
                                   : 32'($signed(g_sums[l-1].sum_q[s])));
              end
              sum_q[n] <= BITS'(sum);
            end
          end
        end else if (MULTIPLIERS == 3) begin : g_pairs
          always_ff @(posedge clk) begin : pairs
            int sum;
            if (move[STAGES-1-SUMS]) begin
              sum = 0;
              for (int s = LOW; s < TOP; s++) begin
                sum = sum + 32'($signed(term[s*(FIELD+1)+:FIELD+1])) + 32'(carry[s]);
              end
              sum_q[n] <= BITS'(sum);
            end
          end
        end else if (!SIGNS) begin : g_terms
          always_ff @(posedge clk) begin : terms
            int sum;
            if (move[STAGES-1-SUMS]) begin
              sum = 0;
              for (int s = LOW; s < TOP; s++) sum = sum + 32'(g_products.product_q[s]);
              sum_q[n] <= BITS'(sum);
            end
          end
        end else if (IN_BITS == 1 && W_BITS == 1) begin : g_count
          always_ff @(posedge clk) begin
            if (move[1]) begin
              sum_q[n] <= BITS'($countones(
                  x[TOP-1:LOW] ^ w[TOP-1:LOW] ^ {(TOP - LOW) {IN_SIGNED}}));
            end
          end
        end else begin : g_signs
          localparam bit [IN_BITS-1:0] SIGN = IN_BITS'(IN_SIGNED) << (IN_BITS - 1);
          always_ff @(posedge clk) begin : signs
            int sum;
            if (move[1]) begin
              sum = 0;
              for (int s = LOW; s < TOP; s++) begin
                sum = sum + 32'({((x[s*IN_BITS+:IN_BITS] ^ SIGN)
                                  & {IN_BITS{W_BITS == 1 || w[s*W_BITS]}})
                                 ^ {IN_BITS{w[s*W_BITS+W_BITS-1]}}});
              end
              sum_q[n] <= BITS'(sum);
            end
          end
        end
      end
    end

    wire [SUM_BITS-1:0] sum;
    if (SUMS > 0) begin : g_sum
      assign sum = g_sums[SUMS-1].sum_q[0];
    end else if (MULTIPLIERS == 3) begin : g_sum
      assign sum = SUM_BITS'($signed(term)) + SUM_BITS'(carry);
    end else begin : g_sum
      assign sum = SUM_BITS'(g_products.product_q[0]);
    end

    always_ff @(posedge clk) begin
      if (load_c) begin
        acc_q <= ACC_BITS'($signed({!SIGNS && sum[SUM_BITS-1], sum}))
            + (first_q[STAGES-1] ? begins[p*ACC_BITS+:ACC_BITS] : acc_q);
      end
    end
    assign result[p*ACC_BITS+:ACC_BITS] = acc_q;
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
        .IN_SIGNED     (!SIGNS),
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
  assign busy = step || |move || (result_q && result_ready) || threshold_busy;
`else
  assign busy = 1'b1;
  wire unused = threshold_busy;
`endif
endmodule

`default_nettype wire
