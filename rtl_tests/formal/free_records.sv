// Stands for ex_records in the proof of ex_merge: it may say anything.
module ex_records #(
    parameter int IN_FLIGHT = 16,
    localparam int SLOT_BITS = $clog2(IN_FLIGHT)
) (
    input  wire                 clk,
    input  wire                 rst,
    input  wire                 plain,
    input  wire                 put,
    input  wire [65:0]          put_data,
    output wire [SLOT_BITS-1:0] put_slot,
    input  wire                 get,
    input  wire                 skip,
    input  wire [SLOT_BITS-1:0] get_slot,
    output wire [65:0]          get_data
);
  (* anyseq *) logic [SLOT_BITS-1:0] slot;
  (* anyseq *) logic [65:0]          data;
  assign put_slot = slot;
  assign get_data = data;
endmodule
