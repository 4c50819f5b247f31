// Properties of ex_map_ring: a piece that is stored is kept, whole, until the host is said to have it,
// whatever else is stored meanwhile; what is read of it is what was stored. Numbers follow one
// another; those known are the ones kept and the next one. A full ring takes no word.
  logic f_past = 1'b0;
  (* anyconst *) wire [7:0] f_number;
  (* anyconst *) wire [1:0] f_word;
  logic [31:0] f_value;   // of that word of the piece with that number, in this life
  logic        f_end;
  logic [7:0]  f_current; // number of the current piece
  logic        f_there = 1'b0;  // it is kept
  logic        f_shown = 1'b0;  // that word was read in the cycle before, while it was kept
  wire f_gone = rst || hello || flush;
  wire f_kept = 8'(f_number - kept_q) < count;
  wire f_begun = f_number == write_q && !full && word_q > f_word;  // stored already, of half a piece
  wire f_looks = f_there && f_current == f_number && m_index[3:2] == f_word;
  wire [7:0] f_sent = send_q - kept_q;
  wire [PW+1:0] f_place = {f_number[PW-1:0], f_word};

  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    if (put && write_q == f_number && word_q == f_word) f_value <= fill_q ? '0 : s_data;
    if (store && write_q == f_number) f_end <= last;
    if (take) f_current <= send_q;
    f_there <= !f_gone && (take || f_there) && !(pass && 8'(seq - kept_q) >
               8'((take ? send_q : f_current) - kept_q));
    f_shown <= f_looks && !f_gone;
    if (f_past && !rst && $past(f_gone)) assert (!m_valid && m_seq == '0 && !fill_q);
    if (f_past && !$past(f_gone)) begin
      if ($past(m_valid && !take && !(pass && (again || ahead > f_sent)))) assert (m_valid && $stable(m_seq));
      if ($past(take && !(pass && (again || ahead > f_sent)))) assert (m_seq == $past(m_seq) + 8'd1);
      if ($past(pass && again)) assert (m_seq == $past(seq));
      assert (write_q == $past(write_q) || write_q == $past(write_q) + 8'd1);
      if ($past(pass)) assert (kept_q == $past(seq));
      else assert ($stable(kept_q));
      // a word counts once it is taken, and no other
      if (!$past(fill_q)) begin
        assert (({write_q, word_q} == $past({write_q, word_q}) + 10'd1) == $past(s_valid && s_ready));
      end
    end
    cover (f_past && full && fill_q == 1'b0 && m_valid);
    cover (f_past && f_shown && f_value[7:0] == 8'h5a && f_end);
    cover (f_past && $past(pass && again && seq != send_q) && m_valid);
    cover (f_past && $past(pass && !again && ahead > f_sent));
  end
  always_comb begin
    if (!f_past) assume (rst);
    assume (!(take && !m_valid));
    assume (!(again && !taken));
    if (f_past) begin
      assert (count <= 8'(PIECES) && f_sent <= count);
      assert (known == (8'(seq - kept_q) <= count));
      if (flush) assert (s_ready);
      if (full && !flush) assert (!s_ready);
      if (full) assert (word_q == '0 && !fill_q);
      if (fill_q) assert (word_q != '0);
      if (f_kept || f_begun) assert (memory[f_place] == f_value);
      if (f_kept) assert (ends[f_number[PW-1:0]] == f_end);
      if (f_there) begin
        assert (8'(f_current - kept_q) < count);
        assert (current_q == f_current[PW-1:0]);
      end
      if (f_there && f_current == f_number) assert (m_end == f_end);
      if (f_shown) assert (data_q == f_value || !f_kept);
    end
  end
