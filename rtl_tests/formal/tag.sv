// Properties of ex_tag: a frame is FRAME beats in and out, counted, with zeros behind a cut; ids count
// frames from 0; bank and stamp are those of the first beat; a beat once on m stays, whatever hold
// does; no frame begins under hold or with IN_FLIGHT inside, and the counts of frames inside are exact.
// The environment: s keeps its contract, a frame leaves only after its metadata were taken.
  localparam int F = 8;
  logic         f_past = 1'b0;
  logic [F-1:0] f_begun;                  // frames begun
  logic [F-1:0] f_done, f_metas;          // frames whose last beat passed, whose metadata were taken
  logic [COUNT_BITS:0] f_in0, f_in1;      // frames inside by bank
  logic [COUNT_BITS:0] f_may0, f_may1;    // of them, those that may leave
  logic         f_cut;                    // this frame was cut, and its input is over
  logic [31:0]  f_stamp;
  logic         f_bank;
  wire f_beat = m_valid && m_ready;
  wire f_tail = f_beat && final_beat;
  wire f_told = meta_valid && meta_ready;
  wire f_of = meta_data[64];

  always_ff @(posedge clk) begin
    f_past  <= 1'b1;
    f_begun <= rst ? '0 : f_begun + F'(f_beat && first);
    f_done  <= rst ? '0 : f_done + F'(f_tail);
    f_metas <= rst ? '0 : f_metas + F'(f_told);
    f_in0   <= rst ? '0 : f_in0 + (COUNT_BITS + 1)'(f_beat && first && !bank)
                   - (COUNT_BITS + 1)'(leave && !leave_bank);
    f_in1   <= rst ? '0 : f_in1 + (COUNT_BITS + 1)'(f_beat && first && bank)
                   - (COUNT_BITS + 1)'(leave && leave_bank);
    f_may0  <= rst ? '0 : f_may0 + (COUNT_BITS + 1)'(f_told && !f_of)
                   - (COUNT_BITS + 1)'(leave && !leave_bank);
    f_may1  <= rst ? '0 : f_may1 + (COUNT_BITS + 1)'(f_told && f_of)
                   - (COUNT_BITS + 1)'(leave && leave_bank);
    f_cut   <= !rst && !f_tail && (f_cut || ev_bad);
    if (f_beat && first) begin
      f_stamp <= now;
      f_bank  <= bank;
    end
    if (f_past && !rst && $past(!rst)) begin
      if ($past(s_valid && !s_ready)) assume (s_valid && $stable(s_data) && $stable(s_last));
      if ($past(m_valid && !m_ready)) assert (m_valid && $stable(m_data));
      if ($past(meta_valid && !meta_ready)) assert (meta_valid && $stable(meta_data));
      if ($past(f_tail)) begin
        assert (meta_valid);
        assert (meta_data[31:0] == $past(id_q));
        assert (meta_data[63:32] == $past(first ? now : f_stamp));
        assert (meta_data[64] == $past(first ? bank : f_bank));
        assert (meta_data[65] == $past(f_cut));
      end
      if ($past(f_beat && first && !granted_q)) assert ($past(!hold && occupied < MOST));
    end
    if (f_past && !rst && $past(rst)) assert (!meta_valid && flight0 == '0 && flight1 == '0);
    cover (f_past && f_done == F'(3) && (f_cut || FRAME == 1));
    cover (f_past && 32'(f_in0 + f_in1) == IN_FLIGHT && s_valid && f_in1 != '0);
    cover (f_past && granted_q && hold && f_beat);
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (leave && !leave_bank) assume (f_may0 != '0);
    if (leave && leave_bank) assume (f_may1 != '0);
    if (rst) assert (!s_ready && !m_valid);
    if (f_past) begin
      assert (32'(beat_q) < FRAME);
      assert (f_begun == f_done + F'(!first));
      assert (f_done == f_metas + F'(meta_valid_q));
      assert (F'(id_q) == f_done);
      assert (32'(f_in0) + 32'(f_in1) <= IN_FLIGHT);
      assert (flight0_q == COUNT_BITS'(f_in0) && flight1_q == COUNT_BITS'(f_in1));
      assert (f_in0 == f_may0 + (COUNT_BITS + 1)'(meta_valid_q && !f_of)
              + (COUNT_BITS + 1)'(!first && !f_bank));
      assert (f_in1 == f_may1 + (COUNT_BITS + 1)'(meta_valid_q && f_of)
              + (COUNT_BITS + 1)'(!first && f_bank));
      assert (f_may0 <= f_in0 && f_may1 <= f_in1);
      assert (pad_q == f_cut);
      if (pad_q) assert (!first);
      if (granted_q) assert (first && !pad_q && occupied < MOST);
      if (granted_q && !rst) assert (s_valid);
      if (!first) assert (stamp_q == f_stamp && bank_q == f_bank);
      if (m_valid) assert (m_data == (f_cut ? '0 : s_data));
      if (s_ready) assert (!f_cut);
      assert (!(s_valid && s_ready) || m_valid);
    end
  end
