// Properties of ex_look_buffer: the output keeps its contract; words on s are taken whenever the word
// beside them is there, whatever waits; a place is given only while no frame has it; a word is written
// only to the place of its frame, in order, and never where one is read. Of ex_fifo is assumed that
// what it shows holds until it is taken; free_fifo.sv stands for it.
  logic f_past = 1'b0;
  logic [PLACES-1:0] f_used;           // places of frames that were let in and did not leave
  logic [PLACES-1:0] f_here;           // of those whose first look has begun to come
  logic [WORD_BITS-1:0] f_in;          // words of the frame on s that have come
  (* anyconst *) wire [PLACE_BITS-1:0] f_place;
  (* anyconst *) wire [WORD_BITS-1:0] f_word;
  logic [WIDTH-1:0] f_data;            // that word of that place
  logic f_known = 1'b0, f_shown = 1'b0;
  wire f_taken = place_free && place_take;
  wire [ADDRESS_BITS-1:0] f_address = ADDRESS_BITS'(32'(f_place) * FRAME + 32'(f_word));
  wire f_put = f_past && s_valid && s_ready && !further && place_in == f_place && f_in == f_word;
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    f_used <= rst ? '0 : (f_used | (f_taken ? ONE << place : '0))
        & ~(verdict_valid && !verdict_keep ? ONE << verdict_place : '0)
        & ~(leave ? ONE << kept : '0);
    f_here <= rst ? '0 : (f_here & ~(f_taken ? ONE << place : '0))
        | (s_valid && s_ready && !further && f_in == '0 ? ONE << place_in : '0);
    if (s_valid && s_ready) f_in <= 32'(f_in) == FRAME - 1 ? '0 : f_in + 1'b1;
    if (rst) f_in <= '0;
    if (f_put) begin
      f_known <= 1'b1;
      f_data  <= s_data;
    end
    if (rst) f_known <= 1'b0;
    f_shown <= get && kept == f_place && out_q == f_word;
    if (f_past && !rst && $past(info_valid && !info_ready && !rst)) begin
      assume (info_valid && $stable(info_data));
    end
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data));
    end
    if (f_past && f_shown && $past(f_known && !rst)) assert (word_q == $past(f_data));
    cover (f_past && used_q == '1 && s_valid && s_ready && further);
    cover (f_past && f_shown && m_valid && f_known);
  end
  always_comb begin
    if (!f_past) assume (rst);
    assume (32'(f_place) < PLACES && 32'(f_word) < FRAME);
    assume (32'(place_in) < PLACES && 32'(verdict_place) < PLACES && 32'(kept) < PLACES);
    // frames have one first look, which begins to come before they have a verdict or are kept
    if (info_valid && !further && f_in == '0) assume (f_used[place_in] && !f_here[place_in]);
    if (verdict_valid) assume (f_used[verdict_place] && f_here[verdict_place]);
    if (verdict_valid && kept_valid) assume (kept != verdict_place);
    if (kept_valid) assume (f_used[kept] && f_here[kept]);
    if (f_past) begin
      assert (s_ready == info_valid);
      assert (used_q == f_used && place_free == (f_used != '1));
      if (place_free) assert (32'(place) < PLACES && !f_used[place]);
      assert (in_q == f_in && 32'(in_q) < FRAME && 32'(out_q) < FRAME);
      if (in_q != '0 && !rst) assert (info_valid && 32'(write_q) == 32'(place_in) * FRAME + 32'(in_q));
      if (out_q != '0) begin
        assert (kept_valid && 32'(read_q) == 32'(kept) * FRAME + 32'(out_q));
      end
      if (f_known) assert (memory[f_address] == f_data);
      if (put && !further && get && !rst) assert (write != read);
    end
  end
