// Properties of ex_explain_choose: the request stream keeps its contract; a frame that left with its
// slot is in the queue once, in its order, and leaves it once, as {id, class, exit, method, slot} of
// just that frame; what is asked for is noted, explained or counted as unmet, each id once, and what
// is noted is yet to come. The environment: a slot that is given is free, a frame that leaves has
// one, no two the same, and the engine frees what it has taken.
  logic        f_past = 1'b0;
  (* anyconst *) wire [SW-1:0] f_slot;
  (* anyseq *)   wire [PLACES-1:0] f_free;      // the engine frees these
  logic [PLACES-1:0] f_inside, f_queued, f_engine;
  logic [31:0] f_id;                            // frames that have entered
  logic [31:0] f_its;                           // of the frame with f_slot
  logic [3:0]  f_method;
  logic [7:0]  f_exit;
  logic [CLASS_BITS-1:0] f_class;
  logic        f_asked;
  logic [SW:0] f_ahead;                         // requests in front of its own
  logic [7:0]  f_asks, f_met;                   // ids asked for, places that were met, modulo 256
  wire [PLACES-1:0] f_given = enter && kept ? PLACES'(1) << kept_slot : '0;
  wire [PLACES-1:0] f_taken = take ? PLACES'(1) << m_slot : '0;
  logic [PLACES-1:0] f_left;
  logic [SW:0] f_older;                         // those that leave in this cycle and go in front
  logic [7:0] f_hits, f_notes;
  wire [SW:0] f_count = write_q - read_q;

  always_comb begin
    f_left = '0;
    for (int e = 0; e < EXITS; e++) begin
      if (left[e]) begin
        assume (f_inside[left_slot[e*SW +: SW]] && !f_left[left_slot[e*SW +: SW]]);
        f_left[left_slot[e*SW +: SW]] = 1'b1;
      end
    end
    f_older = '0;
    for (int e = 0; e < EXITS; e++) begin
      if (left[e] && left_slot[e*SW +: SW] == f_slot) f_older = '0;
      else if (left[e]) f_older = f_older + 1'b1;
    end
    f_hits = '0;
    f_notes = '0;
    for (int i = 0; i < ASKED; i++) begin
      f_hits = f_hits + 8'(enter && hit[i]);
      f_notes = f_notes + 8'(noted_q[i]);
    end
  end

  always_ff @(posedge clk) begin
    f_past   <= 1'b1;
    f_inside <= rst ? '0 : (f_inside | f_given) & ~f_left;
    f_queued <= rst ? '0 : (f_queued | f_left) & ~f_taken;
    f_engine <= rst ? '0 : (f_engine | f_taken) & ~f_free;
    f_id     <= rst ? '0 : f_id + 32'(enter);
    f_asks   <= rst ? '0 : f_asks + 8'(ask);
    f_met    <= rst ? '0 : f_met + f_hits;
    if (f_given[f_slot]) begin
      f_its    <= f_id;
      f_method <= method;
      f_asked  <= asked;
    end
    if (f_queued[f_slot]) f_ahead <= f_ahead - (SW + 1)'(take);
    if (f_left[f_slot]) begin
      f_ahead <= f_count - (SW + 1)'(take) + f_older;
      for (int e = 0; e < EXITS; e++) begin
        if (left[e] && left_slot[e*SW +: SW] == f_slot) begin
          f_exit  <= 8'(e);
          f_class <= classes[e*16 +: CLASS_BITS];
        end
      end
    end
    if (f_past && !rst && $past(!rst)) begin
      if ($past(m_valid && !m_ready)) begin
        assert (m_valid && $stable(m_id) && $stable(m_class) && $stable(m_exit));
        assert ($stable(m_method) && $stable(m_slot));
      end
      if ($past(note)) assert (noted_q[0] && ids_q[31:0] == $past(ask_id));
    end
    if (f_past && !rst && $past(rst)) assert (!m_valid && noted_q == '0);
    cover (f_past && 32'(f_count) == SLOTS && take);
    cover (f_past && (EXITS == 1 || $past(left == '1)) && m_valid && m_slot == f_slot && f_asked);
    cover (f_past && explained != '0 && missed != '0 && unmet != '0 && f_met != '0);
  end

  always_comb begin
    if (!f_past) assume (rst);
    assume (!kept || (want && 32'(kept_slot) < SLOTS));
    assume (32'(f_slot) < SLOTS);
    if (enter && kept) assume (!f_inside[kept_slot] && !f_queued[kept_slot] && !f_engine[kept_slot]);
    assume ((f_free & ~f_engine) == '0);
    if (f_past) begin
      for (int s = 0; s < PLACES; s++) begin
        assert (s < SLOTS || (!f_inside[s] && !f_queued[s] && !f_engine[s]));
        assert (32'(f_inside[s]) + 32'(f_queued[s]) + 32'(f_engine[s]) <= 1);
      end
      assert (id_q == f_id);
      assert (8'(f_asks - f_met - unmet_q[7:0]) == f_notes);
      if (f_queued[f_slot] || f_inside[f_slot]) assert (frames[f_slot] == {f_method, f_its});
      if (f_inside[f_slot]) assert (asked_q[f_slot] == f_asked);
      if (m_valid) assert (f_queued[m_slot]);
      if (m_valid && m_slot == f_slot) begin
        assert (m_id == f_its && m_method == f_method && m_exit == f_exit);
        assert (m_class == 16'(f_class));
      end
      if (!m_valid) assert (f_queued == '0);
      if (f_queued[f_slot]) begin
        assert (f_ahead < f_count && (m_slot == f_slot) == (f_ahead == '0));
      end
      for (int e = 0; e < EXITS; e++) begin
        if (left_slot[e*SW +: SW] == f_slot && f_inside[f_slot]) begin
          assert (explain[e] == (!silent[e] && (f_asked || below[e*32 +: 32] == 32'h7fff_ffff
              || $signed(scores[e*32 +: 32]) < $signed(below[e*32 +: 32]))));
        end
      end
      if (every == 16'd1) assert (want);
      if (every == '0) assert (want == (hit != '0));
    end
  end
  // who is in the queue: each once
  logic [3:0] f_requests[PLACES];
  always_comb begin
    for (int s = 0; s < PLACES; s++) begin
      f_requests[s] = '0;
      for (int i = 0; i < PLACES; i++) begin
        if (i < 32'(f_count) && queue_q[32'(SW'(read_q[SW-1:0] + SW'(i)))*QW +: SW] == SW'(s)) begin
          f_requests[s] = f_requests[s] + 1'b1;
        end
      end
      if (f_past) assert (f_requests[s] == 4'(f_queued[s]));
    end
    if (f_past) assert (32'(f_count) <= SLOTS);
  end
  for (genvar i = 0; i < PLACES; i++) begin : g_f_place
    wire [SW-1:0] where = read_q[SW-1:0] + SW'(i);
    wire [QW-1:0] word = queue_q[32'(where)*QW +: QW];
    always_comb begin
      if (f_past && f_queued[f_slot] && 32'(f_ahead) == i) assert (word[SW-1:0] == f_slot);
      if (f_past && i < 32'(f_count) && word[SW-1:0] == f_slot) begin
        assert (word[SW +: CLASS_BITS] == f_class && 8'(word[SW + CLASS_BITS +: EW]) == f_exit);
      end
    end
  end
  for (genvar i = 0; i < ASKED; i++) begin : g_f_asked
    wire [31:0] f_ahead = ids_q[i*32 +: 32] - id_q;
    always_comb if (f_past && noted_q[i]) assert (!f_ahead[31]);
  end
