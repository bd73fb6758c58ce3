"""Who becomes a parent. A policy is a few lines over the archive; all share one engine and one budget."""

from evo_kernel.policies.baselines import BestOfN, Restarts
from evo_kernel.policies.greedy import Greedy
from evo_kernel.policies.islands import Islands
from evo_kernel.policies.policy import Policy, View
from evo_kernel.rules import Rules

__all__ = ["NAMES", "Policy", "View", "make"]

NAMES = ("archive", "best-of-n", "sequential", "restarts", "islands")


def make(name: str, rules: Rules) -> Policy:
    """Return the policy of that name."""
    if name == "archive":
        return Greedy(rules)
    if name == "islands":
        return Islands(rules)
    if name == "restarts":
        return Restarts(rules.lines, rules.max_perf_debug_num)
    if name == "sequential":
        return Restarts(1, rules.max_perf_debug_num)
    if name == "best-of-n":
        return BestOfN()
    raise ValueError(f"no policy named {name!r}; known: {', '.join(NAMES)}")
