// Properties of ex_looks: m keeps its contract if s and info do, no beat is lost or doubled, info
// goes with the last beat of its look, and what is added is what m was in the look before of that
// slot, for any one beat of any one slot.
  logic f_past = 1'b0;
  logic f_known = 1'b0;              // that beat of that slot has been on m
  logic [PE*WIDE-1:0] f_sum;
  (* anyconst *) wire [ADDRESS_BITS-1:0] f_address;
  logic [BEAT_BITS-1:0] f_beat;      // beats of the look that have left
  wire f_give = m_valid && m_ready;
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    if (f_give && address == f_address) begin
      f_known <= 1'b1;
      f_sum   <= m_data;
    end
    if (f_give) f_beat <= 32'(f_beat) == BEATS - 1 ? '0 : f_beat + 1'b1;
    if (rst) f_beat <= '0;
    if (f_past && !rst && $past(s_valid && !s_ready && !rst)) begin
      assume (s_valid && $stable(s_data));
    end
    if (f_past && !rst && $past(info_valid && !info_ready && !rst)) begin
      assume (info_valid && $stable(info_data));
    end
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data));
    end
    cover (f_past && f_give && f_known && !first && address == f_address && m_data != f_sum);
  end
  always_comb begin
    if (!f_past) assume (rst);
    assume (32'(info_data[SLOT_BITS-1:0]) < SLOTS && 32'(info_data[SLOT_BITS +: 2]) <= LOOKS);
    if (f_past) begin
      assert (f_give == (s_valid && s_ready));
      assert (info_ready == (f_give && 32'(f_beat) == BEATS - 1));
      assert (32'(beat_q) < BEATS && beat_q == f_beat);
      if (f_known) assert (sums[f_address] == f_sum);
    end
  end
  for (genvar k = 0; k < PE; k++) begin : g_f_lane
    wire [WIDE-1:0] f_own = WIDE'($signed(s_data[BITS*k +: BITS]));
    always_comb begin
      if (f_past && m_valid && (first || (f_known && address == f_address))) begin
        assert (m_data[WIDE*k +: WIDE] == WIDE'(f_own + (first ? '0 : f_sum[WIDE*k +: WIDE])));
      end
    end
  end
