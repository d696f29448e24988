"""Where this checkout lies. Importing this module makes the package `preference` importable from the scripts beside it."""

import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT))
