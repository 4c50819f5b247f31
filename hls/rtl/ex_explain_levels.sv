// Part of ex_explain_encode: the pixels of maps as pieces of the levels code of exeunt.runtime.maps.
//
// s_data = signed values, the channels of a pixel one after another, s_end with the last one, s_last
// with the last one of a map. A pixel is the sum of its values, or with `absolute` of their sizes.
// All pixels of a map come twice. With `measure` nothing leaves: u = floor(s * factor / 2^shift), s
// the sum of the sizes of all pixels: 16 times their mean, 1 at least. Then m gives u, the lower 8 bits first,
// and of every pixel which comes without `measure` a piece of 3 or 4 bits: the number of thresholds
// t * u / 256 which its size reaches, with its sign, in truncated binary.
// m = a piece of `m_width` bits, the first one lowest; m_ends with the last one of a map.
// One value a cycle; from the last value of a pixel 1 cycle to its piece. From the last value that
// is measured 68 + shift cycles to the first piece of u; values to be coded wait until u has left. On
// stall of m one pixel enters. From the last value of a map to its last piece s waits. Reset: empty;
// what comes next is measured.
`default_nettype none

module ex_explain_levels #(
    parameter int BITS     = 8,    // of a value
    parameter int CHANNELS = 3,    // most of a pixel
    parameter int PIXELS   = 1024, // most of a map
    parameter int MOST     = 64    // the largest threshold, in 16ths of the mean; less in proofs alone
) (
    input  wire            clk,
    input  wire            rst,
    input  wire            measure,
    input  wire            absolute,
    input  wire [7:0]      factor,
    input  wire [4:0]      shift,
    input  wire            s_valid,
    output wire            s_ready,
    input  wire [BITS-1:0] s_data,
    input  wire            s_end,
    input  wire            s_last,
    output wire            m_valid,
    input  wire            m_ready,
    output wire [7:0]      m_bits,
    output wire [3:0]      m_width,
    output wire            m_ends
);
  localparam int P_BITS = BITS + $clog2(CHANNELS);  // of a pixel, signed
  localparam int S_BITS = P_BITS + $clog2(PIXELS + 1);  // of the sum of sizes
  localparam int M_BITS = S_BITS + 8 > 16 ? S_BITS + 8 : 16;
  localparam int T_BITS = 14;                       // of a threshold: u has 16
  localparam int GRID = 10;
  localparam logic [64:0] THRESHOLDS = 65'(1) << 64 | 65'(1) << 50 | 65'(1) << 40 | 65'(1) << 34
      | 65'(1) << 28 | 65'(1) << 24 | 65'(1) << 18 | 65'(1) << 11 | 65'(1) << 7 | 65'(1) << 3;

  if (CHANNELS < 1 || CHANNELS > 16 || P_BITS > 13) begin : g_bad_size
    $error("ex_explain_levels: CHANNELS must be 1 to 16, with BITS %0d not %0d", BITS, CHANNELS);
  end

  typedef enum logic [2:0] {MEASURE, TIMES, SHIFT, STEP, LOW, HIGH, CODE} state_t;
  state_t state_q;
  wire    coding = state_q == CODE;  // u has left

  // ---------------------------------------------------------------- pixels
  logic              fresh_q;  // the next value is the first one of a pixel
  logic [P_BITS-1:0] total_q;
  logic              valid_q, ends_q, measure_q, signed_q;
  logic              closed_q;  // the last value of a map is in, its piece has not left
  wire               over = m_valid && m_ready && m_ends;
  wire               stuck = valid_q && !measure_q && !m_ready;
  wire               take = s_valid && s_ready;
  wire [P_BITS-1:0]  wide = P_BITS'($signed(s_data));
  wire [P_BITS-1:0]  part = absolute && s_data[BITS-1] ? -wide : wide;
  assign s_ready = !closed_q && (measure ? state_q == MEASURE : coding && !stuck);

  always_ff @(posedge clk) begin
    if (!stuck) valid_q <= 1'b0;
    if (over) closed_q <= 1'b0;
    if (take) begin
      total_q   <= (fresh_q ? '0 : total_q) + part;
      fresh_q   <= s_end;
      valid_q   <= s_end;
      ends_q    <= s_last;
      measure_q <= measure;
      signed_q  <= !absolute;
      closed_q  <= s_last && !measure;
    end
    if (rst) begin
      fresh_q  <= 1'b1;
      valid_q  <= 1'b0;
      closed_q <= 1'b0;
    end
  end

  wire              minus = total_q[P_BITS-1];
  wire [P_BITS-1:0] size = minus ? -total_q : total_q;

  // ---------------------------------------------------------------- their mean, and thresholds
  logic [S_BITS-1:0]      sum_q;
  logic [M_BITS-1:0]      mean_q;  // u, once it is shifted
  logic [4:0]             left_q;
  logic [6:0]             step_q;
  logic [T_BITS+7:0]      grown_q;
  logic [GRID*T_BITS-1:0] thresholds_q;  // the smallest one lowest
  wire  [T_BITS+7:0]      grown = grown_q + (T_BITS + 8)'(mean_q[15:0]);

  always_ff @(posedge clk) begin
    unique case (state_q)
      MEASURE: if (valid_q) begin
        sum_q <= sum_q + S_BITS'(size);
        if (ends_q) state_q <= TIMES;
      end
      TIMES: begin
        mean_q  <= M_BITS'(sum_q) * M_BITS'(factor);
        left_q  <= shift;
        state_q <= SHIFT;
      end
      SHIFT: begin
        left_q  <= left_q - 1'b1;
        step_q  <= 7'd1;
        grown_q <= (T_BITS + 8)'(255);
        if (left_q != '0) begin
          mean_q <= mean_q >> 1;
        end else begin
          state_q <= STEP;
          if (mean_q == '0) mean_q <= M_BITS'(1);
        end
      end
      STEP: begin
        step_q  <= step_q + 1'b1;
        grown_q <= grown;
        if (THRESHOLDS[step_q]) begin
          thresholds_q <= {grown[T_BITS+7:8], thresholds_q[GRID*T_BITS-1:T_BITS]};
        end
        if (step_q == 7'(MOST)) state_q <= LOW;
      end
      LOW: if (m_ready) state_q <= HIGH;
      HIGH: if (m_ready) state_q <= CODE;
      default: if (over) begin
        sum_q   <= '0;
        state_q <= MEASURE;
      end
    endcase
    if (rst) begin
      sum_q   <= '0;
      state_q <= MEASURE;
    end
  end

  // ---------------------------------------------------------------- levels
  logic [3:0] count;
  always_comb begin
    count = '0;
    for (int i = 0; i < GRID; i++) begin
      if (T_BITS'(size) >= thresholds_q[i*T_BITS+:T_BITS]) count = 4'(i + 1);
    end
  end

  wire [3:0] level = (count + 4'd1) >> 1;  // of a signed pixel: every second threshold
  wire [3:0] number = !signed_q ? count
      : level == 4'd0 ? 4'd0 : minus ? {level[2:0], 1'b0} : {level[2:0], 1'b0} - 4'd1;
  wire       short = number < 4'd5;
  wire [3:0] beyond = number - 4'd5;
  wire [3:0] code = short ? number : {beyond[0], 3'd5 + 3'(beyond >> 1)};

  wire pixel = coding && valid_q;
  assign m_valid = state_q == LOW || state_q == HIGH || pixel;
  assign m_bits = pixel ? 8'(code) : state_q == LOW ? mean_q[7:0] : mean_q[15:8];
  assign m_width = !pixel ? 4'd8 : short ? 4'd3 : 4'd4;
  assign m_ends = pixel && ends_q;
endmodule

`default_nettype wire
