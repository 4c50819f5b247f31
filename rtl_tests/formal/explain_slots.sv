// Properties of ex_explain_slots: a slot is used by exactly one frame, which is inside or with the
// engine, and by none when it is free; any one frame leaves with the slot that it entered with, and
// whoever goes before it at an exit has entered before it. The environment: at most IN_FLIGHT frames
// are inside, an exit decides frames that are there, the last one takes all, and the engine frees
// what it has.
  localparam int F = IW + 1;
  logic f_past = 1'b0;
  (* anyconst *) wire [SW-1:0] f_slot;
  (* anyseq *)   wire f_choose;
  logic              f_engine;          // the engine has that slot
  logic [EXITS*F-1:0] f_count;          // frames that are in each segment and not decided
  logic              f_watch;           // one frame is watched
  logic [F-1:0]      f_at, f_ahead;     // its segment, frames ahead of it there
  logic              f_kept;
  logic [SW-1:0]     f_its;             // its slot
  wire [F-1:0] f_next = f_count[(32'(f_at) + 1 < EXITS ? 32'(f_at) + 1 : 0)*F +: F];
  wire f_goes = decide[f_at] && f_ahead == '0;

  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    for (int e = 0; e < EXITS; e++) begin
      f_count[e*F +: F] <= f_count[e*F +: F] + F'(pass[e]) - F'(decide[e]);
      if (left[e] && left_slot[e*SW +: SW] == f_slot) f_engine <= 1'b1;
    end
    if (free && free_slot == f_slot) f_engine <= 1'b0;
    if (!f_watch && enter && f_choose) begin
      f_watch <= 1'b1;
      f_at    <= '0;
      f_ahead <= f_count[F-1:0] - F'(decide[0]);
      f_kept  <= pass_kept[0];
      f_its   <= pass_slot[SW-1:0];
    end
    if (f_watch && decide[f_at]) begin
      if (f_ahead != '0) f_ahead <= f_ahead - 1'b1;
      else if (take[f_at]) f_watch <= 1'b0;
      else begin
        f_at    <= f_at + 1'b1;
        f_ahead <= f_next - F'(decide[(32'(f_at) + 1 < EXITS ? 32'(f_at) + 1 : 0)]);
      end
    end
    if (rst) begin
      f_count  <= '0;
      f_engine <= 1'b0;
      f_watch  <= 1'b0;
    end
    cover (f_past && used_q == '1 && ev_missed);
    cover (f_past && f_watch && f_at == F'(EXITS - 1) && f_goes && left[f_at] && f_ahead == '0);
    cover (f_past && used_q == '0 && $past(used_q == '1, 2));
  end

  logic [F+3:0] f_total;
  always_comb begin
    f_total = '0;
    for (int e = 0; e < EXITS; e++) f_total = f_total + (F + 4)'(f_count[e*F +: F]);
    if (!f_past) assume (rst);
    assume (32'(f_slot) < SLOTS && 32'(free_slot) < SLOTS);
    if (enter) assume (32'(f_total) < IN_FLIGHT);
    for (int e = 0; e < EXITS; e++) if (decide[e]) assume (f_count[e*F +: F] != '0);
    assume (take[EXITS-1]);
    if (free && free_slot == f_slot) assume (f_engine);
    if (f_past) begin
      assert (32'(f_total) <= IN_FLIGHT);
      if (pass[0] && pass_kept[0]) assert (!used_q[pass_slot[SW-1:0]] && 32'(lowest) < SLOTS);
      assert (ev_missed == (enter && want && used_q == '1));
      if (f_watch) assert (32'(f_at) < EXITS && f_ahead < f_count[f_at*F +: F]);
      if (f_watch && f_goes) begin
        if (take[f_at]) begin
          assert (left[f_at] == (f_kept && explain[f_at]));
          if (left[f_at]) assert (left_slot[f_at*SW +: SW] == f_its);
        end else begin
          assert (pass[f_at+1] && pass_kept[f_at+1] == f_kept);
          if (f_kept) assert (pass_slot[(f_at+1)*SW +: SW] == f_its);
        end
      end
    end
  end
  // who has that slot
  wire [EXITS*IN_FLIGHT-1:0] f_has;
  for (genvar e = 0; e < EXITS; e++) begin : g_f_exit
    wire [F-1:0] count = f_count[e*F +: F];
    always_comb begin
      if (f_past) begin
        assert (32'(count) <= IN_FLIGHT);
        assert (g_exit[e].write_q == IW'(g_exit[e].read_q + IW'(count)));
      end
    end
    for (genvar i = 0; i < IN_FLIGHT; i++) begin : g_f_frame
      wire [IW-1:0] at = g_exit[e].read_q + IW'(i);
      wire [SW:0] word = g_exit[e].order[at];
      assign f_has[e*IN_FLIGHT + i] = 32'(i) < 32'(count) && word == {1'b1, f_slot};
      always_comb begin
        if (f_past && i < 32'(count) && f_watch && 32'(f_at) == e && 32'(f_ahead) == i) begin
          assert (word[SW] == f_kept && (!f_kept || word[SW-1:0] == f_its));
        end
      end
    end
  end
  logic [7:0] f_holders;
  always_comb begin
    f_holders = 8'(f_engine);
    for (int k = 0; k < EXITS * IN_FLIGHT; k++) f_holders = f_holders + 8'(f_has[k]);
    if (f_past) assert (f_holders == 8'(used_q[f_slot]));
  end
