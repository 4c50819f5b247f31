"""Exit criteria: how sure an exit is of its answer, one file each.

`names()`, `get(name)` and `run(name, logits, thresholds)`, which says where frames leave, are all
that the rest of the project needs to know of them. A criterion is the
file here, the score block hls/rtl/ex_<name>.sv and the test folder rtl_tests/<name>/; hls/README.md
says how one is added.
"""

from exeunt.criteria.criterion import Carry, Criterion, History, Logits, Scored
from exeunt.criteria.leaving import Follows, Frames, Left, every, run
from exeunt.criteria.registry import get, names, text

DEFAULT = names()[0]

__all__ = [
    "DEFAULT", "Carry", "Criterion", "Follows", "Frames", "History", "Left", "Logits", "Scored",
    "every", "get", "names", "run", "text",
]  # fmt: skip
