"""How a process of ours starts others."""

import sys
from pathlib import Path


def interpreter() -> list[str]:
    """The words that start Python with the modules that this process has."""
    as_module = Path(sys.argv[0]).name == "__main__.py"  # which has the working directory in its path
    return [sys.executable, *([] if as_module else ["-P"])]
