"""Exit criteria: how sure an exit is of its answer, one file each.

`names()` and `get(name)` are all that the rest of the project knows of them. A criterion is the
file here, the score block hls/rtl/ex_<name>.sv and the test folder rtl_tests/<name>/; hls/README.md
says how one is added.
"""

from exeunt.criteria.criterion import Criterion, Logits, Scored
from exeunt.criteria.registry import get, names, text

DEFAULT = names()[0]

__all__ = ["DEFAULT", "Criterion", "Logits", "Scored", "get", "names", "text"]
