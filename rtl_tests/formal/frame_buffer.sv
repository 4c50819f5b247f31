// Properties of ex_frame_buffer: the words of kept frames, and only they, come out once and in
// order; a drop takes one cycle; the occupancy is what was written minus what was read or skipped.
// The words are numbers counted from 0 (modulo 2^WIDTH > DEPTH + FRAME); the buffer does not look
// at them.
  logic             f_past = 1'b0;
  logic [WIDTH-1:0] f_in;       // words written
  logic [WIDTH-1:0] f_read;     // number of the word that read_q points to
  logic [WIDTH-1:0] f_frame;    // number of the first word of the next frame to be decided
  logic [WIDTH-1:0] f_shown;    // number of the word in the output register
  logic [3:0]       f_kept, f_given;  // kept words read, and given, modulo 16
  logic             f_dropped;  // the last verdict dropped a frame that had not arrived
  wire signed [COUNT_BITS-1:0] f_count = count_q;

  always_ff @(posedge clk) begin
    f_past  <= 1'b1;
    f_in    <= rst ? '0 : f_in + WIDTH'(put);
    f_read  <= rst ? '0 : f_read + WIDTH'(get) + (skip ? WIDTH'(FRAME) : '0);
    f_frame <= rst ? '0 : f_frame + (verdict ? WIDTH'(FRAME) : '0);
    f_kept  <= rst ? '0 : f_kept + 4'(get);
    f_given <= rst ? '0 : f_given + 4'(m_valid && m_ready);
    if (get) f_shown <= f_read;
    if (rst) f_dropped <= 1'b0;
    else if (skip && f_count < $signed(COUNT_BITS'(FRAME))) f_dropped <= 1'b1;
    if (f_past && !rst && $past(m_valid && !m_ready && !rst)) begin
      assert (m_valid && $stable(m_data));
    end
    // a verdict is taken at once while nothing is forwarded and nothing is owed
    if (f_past && !rst && !$past(rst) && left_q == '0 && f_count >= 0) assert (decide_ready);
    cover (f_past && f_given == 4'(2 * FRAME) && f_dropped && f_count == 0);
    cover (f_past && f_count == -$signed(COUNT_BITS'(FRAME)));
    cover (f_past && !s_ready && f_given != 0);
  end

  always_comb begin
    if (!f_past) assume (rst);
    assume (s_data == f_in);
    if (f_past) begin
      assert (f_count <= $signed(COUNT_BITS'(DEPTH)));
      assert (f_count >= -$signed(COUNT_BITS'(FRAME)));
      assert ($signed(WIDTH'(f_in - f_read)) == f_count);
      assert (left_q <= FRAME);
      assert (read_q < DEPTH && write_q < DEPTH);
      assert (write_q == (32'(read_q) + 32'(2 * DEPTH) + 32'(f_count)) % DEPTH);
      // the next word to read belongs to the frame that was kept last, at its place
      if (left_q != '0) begin
        assert (f_read == f_frame - WIDTH'(left_q));
        assert (f_count >= 0);
      end else begin
        assert (f_read == f_frame);
      end
      if (m_valid) assert (m_data == f_shown);
      assert (f_kept == f_given + 4'(word_valid_q));
      if (m_valid && left_q != '0 && left_q != FRAME) assert (f_shown == f_read - WIDTH'(1));
    end
  end
  for (genvar i = 0; i < DEPTH; i++) begin : g_f_word
    wire [COUNT_BITS-1:0] place = COUNT_BITS'(i) - COUNT_BITS'(read_q)
        + (i < read_q ? COUNT_BITS'(DEPTH) : '0);
    always_comb begin
      if (f_past && f_count > 0 && place < count_q) assert (memory[i] == f_read + WIDTH'(place));
    end
  end
