// Part of ex_explain: turns sums into the gradients of the next stream, or into the map.
//
// v = sign(a) * min((|a| * b + 2^(shift - 1)) >> shift, 2^(BITS - 1) - 1), b the mantissa of the
// channel, or the pixel, or 1; 0 where nothing passes, where v is negative and `positive` is set,
// and where |v| < prune. What is clipped is counted, up to 65535, but not with `measure`; `forget`
// begins at 0 again.
// 4 cycles from a sum to its value. A value that is not 0 is written behind the one before it, and
// at the end of a word its mask. With `map` every value goes to m instead; hold: the pipe stands.
`default_nettype none

module ex_explain_sweep #(
    parameter int BITS     = 8,
    parameter int SUM_BITS = 20,
    parameter int B_BITS   = 8,   // of a mantissa, or a pixel
    parameter int S_BITS   = 5,   // of a shift
    parameter int MA_BITS  = 10,
    parameter int VA_BITS  = 10
) (
    input  wire                clk,
    input  wire                rst,
    input  wire                start,
    output wire                busy,
    output wire                hold,
    input  wire                forget,
    output wire  [15:0]        clipped,
    // the step
    input  wire                map,
    input  wire                measure,  // all of it comes again
    input  wire                positive,
    input  wire  [S_BITS-1:0]  shift,
    input  wire  [BITS-1:0]    prune,
    input  wire  [MA_BITS-1:0] mask_base,
    input  wire  [VA_BITS-1:0] value_base,
    // sums
    input  wire                s_valid,
    input  wire                s_has,
    input  wire                s_end,
    input  wire                s_last,
    input  wire  [3:0]         s_lane,
    input  wire  [SUM_BITS-1:0] s_sum,
    input  wire  [B_BITS-1:0]  s_factor,
    // gradients
    output wire                mask_write,
    output wire  [MA_BITS-1:0] mask_address,
    output wire  [15:0]        mask_data,
    output wire                value_write,
    output wire  [VA_BITS-1:0] value_address,
    output wire  [BITS-1:0]    value_data,
    // values of the map
    output wire                m_valid,
    input  wire                m_ready,
    output wire  [BITS-1:0]    m_data,
    output wire                m_end,  // of a word
    output wire                m_last
);
  localparam int P_BITS = SUM_BITS + B_BITS;
  localparam logic [P_BITS:0] LIMIT = (P_BITS + 1)'((1 << (BITS - 1)) - 1);

  logic [3:0]            valid_q;  // one each stage, the first one lowest
  logic [3:0]            end_q, last_q;
  logic [2:0]            keep_q, sign_q;
  logic [15:0]           lane_q;  // of each stage
  wire enable = !hold;
  assign hold = map && valid_q[3] && !m_ready;

  logic [SUM_BITS-1:0] size_q;
  logic [B_BITS-1:0]   factor_q;
  logic [P_BITS-1:0]   product_q;
  logic [P_BITS:0]     half_q;  // shifted by one bit less
  logic [BITS-1:0]     value_q;
  wire  negative = s_sum[SUM_BITS-1];
  wire  [P_BITS:0] rounded = {1'b0, half_q[P_BITS:1]} + {{P_BITS{1'b0}}, half_q[0]};
  wire  beyond = rounded > LIMIT;
  wire  [BITS-1:0] size = beyond ? LIMIT[BITS-1:0] : rounded[BITS-1:0];
  wire  kept = keep_q[2] && size >= prune;

  always_ff @(posedge clk) begin
    if (enable) begin
      valid_q   <= {valid_q[2:0], s_valid};
      end_q     <= {end_q[2:0], s_end};
      last_q    <= {last_q[2:0], s_last};
      keep_q    <= {keep_q[1:0], s_has && !(positive && negative)};
      sign_q    <= {sign_q[1:0], negative};
      lane_q    <= {lane_q[11:0], s_lane};
      size_q    <= negative ? -s_sum : s_sum;
      factor_q  <= s_factor;
      product_q <= P_BITS'(size_q) * P_BITS'(factor_q);
      half_q    <= {product_q, 1'b0} >> shift;
      value_q   <= !kept ? '0 : sign_q[2] ? -size : size;
    end
    if (rst) valid_q <= '0;
  end

  logic [15:0] clipped_q;
  always_ff @(posedge clk) begin
    if (enable && valid_q[2] && keep_q[2] && beyond && !measure && clipped_q != 16'hffff) begin
      clipped_q <= clipped_q + 16'd1;
    end
    if (forget) clipped_q <= '0;
  end

  logic [MA_BITS-1:0] mask_address_q;
  logic [VA_BITS-1:0] value_address_q;
  logic [15:0]        mask_q;
  wire  there = |value_q;
  wire  out = valid_q[3] && !map;
  assign mask_data = mask_q | (16'(there) << lane_q[15:12]);
  assign mask_write = out && end_q[3];
  assign mask_address = mask_address_q;
  assign value_write = out && there;
  assign value_address = value_address_q;
  assign value_data = value_q;
  always_ff @(posedge clk) begin
    if (mask_write) mask_address_q <= mask_address_q + 1'b1;
    if (value_write) value_address_q <= value_address_q + 1'b1;
    if (out) mask_q <= end_q[3] ? '0 : mask_data;
    if (start) begin
      mask_address_q  <= mask_base;
      value_address_q <= value_base;
      mask_q          <= '0;
    end
  end

  assign m_valid = map && valid_q[3];
  assign m_data = value_q;
  assign m_end = end_q[3];
  assign m_last = last_q[3];
  assign busy = |valid_q;
  assign clipped = clipped_q;
endmodule

`default_nettype wire
