// Properties of ex_rules: the output keeps its contract, and every look that starts leaves once, whole.
// Without further looks: every frame that comes in leaves once, in order, and no slot is written while
// its frame is waited for. With them: a frame has its slot from its first beat until it is let go, it is
// in one state at a time, the queue has room for whoever comes, and no look is made that has no rule.
// Of ex_measure is assumed that it judges each frame once; free_measure.sv stands for it. Of ex_fifo is
// assumed that it is a queue, which its own proof says. Values and cycles are compared with the
// reference by rtl_tests/rules.
  logic       f_past = 1'b0;
  logic [3:0] f_begun, f_out;   // looks that started, and those that left m, modulo 16
  logic [BEAT_BITS-1:0] f_beat;  // beats of the look on m that were taken
  wire f_give = m_valid && m_ready;
  wire f_end = f_give && f_beat == FINAL;
  wire [3:0] f_pipe = 4'(word_valid_q) + 4'(TABLES > 0 && m_valid);  // beats read, not taken
  always_ff @(posedge clk) begin
    f_past  <= 1'b1;
    f_begun <= empty ? '0 : f_begun + 4'(start);
    f_out   <= empty ? '0 : f_out + 4'(f_end);
    if (f_give) f_beat <= f_end ? '0 : f_beat + 1'b1;
    if (empty) f_beat <= '0;
    if (f_past && !empty && $past(m_valid && !m_ready && !empty)) begin
      assert (m_valid && $stable(m_data));
    end
  end
  wire [7:0] f_gone = 8'(BEATS) * 8'(4'(f_begun - f_out)) - 8'(f_beat);  // beats still to be taken
  always_comb begin
    if (!f_past) assume (rst);
    if (f_past) begin
      assert (32'(beat_q) < BEATS && 32'(f_beat) < BEATS && 32'(count_q) <= BEATS);
      assert (!sending_q || 32'(count_q) < BEATS);
      assert (f_gone == (sending_q ? 8'(BEATS) - 8'(count_q) : 8'd0) + 8'(f_pipe));
    end
  end

  if (LOOKS == 0) begin : g_f_in_order
    always_ff @(posedge clk) begin
      cover (f_past && f_out == 4'd2 && $past(m_valid && !m_ready));
      cover (f_past && g_in_order.held_q == COUNT_BITS'(SLOTS) && s_valid);
    end
    logic [3:0] f_in;  // frames that came in, modulo 16
    always_ff @(posedge clk) f_in <= empty ? '0 : f_in + 4'(last);
    always_comb begin
      if (f_past) begin
        assert (4'(f_in - f_begun) == 4'(g_in_order.waiting_q) + 4'(busy));
        assert (32'(g_in_order.held_q) <= SLOTS);
        assert (32'(g_in_order.held_q) == 32'(g_in_order.waiting_q) + 32'(busy) + 32'(sending_q) + 32'(begun));
        assert (32'(g_in_order.fill_q) < SLOTS && 32'(g_in_order.judge_q) < SLOTS && 32'(g_in_order.send_q) < SLOTS);
        assert (32'(g_in_order.judge_q) == (32'(g_in_order.send_q) + 32'(g_in_order.waiting_q)) % SLOTS);
        assert (32'(g_in_order.fill_q) == (32'(g_in_order.judge_q) + 32'(busy)) % SLOTS);
        assert (!sending_q || 32'(g_in_order.send_q) == (32'(slot_q) + 1) % SLOTS);
        assert (!(take && read) || g_in_order.fill_q != slot_q);
      end
    end
  end else begin : g_f_looks
    localparam logic [SLOTS-1:0] F_ONE = SLOTS'(1);
    // the queue as its contract has it, the next entry first
    localparam int F_ENTRY = 2 + WHO_BITS;
    logic [F_ENTRY-1:0] f_queue[SLOTS];
    logic [COUNT_BITS-1:0] f_count;
    wire f_push = g_looks.again || g_looks.enter;
    wire [F_ENTRY-1:0] f_entry = g_looks.again
        ? {g_looks.second, verdict_info[WHO_BITS-1:0]} : {2'd0, place, g_looks.new_slot_q};
    logic [SLOTS-1:0] f_wait;            // slots whose verdict is waited for
    logic [1:0] f_look[SLOTS];           // the look at each slot's frame that started last
    wire [SLOTS-1:0] f_sent = sending_q ? F_ONE << slot_q : '0;
    wire [SLOTS-1:0] f_in_queue[SLOTS];  // the slot of each entry
    wire [SLOTS-1:0] f_fine, f_another;  // of entries, of slots
    for (genvar i = 0; i < SLOTS; i++) begin : g_f_slot
      wire [F_ENTRY-1:0] queued = f_queue[i];
      wire [SLOT_BITS-1:0] slot = queued[SLOT_BITS-1:0];
      wire [1:0] look = queued[WHO_BITS +: 2];
      wire [LISTS*RULE_BITS-1:0] rules_there = chosen_q[slot];
      wire here = 32'(i) < 32'(f_count);
      assign f_in_queue[i] = here ? F_ONE << slot : '0;
      assign f_fine[i] = !here || (32'(slot) < SLOTS && 32'(look) <= LOOKS
          && (look != 2'd1 || rules_there[RULE_BITS +: RULE_BITS] != '0)
          && (look != 2'd2 || rules_there[LOOKS*RULE_BITS +: RULE_BITS] != '0));
      // another look is there for frames that wait, or are sent and may be sent again
      wire [LISTS*RULE_BITS-1:0] mine = chosen_q[i];
      assign f_another[i] = !(f_wait[i] || (f_sent[i] && g_looks.more_q))
          || (32'(f_look[i]) < LOOKS && (mine[LOOKS*RULE_BITS +: RULE_BITS] != '0
              || (f_look[i] == 2'd0 && mine[RULE_BITS +: RULE_BITS] != '0)));
      wire [F_ENTRY-1:0] next_queued = i + 1 < SLOTS ? f_queue[i + 1 < SLOTS ? i + 1 : 0] : f_entry;
      wire [COUNT_BITS-1:0] behind = f_count - COUNT_BITS'(start);
      always_ff @(posedge clk) begin
        if (f_push && behind == COUNT_BITS'(i)) f_queue[i] <= f_entry;
        else if (start) f_queue[i] <= next_queued;
        if (start && next_slot == SLOT_BITS'(i)) f_look[i] <= g_looks.next_look;
      end
    end
    logic [SLOTS-1:0] f_queued;
    always_comb begin
      f_queued = '0;
      for (int i = 0; i < SLOTS; i++) f_queued = f_queued | f_in_queue[i];
    end
    wire [SLOTS-1:0] f_filled = begun ? F_ONE << g_looks.fill_q : '0;
    wire [SLOTS-1:0] f_judged = busy ? F_ONE << g_looks.judge_q : '0;
    wire [SLOTS-1:0] f_new = g_looks.new_q ? F_ONE << g_looks.new_slot_q : '0;
    wire [SLOT_BITS-1:0] f_slot = verdict_info[SLOT_BITS-1:0];
    wire [1:0] verdict_look_now = verdict_info[WHO_BITS +: 2];
    always_ff @(posedge clk) begin
      f_count <= empty ? '0 : f_count + COUNT_BITS'(f_push) - COUNT_BITS'(start);
      f_wait  <= empty ? '0 : (f_wait | (last_read && g_looks.more_q ? F_ONE << slot_q : '0))
          & ~(verdict_valid ? F_ONE << f_slot : '0);
      cover (f_past && start && 32'(g_looks.next_look) == LOOKS);
      cover (f_past && g_looks.again && g_looks.new_q && place_free);
    end
    always_comb begin
      assume (g_looks.unused_queue_count == f_count);
      if (f_count != '0) assume (g_looks.entry == f_queue[0]);
      assume (32'(f_slot) < SLOTS);
      // a verdict is one of a look that was sent whole, and comes once
      if (verdict_valid) assume (f_wait[f_slot] && verdict_look_now == f_look[f_slot]);
      if (f_past) begin
        assert (g_looks.used_q == (f_filled | f_judged | f_new | f_queued | f_sent | f_wait));
        assert ($countones(g_looks.used_q) == 32'(begun) + 32'(busy) + 32'(g_looks.new_q)
            + 32'(f_count) + 32'(sending_q) + $countones(f_wait));
        assert (!(busy && g_looks.new_q));
        assert (f_fine == '1 && f_another == '1);
        assert (!begun || 32'(g_looks.fill_q) < SLOTS);
        assert (!busy || 32'(g_looks.judge_q) < SLOTS);
        assert (!g_looks.new_q || 32'(g_looks.new_slot_q) < SLOTS);
        assert (!sending_q || 32'(slot_q) < SLOTS);
        if (f_push) assert (g_looks.unused_queue_ready);
        if (take) assert (begun || !g_looks.used_q[fill]);
        if (take && read) assert (fill != slot_q);
        if (start && g_looks.next_look != 2'd0) assert (next_rule != '0);
        if (g_looks.enter) assert (g_looks.new_q && place_free && place_take);
        if (g_looks.enter) assert (!g_looks.again);
      end
    end
  end
