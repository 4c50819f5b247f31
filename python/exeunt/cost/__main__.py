"""`python -m exeunt.cost FILES` fits the LUT model to the counts in FILES: coefficients.json."""

import json
import sys
from pathlib import Path

from exeunt.cost.fit import fit

if __name__ == "__main__":
    print(json.dumps(fit(*map(Path, sys.argv[1:])), indent=1, sort_keys=True))
