// ex_explain_choose: which frames are explained, and the requests for them to the engine.
//
// Ids count frames from 0 as they enter, as in ex_tag. want, beside enter: this frame is to have a
// slot: it is its turn (every: 0 none, 1 all, n the first behind a reset and one in n from there),
// or its id was asked for. ask: ask_id will be explained when it enters; there are ASKED places for
// such ids, and with all of them taken the one that was asked for longest ago is forgotten. An id
// that has entered, or does in this cycle, comes too late and is not noted. forget: all are
// forgotten, ahead of an ask in the same cycle.
// explain[e], for the frame with slot left_slot[e] that leaves at exit e in this cycle: not if it is
// silent; always if it was asked for; else if score < below[e], signed; 7fffffff = any score,
// 80000000 = none: every = 1 and below choose by exit and by score, and what is not chosen has
// had a slot up to here. below is read when the frame leaves, method when it enters.
// m = {id, class, exit, method, slot} of each frame that left with its slot. All that leave in one
// cycle go into the queue in that cycle, the later exit, whose frame is the older one, in front;
// the first is offered in the next cycle, one a cycle. Only frames with a slot are in the queue, so
// its places, SLOTS or more, suffice whatever m_ready does, and nobody ever waits for this block.
// On stall m holds. explained counts requests taken, missed frames wanted for which there was no slot,
// unmet ids asked for that were too late or forgotten. Reset: no ids, no requests, counts 0.
//
// Wired to: enter = ev_accept of ex_tag; want, kept, kept_slot, explain, left, left_slot = want,
// pass_kept[0], pass_slot of segment 0, explain, left, left_slot of ex_explain_slots; silent, classes,
// scores = m_silent, m_class, m_score of each ex_decide; m = s of ex_explain; rst = core_rst.
`default_nettype none

module ex_explain_choose #(
    parameter int SLOTS      = 2,   // frames whose context is kept
    parameter int EXITS      = 2,
    parameter int ASKED      = 4,   // ids that are asked for and yet to come
    parameter int CLASS_BITS = 16,  // bits of a class
    localparam int SW        = SLOTS > 1 ? $clog2(SLOTS) : 1
) (
    input  wire                clk,
    input  wire                rst,
    input  wire [15:0]         every,
    input  wire [EXITS*32-1:0] below,
    input  wire [3:0]          method,
    input  wire                ask,
    input  wire [31:0]         ask_id,
    input  wire                forget,
    input  wire                enter,
    output wire                want,
    input  wire                kept,       // it gets a slot
    input  wire [SW-1:0]       kept_slot,
    input  wire [EXITS-1:0]    silent,
    input  wire [EXITS*16-1:0] classes,
    input  wire [EXITS*32-1:0] scores,
    output wire [EXITS-1:0]    explain,
    input  wire [EXITS-1:0]    left,
    input  wire [EXITS*SW-1:0] left_slot,
    output wire                m_valid,
    input  wire                m_ready,
    output wire [31:0]         m_id,
    output wire [15:0]         m_class,
    output wire [7:0]          m_exit,
    output wire [3:0]          m_method,
    output wire [SW-1:0]       m_slot,
    output wire [31:0]         explained,
    output wire [31:0]         missed,
    output wire [31:0]         unmet
);
  localparam int PLACES = 1 << SW;  // of the queue
  localparam int EW = EXITS > 1 ? $clog2(EXITS) : 1;
  localparam int QW = EW + CLASS_BITS + SW;
  localparam int UW = $clog2(ASKED + 2);
  localparam logic [31:0] ANY = 32'h7fff_ffff;

  if (SLOTS < 1 || ASKED < 1) begin : g_bad_size
    $error("ex_explain_choose: SLOTS and ASKED must be at least 1, are %0d and %0d", SLOTS, ASKED);
  end
  if (EXITS < 1 || EXITS > 256) begin : g_bad_exits
    $error("ex_explain_choose: EXITS must be 1 to 256, is %0d", EXITS);
  end
  if (CLASS_BITS < 1 || CLASS_BITS > 16) begin : g_bad_class
    $error("ex_explain_choose: CLASS_BITS must be 1 to 16, is %0d", CLASS_BITS);
  end

  // ---------------------------------------------------------------- frames that enter
  logic [31:0]         id_q;     // of the next frame
  logic [15:0]         since_q;  // frames since the last one whose turn it was
  logic [ASKED*32-1:0] ids_q;    // that are asked for: the last one lowest
  logic [ASKED-1:0]    noted_q;

  wire turn = every != '0 && since_q >= every - 16'd1;
  wire [ASKED-1:0] hit;
  for (genvar i = 0; i < ASKED; i++) begin : g_hit
    assign hit[i] = noted_q[i] && ids_q[i*32 +: 32] == id_q;
  end
  wire asked = hit != '0;
  assign want = turn || asked;

  wire [31:0] ahead = ask_id - id_q;
  wire late = ahead[31] || (enter && ahead == '0);
  wire note = ask && !late;
  wire [ASKED-1:0] open = noted_q & ~(enter ? hit : '0);  // yet to come
  wire [ASKED-1:0] stay = forget ? '0 : open;
  logic [UW-1:0] lost;
  always_comb begin
    lost = UW'((ask && late) || (note && stay == '1));
    for (int i = 0; i < ASKED; i++) lost = lost + UW'(forget && open[i]);
  end

  // up to the first free place all move on by one
  wire [ASKED:0] moves;
  assign moves[0] = note;
  for (genvar i = 0; i < ASKED; i++) begin : g_note
    assign moves[i+1] = moves[i] && stay[i];
    always_ff @(posedge clk) begin
      noted_q[i] <= !rst && (moves[i] || stay[i]);
    end
    if (i == 0) begin : g_new
      always_ff @(posedge clk) if (moves[0]) ids_q[31:0] <= ask_id;
    end else begin : g_older
      always_ff @(posedge clk) if (moves[i]) ids_q[i*32 +: 32] <= ids_q[(i-1)*32 +: 32];
    end
  end
  wire unused_moves = moves[ASKED];

  // ---------------------------------------------------------------- frames that leave
  logic [35:0]       frames[PLACES];  // of each slot {method, id}
  logic [PLACES-1:0] asked_q;
  for (genvar e = 0; e < EXITS; e++) begin : g_exit
    wire [31:0] limit = below[e*32 +: 32];
    wire low = limit == ANY || $signed(scores[e*32 +: 32]) < $signed(limit);
    assign explain[e] = !silent[e] && (low || asked_q[left_slot[e*SW +: SW]]);
  end

  wire unused_classes = &{1'b0, classes};

  logic [PLACES*QW-1:0] queue_q;  // {exit, class, slot}
  logic [SW:0]          write_q, read_q, next;
  logic [EXITS*SW-1:0]  at;       // the place of what leaves at each exit
  always_comb begin
    next = write_q;
    at   = '0;
    for (int e = EXITS - 1; e >= 0; e--) begin
      at[e*SW +: SW] = next[SW-1:0];
      next = next + (SW + 1)'(left[e]);
    end
  end

  wire take = m_valid && m_ready;
  assign m_valid = write_q != read_q;
  wire [QW-1:0] front = queue_q[32'(read_q[SW-1:0])*QW +: QW];
  assign m_slot = front[SW-1:0];
  assign m_class = 16'(front[SW +: CLASS_BITS]);
  assign m_exit = 8'(front[SW + CLASS_BITS +: EW]);
  assign {m_method, m_id} = frames[m_slot];

  logic [31:0] explained_q, missed_q, unmet_q;
  assign explained = explained_q;
  assign missed = missed_q;
  assign unmet = unmet_q;

  always_ff @(posedge clk) begin
    if (enter) begin
      id_q    <= id_q + 1'b1;
      since_q <= turn ? '0 : since_q + 16'(since_q != '1);
    end
    if (enter && kept) begin
      frames[kept_slot]  <= {method, id_q};
      asked_q[kept_slot] <= asked;
    end
    for (int i = 0; i < PLACES; i++) begin
      for (int e = 0; e < EXITS; e++) begin
        if (left[e] && at[e*SW +: SW] == SW'(i)) begin
          queue_q[i*QW +: QW] <= {EW'(e), classes[e*16 +: CLASS_BITS], left_slot[e*SW +: SW]};
        end
      end
    end
    write_q     <= next;
    read_q      <= read_q + (SW + 1)'(take);
    explained_q <= explained_q + 32'(take);
    missed_q    <= missed_q + 32'(enter && want && !kept);
    unmet_q     <= unmet_q + 32'(lost);
    if (rst) begin
      id_q        <= '0;
      since_q     <= '1;
      write_q     <= '0;
      read_q      <= '0;
      explained_q <= '0;
      missed_q    <= '0;
      unmet_q     <= '0;
    end
  end
endmodule

`default_nettype wire
