"""Finds how a task of AgentKernelArena is timed: its performance command, with the timer that its harness fills in.

Task files hold a stub in the timer's place. The arena puts its own text there in every copy that it runs, and so does
this, in text alone.
"""

import re
import shlex
from pathlib import Path
from typing import Any

from suites.foreign import checkout

Files = tuple[tuple[str, str], ...]

_PERFORMANCE = "performance_command"
_TIMERS = Path("src/tools/perf")
_PYTEST, _BLOCK = "performance_utils_pytest.py", "vllm_cuda_graph_block.py"
_STUB = re.compile(r"(?ms)^# >>> AKA-GENERATED.*?^# <<< AKA-GENERATED <<<$")
_FIRST = "def _measure_cuda_event_fallback"  # where the text begins that the stub stands for


def command(stated: dict[str, Any]) -> tuple[str, ...]:
    """Return the words of the command that takes times; none where the config.yaml states no such or several."""
    found = stated.get(_PERFORMANCE)
    if not (isinstance(found, list) and len(found) == 1 and isinstance(found[0], str)):
        return ()
    try:
        return tuple(shlex.split(found[0]))
    except ValueError:  # a quotation that does not end
        return ()


def pytest_timer(root: Path) -> Files:
    """Return the timer that tests by pytest import."""
    place = root / _TIMERS / _PYTEST
    return ((_PYTEST, checkout.part(root, place)),) if place.is_file() else ()


def filled(root: Path, script: str, text: str) -> Files | None:
    """Return a script with its timer where it held a stub; None where the checkout lacks the timer."""
    if not _STUB.search(text):
        return ()
    place = root / _TIMERS / _BLOCK
    timer = checkout.part(root, place) if place.is_file() else ""
    if _FIRST not in timer:
        return None
    return ((script, _STUB.sub(lambda _: timer[timer.index(_FIRST) :], text)),)
