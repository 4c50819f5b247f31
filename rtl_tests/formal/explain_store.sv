// Properties of ex_explain_store: of any one word of any one slot a read gives in the next cycle what
// was written last, whatever else is written and read, and it stays until the next read.
  logic f_past = 1'b0;
  (* anyconst *) wire [6:0] f_slot, f_word;
  logic             f_known = 1'b0;   // that word has been written
  logic [WIDTH-1:0] f_value;
  logic             f_shown = 1'b0;   // it was the one read last
  logic [WIDTH-1:0] f_read;
  wire f_write = w_valid && 7'(w_slot) == f_slot && 7'(w_address) == f_word / 7'(WIDE);
  wire f_take = r_valid && 7'(r_slot) == f_slot && 7'(r_address) == f_word;
  wire [DW-1:0] f_at = DW'(f_word / 7'(WIDE) * 7'(SLOTS) + f_slot);
  always_ff @(posedge clk) begin
    f_past <= 1'b1;
    if (f_write) begin
      f_known <= 1'b1;
      f_value <= w_data[f_word % 7'(WIDE) * WIDTH +: WIDTH];
    end
    if (r_valid) begin
      f_shown <= f_take && f_known && !f_write;
      f_read  <= f_value;
    end
    cover (f_past && f_shown && r_data == '1 && f_value != f_read);
  end
  always_comb begin
    assume (32'(f_slot) < SLOTS && 32'(f_word) < WORDS);
    assume (32'(w_slot) < SLOTS && 32'(w_address) < ROWS);
    assume (32'(r_slot) < SLOTS && 32'(r_address) < WORDS);
    if (f_shown) assert (r_data == f_read);
  end
  for (genvar k = 0; k < WIDE; k++) begin : g_f_bank
    always_comb begin
      if (f_known && f_word % 7'(WIDE) == 7'(k)) assert (g_bank[k].g_small.memory[f_at] == f_value);
    end
  end
