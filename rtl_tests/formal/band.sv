// Properties of ex_band: the offset stays between floor and ceiling, changes only behind the eighth
// event of a window, and every change of it is told once, as what it is. Settings are any that do
// not change while it is not in reset.
  logic            f_past = 1'b0;
  logic [16:0]     f_events;  // of the window so far
  logic [HELD-1:0] f_held;    // before
  always_ff @(posedge clk) begin
    f_past   <= 1'b1;
    f_held   <= held;
    f_events <= rst ? '0 : (count ? (ends ? '0 : f_events + 1'b1) : f_events);
    if (f_past && !rst) assume ($stable({last, low, high, step, floor, ceiling}));
    if (f_past && !$past(rst)) begin
      assert ((held != f_held) == $past(raised || lowered));
      if ($past(raised)) assert ($signed(held) > $signed(f_held));
      if ($past(lowered)) assert ($signed(held) < $signed(f_held));
      if (held != f_held) assert ($past(count) && $past(f_events) == 17'd7);
    end
    if (f_past && $past(rst)) assert (held == '0);
    cover (f_past && raised && $signed(held) < 0);
    cover (f_past && lowered && held == ceiling);
  end
  wire [3:0] f_stages = {seen_q && ends_q, full_q, raise_q || lower_q, tried_q};
  always_comb begin
    if (!f_past) assume (rst);
    assume (last >= 16'd7);
    assume (!step[HELD-1] && !ceiling[HELD-1] && (floor[HELD-1] || floor == '0));
    assert (!(raised && lowered));
    if (f_past && !rst) begin
      assert ($signed(held) >= $signed(floor) && $signed(held) <= $signed(ceiling));
      assert ($signed(next_q) >= $signed(floor) && $signed(next_q) <= $signed(ceiling));
      assert (left_q <= last && f_events + 17'(left_q) == 17'(last));
      // how far a window's verdict may be, and that one is on its way alone
      assert (f_stages == '0 || (f_stages & (f_stages - 4'd1)) == '0);
      if (seen_q && ends_q) assert (f_events == '0);
      if (full_q) assert (f_events <= 17'd1);
      if (raise_q || lower_q) assert (f_events <= 17'd2);
      if (tried_q) assert (f_events <= 17'd3);
      if (f_stages != '0 || f_events > 17'd7) assert (next_q == held_q);
      if (tried_q) begin
        assert ($signed(sum_q) == (up_q ? $signed(from) + $signed(by) : $signed(from) - $signed(by)));
      end
      if (next_q != held_q) assert (up_q == ($signed(next_q) > $signed(held_q)));
      if (f_events > 17'd5 && f_events < 17'd8) assert (moves_q == (next_q != held_q));
      assert (since_q == 3'(f_events));
    end
  end
