// Properties of ex_again, if s is what ex_decide offers: what is told of a token does not change
// while it waits; of each token of a look with more exactly one verdict is given, as it leaves, and
// with the info of its own look; a token is withheld exactly where a look follows.
  logic f_past = 1'b0;
  logic f_more;                      // of the token on s
  logic [WHO_BITS+1:0] f_info;
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    if (decide) {f_more, f_info} <= info;
    if (f_past) begin
      // ex_decide: a token follows its score and holds until it is taken; off stays meanwhile
      assume (s_valid == ($past(decide) || $past(s_valid && !m_ready)));
      if ($past(s_valid && !m_ready)) begin
        assume ($stable(s_take) && $stable(s_silent) && $stable(off));
        assert ($stable(m_take) && $stable(m_silent) && $stable(look));
        assert ($stable(verdict_again) && $stable(verdict_info));
      end
    end
    cover (f_past && again && verdict_info[WHO_BITS +: 2] == 2'd1);
    cover (f_past && $past(again) && verdict_valid && !verdict_again);
  end
  wire f_leaves = s_valid && m_ready;
  always_comb begin
    if (!f_past) assume (!s_valid);
    assume (!decide || !s_valid || m_ready);
    if (f_past && s_valid) begin
      assert (info_q == {f_more, f_info});
      assert (verdict_valid == (f_leaves && f_more));
      assert (verdict_info == f_info && look == f_info[WHO_BITS +: 2]);
      assert (verdict_again == (f_more && !s_take && !off));
      assert (again == (f_leaves && verdict_again));
      assert (verdict_again ? m_take && m_silent : m_take == s_take && m_silent == s_silent);
    end
    if (f_past && !s_valid) assert (!again && !verdict_valid);
  end
