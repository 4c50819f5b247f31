// Properties of ex_explain_tap: a word of any one frame is written to the slot that was told of it,
// and not at all if it has none. The environment: at most IN_FLIGHT + 1 frames are told of and have
// not passed whole; of ex_explain_gather is taken for granted that the words of a frame come when
// it was told of, which follows from its own proof where beats do.
  localparam int F = FW + 2;
  logic f_past = 1'b0;
  (* anyconst *) wire [F-1:0] f_frame;   // any one frame, counted modulo 2^F
  logic [F-1:0]  f_told, f_passed;       // frames told of, and written whole
  logic          f_kept;
  logic [SW-1:0] f_slot;
  wire [F-1:0] f_waiting = f_told - f_passed;
  wire f_live = F'(f_frame - f_passed) < f_waiting;

  always_ff @(posedge clk) begin
    f_past   <= 1'b1;
    f_told   <= rst ? '0 : f_told + F'(pass);
    f_passed <= rst ? '0 : f_passed + F'(w_valid && w_last);
    if (pass && f_told == f_frame) {f_kept, f_slot} <= {pass_kept, pass_slot};
    cover (f_past && f_live && f_frame == F'(1) && w_valid && w_last && kept && slot == '1);
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (pass) assume (32'(f_waiting) <= IN_FLIGHT);
    if (f_past && w_valid) assume (f_waiting != '0);
    if (f_past) begin
      assert (32'(f_waiting) <= IN_FLIGHT + 1);
      assert (told_q == FW'(f_told) && passed_q == FW'(f_passed));
      if (f_live) assert (frames[FW'(f_frame)] == {f_kept, f_slot});
      if (w_valid && f_passed == f_frame) assert (kept == f_kept && slot == f_slot);
    end
  end
