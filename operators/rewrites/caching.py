"""What a load or store tells the caches: keep this, let that go first, write through."""

from collections.abc import Iterator
from dataclasses import dataclass

from operators.rewrites.program import Program, Site, adding, keyword, open_to_keywords

LOADS = (("eviction_policy", "evict_first"), ("eviction_policy", "evict_last"), ("cache_modifier", ".cg"))
STORES = (("eviction_policy", "evict_first"), ("cache_modifier", ".cs"), ("cache_modifier", ".wt"))


@dataclass(frozen=True, slots=True)
class Caching:
    """Cache modifiers and eviction policies."""

    name: str = "cache-hints"
    intent: str = "tell the caches what is read once and what is read again"

    def sites(self, program: Program) -> Iterator[Site]:
        """Find loads and stores that say nothing yet; each hint is a choice."""
        for group, (call, _) in enumerate(program.calls("load", "store"), 1):
            hints = LOADS if program.text(call.func).endswith("load") else STORES
            if not open_to_keywords(call) or any(keyword(call, name) for name, _ in hints):
                continue
            for name, value in hints:
                edit = adding(name, f'"{value}"')
                yield Site(f"{program.text(call)} {value}", ((program.tree.path(call), edit),), group=group)
