// Properties of ex_link: with `expected` as its header says, an IMAGE or WRITE has its effect exactly
// when it bears that number, after a HELLO, with room; and then once. Each packet taken has at most
// one answer, of its kind and number; an answer stays until taken; NAKs are held back after one. AGAIN
// goes to the ring only after a HELLO, and is refused if unknown; so do TAKEN and MAPS to the other one.
// flush follows a soft reset alone.
// The environment: packets at most every 8th cycle.
  logic       f_past = 1'b0;
  logic [2:0] f_gap;        // cycles in which no packet may come
  logic       f_open;       // there was a HELLO
  logic [7:0] f_next;       // the number after the last one accepted, or after HELLO's
  logic       f_naked;      // a NAK was sent, and nothing was accepted or answered otherwise since
  logic [3:0] f_due, f_given;  // answers owed and given, modulo 16
  wire f_busy = valid_q || read_q != '0;
  wire f_take = p_valid && !f_busy;
  wire f_good = f_take && p_reason == GOOD;
  wire f_hit = f_good && (p_kind == IMAGE || p_kind == WRITE) && f_open && p_seq == f_next
      && (p_kind == WRITE || store_whole);
  wire f_old = f_good && (p_kind == IMAGE || p_kind == WRITE) && f_open
      && 8'(f_next - p_seq - 8'd1) < 8'd128;
  wire f_greets = f_good && p_kind == HELLO;
  wire f_reads = f_good && p_kind == READ;
  wire f_agains = f_good && f_open && (p_kind == AGAIN && known || p_kind > AGAIN && map_known);
  wire f_room = f_good && p_kind == IMAGE && f_open && p_seq == f_next && !store_whole;
  wire f_nak = f_take && !f_hit && !f_old && !f_greets && !f_reads && !f_agains;
  wire f_told = f_take && !f_agains && !(f_nak && f_naked && !f_room);

  always_ff @(posedge clk) begin
    f_past  <= 1'b1;
    f_gap   <= rst ? '0 : p_valid ? 3'd7 : f_gap == '0 ? '0 : f_gap - 3'd1;
    f_open  <= !rst && (f_open || f_greets);
    f_next  <= rst ? '0 : f_greets ? p_seq + 8'd1 : f_next + 8'(f_hit);
    f_naked <= !rst && (f_take && !f_agains ? f_nak : f_naked);
    f_due   <= rst ? '0 : f_due + 4'(f_told);
    f_given <= rst ? '0 : f_given + 4'(a_valid && a_ready);
    if (f_past && !rst && $past(!rst)) begin
      if ($past(a_valid && !a_ready)) begin
        assert (a_valid && $stable(a_kind) && $stable(a_seq) && $stable(a_body));
      end
      assert (store_commit == $past(f_hit && p_kind == IMAGE));
      assert (write_q == $past(f_hit && p_kind == WRITE));
      if (reg_write) begin
        assert (reg_wdata == $past(p_wdata) && reg_address == $past(p_address[ADDRESS_BITS-1:0]));
        assert ($past(32'(p_address) < (1 << ADDRESS_BITS)));
      end
      if (write_q && !reg_write) assert ($past(32'(p_address) >= (1 << ADDRESS_BITS)));
      if ($past(f_take && !f_reads)) begin
        assert (a_valid == $past(f_told));
        if (a_valid) begin
          assert (a_kind == $past(f_nak ? A_NAK : f_greets ? A_HELLO : A_ACK));
          assert (a_seq == $past(f_nak ? f_next : p_seq));
          if (a_kind == A_HELLO) assert (a_body[7:0] == $past(next));
        end
      end
      if ($past(f_nak && f_told && f_good)) begin
        assert (a_body[3:0] == $past(p_kind > AGAIN && f_open ? NO_MAP
                                     : p_kind == AGAIN && f_open ? NO_RESULT
                                     : !f_open ? NO_HELLO : f_room ? ROOM : ORDER));
      end
      if ($past(f_nak && f_told && !f_good)) assert (a_body[3:0] == $past(p_reason));
      if ($past(read_q[2])) begin
        assert (a_valid && a_kind == A_DATA && a_body[15:0] == address_q);
        assert (a_body[47:16] == $past(32'(address_q) < (1 << ADDRESS_BITS) ? reg_rdata : 32'd0));
      end
      if (flush && !$past(flush)) begin
        assert ($past(reg_write && reg_address == A_CONTROL[ADDRESS_BITS-1:0] && reg_wdata[0]));
      end
      if ($past(reg_write && address_q == A_CONTROL && reg_wdata[0])) assert (flush);
    end
    if (f_past && !rst && $past(rst)) assert (!a_valid && !flush && !reg_write && !store_commit);
    cover (f_past && f_hit && p_kind == IMAGE && f_given == 4'd2);
    cover (f_past && a_valid && a_kind == A_DATA);
    cover (f_past && flush && a_valid);
    cover (f_past && again && known);
    cover (f_past && map_taken && map_known && !map_again);
    cover (f_past && a_valid && a_kind == A_NAK && a_body[3:0] == NO_MAP);
    cover (f_past && a_valid && a_kind == A_NAK && a_body[3:0] == NO_RESULT);
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (f_gap != '0) assume (!p_valid);
    if (p_valid && p_reason == GOOD) assume (p_kind >= IMAGE);
    if (p_valid) assume (p_reason != ORDER && p_reason != ROOM);
    if (f_past) begin
      assert (open_q == f_open);
      if (f_open) assert (expected_q == f_next);
      if (!f_open) assert (expected_q == '0 && f_next == '0);
      assert (held_q == f_naked);
      assert (f_due == f_given + 4'(valid_q) + 4'(read_q != '0));
      assert (hello == f_greets);
      assert (again == (f_good && p_kind == AGAIN && f_open));
      assert (map_taken == (f_good && p_kind > AGAIN && f_open));
      assert (map_again == (map_taken && p_kind == MAPS));
      assert (again_seq == p_seq || !(again || map_taken));
      assert ((read_q & (read_q - 3'd1)) == '0);
      if (read_q != '0) assert (!valid_q && kind_q == A_DATA);
      if (read_q[0]) assert (f_gap == 3'd7);
      if (read_q[1]) assert (f_gap == 3'd6);
      if (read_q[2]) assert (f_gap == 3'd5);
      if (write_q || commit_q) assert (f_gap == 3'd7);
      assert (32'(flush_q) <= FLUSH);
    end
  end
