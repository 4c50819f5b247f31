"""The shell around a core with stub segments, and what the model of the shell has behind it.

The stub's first segment takes a word in `PACE` cycles, so that frames come faster over the line
than the core takes them.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
from controller import design
from controller.design import CLASSES, EXITS, HASH, IN_FLIGHT, WIDTH, WORDS, Design
from lib.bench import BUILD, SHELL, rtl_sources

from exeunt import registers
from exeunt.reference import controller

DIVISOR = 8
IDLE_BITS = 40
STORE = 2
HOLD_BITS = 6
PACE = 400
IMAGE_BYTES = WORDS[0] * WIDTH // 8
DESIGN = Design(
    "serial", (3, 9, 2), (1, 5, 2), (PACE, 2, 3), (2, 4, 1), (True, True, False), (36, 16), 1
)
PUBLIC = "/* verilator public_flat_rw */"


def bench() -> str:
    """The shell with its pins visible."""
    return f"""module bench (
  input wire clk {PUBLIC}, input wire rst {PUBLIC}, input wire rx {PUBLIC},
  output wire tx {PUBLIC}, output wire [7:0] led {PUBLIC}
);
  ex_serial_shell #(
    .DIVISOR({DIVISOR}), .WIDTH({WIDTH}), .FRAME({WORDS[0]}), .EXITS({EXITS}),
    .A_CONTROL(16'd{registers.address("control")}), .STORE({STORE}), .IDLE_BITS({IDLE_BITS}),
    .HOLD_BITS({HOLD_BITS})
  ) u (.clk(clk), .rst(rst), .rx(rx), .tx(tx), .led(led));
endmodule
"""


def sources() -> list[Path]:
    """Everything to build, the bench last."""
    folder = BUILD / "serial_shell"
    folder.mkdir(parents=True, exist_ok=True)
    texts = design.sources(DESIGN)
    texts.pop("exeunt_top.sv")
    texts["bench.sv"] = bench()
    files = []
    for name, text in texts.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        files.append(path)
    modules = [m for m in design.describe(DESIGN).modules if m != "ex_axil"]
    blocks = sorted({path for module in modules for path in rtl_sources(module)})
    stubs = [design.HERE / "stub_segment.sv", design.HERE / "stub_head.sv"]
    return [*blocks, *sorted(SHELL.glob("*.sv")), *stubs, *files]


def image(logits: np.ndarray) -> bytes:
    """The bytes of one frame: logits (EXITS, CLASSES)."""
    return logits.astype("<i2").tobytes()


class ModelCore:
    """The core behind `exeunt.reference.serial_shell`, as far as the tests use it.

    It answers at once, so `latency` is zero.
    """

    def __init__(self) -> None:
        self.thresholds = [registers.NEVER] * (EXITS - 1) + [registers.ALWAYS]
        self.active = list(self.thresholds)
        self.bank = 0
        self.next_id = 0
        self.batch = 1
        self._out: list[bytes] = []

    def frame(self, data: bytes) -> None:
        logits = np.frombuffer(data, "<i2").reshape(1, EXITS, CLASSES)
        found = controller.decide([logits[:, e] for e in range(EXITS)], self.active)
        banks = np.array([self.bank])
        self._out.append(controller.results(found, first_id=self.next_id, banks=banks).tobytes())
        self.next_id += 1

    def results(self) -> list[bytes]:
        found, self._out = self._out, []
        return found

    def read(self, address: int) -> int:
        words = {
            registers.address("id"): registers.ID,
            registers.address("version"): registers.VERSION,
            registers.address("hash"): HASH,
            registers.address("batch"): self.batch,
        }
        for e in range(EXITS):
            words[registers.address("threshold", e)] = self.thresholds[e] & 0xFFFFFFFF
            words[registers.address("active", e)] = self.active[e] & 0xFFFFFFFF
        return words.get(address, 0)

    def write(self, address: int, value: int) -> None:
        control = registers.BY_NAME["control"].fields
        if address == registers.address("batch"):
            self.batch = value
        if address == registers.address("control"):
            if control["reset"].get(value):
                self.next_id = 0
                self._out.clear()
            if control["commit"].get(value):
                self.active = list(self.thresholds)
                self.bank ^= 1
        for e in range(EXITS - 1):
            if address == registers.address("threshold", e):
                self.thresholds[e] = value - (1 << 32) if value >> 31 else value


assert IN_FLIGHT > STORE


def stub_core(width: int, exits: int) -> str:
    """Ports of exeunt_core with hardly anything behind them, for the linter and for Yosys."""
    return f"""module exeunt_core (
  input wire clk, input wire rst, input wire s_valid, output wire s_ready,
  input wire [{width - 1}:0] s_data, input wire s_last, output wire m_valid, input wire m_ready,
  output wire [127:0] m_data, output wire m_last, input wire reg_write,
  input wire [{registers.ADDRESS_BITS - 1}:0] reg_address, input wire [31:0] reg_wdata,
  output wire [31:0] reg_rdata, output wire ev_accept, output wire [{exits - 1}:0] ev_decide,
  output wire [{exits - 1}:0] ev_take
);
  logic [127:0] word_q;
  logic full_q;
  assign s_ready = !full_q;
  assign m_valid = full_q;
  assign m_data = word_q;
  assign m_last = word_q[0];
  assign reg_rdata = word_q[31:0];
  assign ev_accept = s_valid && s_ready;
  assign ev_decide = {{{exits}{{m_ready}}}};
  assign ev_take = {{{exits}{{m_valid && m_ready}}}};
  always_ff @(posedge clk) begin
    if (s_valid && s_ready) word_q <= {{word_q[127-{width}:0], s_data}};
    if (reg_write) word_q[31:0] <= reg_wdata ^ {{20'd0, reg_address}};
    if (s_valid && s_ready && s_last) full_q <= 1'b1;
    else if (m_ready) full_q <= 1'b0;
    if (rst) full_q <= 1'b0;
  end
endmodule
"""
