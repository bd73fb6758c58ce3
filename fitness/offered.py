"""Says what the installed Triton no longer has, as its text tells: the search, which does not load it, reads that."""

import functools
import importlib.util
from pathlib import Path

BLOCK_POINTERS = "def make_block_ptr"  # where its compiler makes them; the function users call is there to refuse them


@functools.cache
def without_block_pointers() -> bool:
    """Tell whether block pointers were removed, as in 3.9; False where no Triton is found."""
    spec = importlib.util.find_spec("triton")
    folders = [] if spec is None else spec.submodule_search_locations or []
    files = [path for folder in folders if (path := Path(folder, "language", "semantic.py")).is_file()]
    return bool(files) and not any(BLOCK_POINTERS in file.read_text(encoding="utf-8") for file in files)
