"""Which clocks of a verilated model may stand still, and whether its edges can be made directly.

`ex_gate` (hls/rtl) has a clock and a wish under EX_BULK; Verilator keeps both as members of the
model's root. An edge then is one call of Verilator's `eval_nba` with the triggers of the parts that
are awake, which skips the rest of the design and Verilator's search for what has changed. That
rests on names inside of Verilator's C++ (of 5.48); where they are others, the harness makes its
edges by Verilator's own `eval`, slower and with the same results.
"""

from __future__ import annotations

import re
from pathlib import Path

DEFINE = "EX_BULK"
RESET = "__DOT__core_rst"
_MEMBER = re.compile(r"\b(\w+)__DOT__tick;")
_WORDS = re.compile(r"VlUnpacked<QData[^,]*, (\d+)> __VnbaTriggered;")
_FUNCTIONS = (
    r"\bbool {0}___024root___eval_phase__ico\({0}___024root\* vlSelf\) \{{",
    r"\bvoid {0}___024root___eval_triggers_vec__act\({0}___024root\* vlSelf\) \{{",
    r"\bvoid {0}___024root___eval_nba\({0}___024root\* vlSelf\) \{{",
)
# logic in the active region would have to run before every edge
_ACTIVE = "___eval_act("


def found(text: str) -> bool:
    """Whether a gates.h names clocks that may stand still."""
    return f"#define {DEFINE} 1\n" in text


def header(folder: Path, *, prefix: str, top: str) -> str:
    """Text of gates.h for the C++ that Verilator has written into `folder`.

    Args:
        folder: holds <prefix>___024root.h and the model's .cpp files.
        prefix: of the model's classes.
        top: the top module.
    """
    root = (folder / f"{prefix}___024root.h").read_text()
    names = list(dict.fromkeys(_MEMBER.findall(root)))
    names = [g for g in names if f"{g}__DOT__want;" in root]
    reset = f"{top}{RESET}"
    bulk = bool(names) and f"{reset};" in root
    words = _WORDS.search(root)
    code = "".join(p.read_text() for p in sorted(folder.glob(f"{prefix}*.cpp")))
    direct = (
        bulk
        and words is not None
        and "__VicoFirstIteration;" in root
        and all(re.search(f.format(prefix), code) for f in _FUNCTIONS)
        and _ACTIVE not in code
    )
    rows = [f"    G({i}, {g}__DOT__tick, {g}__DOT__want)" for i, g in enumerate(names)]
    return "\n".join(
        [
            "// Generated beside Verilator's C++ by exeunt.simulate.gates.",
            f"#define {DEFINE} {int(bulk)}",
            f"#define EX_DIRECT {int(direct)}",
            f"#define EX_WORDS {words[1] if words else 1}",
            f"#define EX_COUNT {len(names)}",
            f"#define EX_RESET {reset}",
            " \\\n".join(["#define EX_GATES(G)", *rows]),
            "",
        ]
    )
