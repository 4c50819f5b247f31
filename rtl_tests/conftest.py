"""Makes `lib` and the blocks' `corners` importable for pytest and for the simulations."""

import sys
from pathlib import Path

HERE = str(Path(__file__).parent)
if HERE not in sys.path:
    sys.path.insert(0, HERE)
