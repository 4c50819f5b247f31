// Properties of ex_axil: the AXI4-Lite contract of all channels (responses stay until taken, ready is
// low in reset, no response without its access), and every access reaches the bus exactly once with
// its own address and data: a write before its response, a read with what reg_rdata showed then.
// The master keeps its side: what is on offer stays until taken, except over a reset.
  logic       f_past = 1'b0;
  logic [3:0] f_aw, f_w, f_b, f_ar, f_r;  // transfers since the reset, modulo 16
  logic [3:0] f_writes, f_reads;          // accesses done on the bus, refused writes among them
  logic [ADDRESS_BITS-1:0] f_waddr, f_raddr;
  logic [31:0] f_wdata, f_rdata;
  logic [3:0]  f_wstrb;
  logic        f_read;                    // the bus was read in the cycle before
  wire f_fetch = read && !rst;

  always_ff @(posedge clk) begin
    f_past   <= 1'b1;
    f_aw     <= rst ? '0 : f_aw + 4'(awvalid && awready);
    f_w      <= rst ? '0 : f_w + 4'(wvalid && wready);
    f_b      <= rst ? '0 : f_b + 4'(bvalid && bready);
    f_ar     <= rst ? '0 : f_ar + 4'(arvalid && arready);
    f_r      <= rst ? '0 : f_r + 4'(rvalid && rready);
    f_writes <= rst ? '0 : f_writes + 4'(write);
    f_reads  <= rst ? '0 : f_reads + 4'(read);
    f_read   <= f_fetch;
    if (awvalid && awready) f_waddr <= awaddr;
    if (arvalid && arready) f_raddr <= araddr;
    if (wvalid && wready) begin
      f_wdata <= wdata;
      f_wstrb <= wstrb;
    end
    if (f_read) f_rdata <= reg_rdata;
    if (f_past && $past(!rst)) begin
      if ($past(awvalid && !awready)) assume (awvalid && $stable(awaddr));
      if ($past(wvalid && !wready)) assume (wvalid && $stable(wdata) && $stable(wstrb));
      if ($past(arvalid && !arready)) assume (arvalid && $stable(araddr));
      if ($past(bvalid && !bready)) assert (bvalid && $stable(bresp));
      if ($past(rvalid && !rready)) assert (rvalid && $stable(rdata) && $stable(rresp));
    end
    if (f_past && $past(rst)) assert (!bvalid && !rvalid && !reg_write);
    cover (f_past && f_b == 4'd2 && f_r == 4'd2);
    cover (f_past && bvalid && bresp == 2'b10);
    cover (f_past && write && ar_q);
  end
  always_comb begin
    if (!f_past) assume (rst);
    if (rst) assert (!awready && !wready && !arready);
    if (f_past) begin
      assert (f_aw == f_writes + 4'(aw_q));
      assert (f_w == f_writes + 4'(w_q));
      assert (f_writes == f_b + 4'(b_q));
      assert (f_ar == f_reads + 4'(ar_q));
      assert (f_reads == f_r + 4'(fetch_q) + 4'(r_q));
      assert (4'(ar_q) + 4'(fetch_q) + 4'(r_q) <= 4'd1);
      assert (f_read == fetch_q);
      if (aw_q) assert (awaddr_q == f_waddr);
      if (w_q) assert (wdata_q == f_wdata && wstrb_q == f_wstrb);
      if (ar_q) assert (araddr_q == f_raddr);
      if (r_q) assert (rdata == f_rdata && rresp == 2'b00);
      if (reg_write) begin
        assert (aw_q && w_q && !b_q && (&f_wstrb));
        assert (reg_address == f_waddr && reg_wdata == f_wdata);
      end
      if (f_fetch) assert (reg_address == f_raddr);
      if (write) assert (reg_write == (&f_wstrb));
    end
  end
