"""`python -m exeunt.hls.back.kernels` prints the table of kernel kinds."""

from __future__ import annotations

import re
from importlib.resources import files

from exeunt.hls.back.kernels import registry as backends
from exeunt.kernels import registry as kinds
from exeunt.kernels.registry import OURS

HEAD = "| kind | what it is | RTL | parameters | other backends |\n|---|---|---|---|---|"


def declared(module: str) -> list[str]:
    """The parameters of a block in hls/rtl, in order."""
    text = (files("exeunt.hls") / "rtl" / f"{module}.sv").read_text(encoding="ascii")
    return re.findall(r"^ *parameter\b.*?(\w+) *=", text.partition(") (")[0], re.MULTILINE)


def table() -> str:
    """The kinds as a Markdown table, from their nodes, backends and blocks."""
    rows = [HEAD]
    for name, kind in kinds.kinds().items():
        ours = backends.backends()[name, OURS]
        others = [b for k, b in backends.backends() if k == name and b != OURS]
        said = (kind.node.__doc__ or "").strip().splitlines()[0]
        blocks = " ".join(f"`{module}`" for module in ours.modules)
        parameters = " ".join(f"`{p}`" for p in declared(ours.modules[0]))
        rows.append(f"| {name} | {said} | {blocks} | {parameters} | {', '.join(others) or '-'} |")
    return "\n".join(rows)


if __name__ == "__main__":
    print(table())
