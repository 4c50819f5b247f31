"""The shell around a core that sends heat maps, and its model."""

from __future__ import annotations

from pathlib import Path

from lib.bench import BUILD, SHELL, rtl_sources
from serial_shell.design import DIVISOR, HOLD_BITS, IDLE_BITS, PUBLIC, STORE

from exeunt import registers

WIDTH, FRAME = 16, 4
IMAGE_BYTES = FRAME * WIDTH // 8
CORE = Path(__file__).with_name("mapping_core.sv")
CONTROL = registers.address("control")


def bench() -> str:
    """The shell with its pins visible."""
    return f"""module bench (
  input wire clk {PUBLIC}, input wire rst {PUBLIC}, input wire rx {PUBLIC},
  output wire tx {PUBLIC}, output wire [7:0] led {PUBLIC}
);
  ex_serial_shell #(
    .DIVISOR({DIVISOR}), .WIDTH({WIDTH}), .FRAME({FRAME}), .EXITS(3), .A_CONTROL(16'd{CONTROL}),
    .STORE({STORE}), .IDLE_BITS({IDLE_BITS}), .HOLD_BITS({HOLD_BITS})
  ) u (.clk(clk), .rst(rst), .rx(rx), .tx(tx), .led(led));
endmodule
"""


def core() -> str:
    """The core with the numbers of the register map."""
    text = CORE.read_text(encoding="ascii")
    for old, new in (("ID = 32'd0", f"ID = 32'd{registers.ID}"), ("12'd12", f"12'd{CONTROL}")):
        assert old in text
        text = text.replace(old, new)
    return text


def sources() -> list[Path]:
    """Everything to build, the bench last."""
    folder = BUILD / "serial_maps"
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for name, text in {"exeunt_core.sv": core(), "bench.sv": bench()}.items():
        path = folder / name
        if not path.exists() or path.read_text() != text:
            path.write_text(text)
        files.append(path)
    blocks = {p for p in rtl_sources("ex_serial_shell") if p.parent != SHELL}
    return [*sorted(blocks), *sorted(SHELL.glob("*.sv")), *files]


def result(number: int, frame: bytes) -> bytes:
    """The answer to a frame."""
    return number.to_bytes(4, "little") + frame[:2].ljust(12, b"\0")


def packet(number: int, frame: bytes) -> bytes:
    """The map of a frame."""
    length = 5 + frame[0] % 64
    words = [number << 16 | k for k in range(length)]
    words[3] = 32 * (length - 5)
    return b"".join(w.to_bytes(4, "little") for w in words)


class ModelCore:
    """The same behind `exeunt.reference.serial_shell`."""

    def __init__(self) -> None:
        self.clear()

    def clear(self) -> None:
        """As behind a soft reset."""
        self.number = 0
        self._results: list[bytes] = []
        self._maps: list[bytes] = []

    def frame(self, data: bytes) -> None:
        self._results.append(result(self.number, data))
        self._maps.append(packet(self.number, data))
        self.number += 1

    def results(self) -> list[bytes]:
        found, self._results = self._results, []
        return found

    def maps(self) -> list[bytes]:
        found, self._maps = self._maps, []
        return found

    def read(self, address: int) -> int:
        return registers.ID if address == 0 else 0

    def write(self, address: int, value: int) -> None:
        if address == CONTROL and value & 1:
            self.clear()
