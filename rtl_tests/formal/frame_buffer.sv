// Properties of ex_frame_buffer: the words of kept frames, and only they, come out once and in
// order; every verdict is taken at once when its frame has begun, whatever waits; a place is free
// in the cycle after its frame was dropped or read to its end.
// A word is {number of its frame, place in the frame}; the numbers count modulo 2^F > PLACES + 1.
  localparam int F = WIDTH - WORD_BITS;
  logic         f_past = 1'b0;
  logic [F-1:0] f_frame;               // number of the frame on s
  logic [F-1:0] f_decide;              // number of the next frame to be decided
  logic [PLACES*F-1:0] f_kept;         // numbers of the kept frames, in the order of their verdicts
  logic [PLACES*F-1:0] f_in;           // number of the frame in each place
  logic [F-1:0] f_shown;               // frame and word in the output register
  logic [WORD_BITS-1:0] f_word;
  logic         f_early, f_late, f_passed;  // dropped before, while arriving, behind a kept frame
  logic [3:0]   f_read, f_given;       // words read, and given, modulo 16
  wire [COUNT_BITS-1:0] f_last = held_q - 1'b1;
  wire on_s = begun && !skip_q;        // the frame on s has a place

  always_ff @(posedge clk) begin
    f_past   <= 1'b1;
    f_frame  <= rst ? '0 : f_frame + F'(whole);
    f_decide <= rst ? '0 : f_decide + F'(verdict);
    f_read   <= rst ? '0 : f_read + 4'(get);
    f_given  <= rst ? '0 : f_given + 4'(m_valid && m_ready);
    if (open) f_in[F*place_q[PLACE_BITS'(held_q)] +: F] <= f_frame;
    if (leave) f_kept <= f_kept >> F;
    if (keep) f_kept[F*(kept_q - COUNT_BITS'(leave)) +: F] <= f_decide;
    if (get) begin
      f_shown <= f_kept[F-1:0];
      f_word  <= out_q;
    end
    f_early  <= !rst && (f_early || (verdict && !undecided));
    f_late   <= !rst && (f_late || (drop && alone && begun && !whole));
    f_passed <= !rst && (f_passed || (drop && kept_q != '0));
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data));
    end
    if (f_past && !rst && $past(drop && !rst)) assert (skip_q || begun || s_ready);
    cover (f_past && f_early && m_valid);
    cover (f_past && (f_late || FRAME == 1) && m_valid);
    cover (f_past && kept_q == COUNT_BITS'(PLACES) && m_valid);
    cover (f_past && (f_passed || PLACES == 1) && f_given == 4'(2 * FRAME));
  end

  always_comb begin
    if (!f_past) assume (rst);
    assume (s_data == {f_frame, in_q});
    if (f_past) begin
      assert (decide_ready || !undecided);
      assert (s_ready || (full && !begun));
      assert (kept_q <= held_q && 32'(held_q) <= PLACES);
      assert (32'(in_q) < FRAME && 32'(out_q) < FRAME);
      assert (f_decide + F'(held_q - kept_q) == f_frame + F'(begun || skip_q));
      assert (f_read == f_given + 4'(word_valid_q));
      if (out_q != '0) begin
        assert (kept_q != '0);
        assert (32'(read) == 32'(place_q[0]) * SPAN + 32'(out_q));
      end
      if (on_s) begin
        assert (held_q != '0);
        assert (32'(write) == 32'(place_q[PLACE_BITS'(f_last)]) * SPAN + 32'(in_q));
        if (held_q == COUNT_BITS'(1)) assert (out_q <= in_q);
      end
      if (skip_q) assert (!undecided);
      if (m_valid) assert (m_data == {f_shown, f_word});
    end
  end
  for (genvar i = 0; i < PLACES; i++) begin : g_f_place
    wire [PLACE_BITS-1:0] place = place_q[i];
    wire [F-1:0] number = f_in[F*place +: F];
    wire [F-1:0] turn = f_decide + F'(i) - F'(kept_q);
    always_comb begin
      if (f_past) begin
        assert (32'(place) < PLACES);
        for (int j = 0; j < i; j++) assert (place_q[j] != place);
        if (i < 32'(kept_q)) assert (number == f_kept[F*i +: F]);
        else if (i < 32'(held_q)) assert (number == turn);
        if (on_s && i + 1 == 32'(held_q)) assert (number == f_frame);
      end
    end
    for (genvar j = 0; j < FRAME; j++) begin : g_f_word
      wire come = !(on_s && i + 1 == 32'(held_q)) || j < 32'(in_q);
      always_comb begin
        if (f_past && i < 32'(held_q) && come) begin
          assert (memory[32'(place) * SPAN + j] == {number, WORD_BITS'(j)});
        end
      end
    end
  end
