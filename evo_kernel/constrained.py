"""Whether the constraints of a run leave its first programs any setting: asked before the run is begun."""

from collections.abc import Sequence

from archives.candidate import Candidate
from evo_kernel.config import Settings
from evo_kernel.errors import ConfigError
from fitness import targets
from operators.knob_constraints import require as require_knobs
from operators.knobs import find
from operators.tune.constraints import ConstraintError, read
from operators.tune.operator import Tuning
from operators.tune.space import SpaceError


def require(settings: Settings, programs: Sequence[Candidate]) -> None:
    """Refuse constraints on knobs that no program has, and those that leave a program none of its settings."""
    constraints = tuple(map(read, settings.constraints))
    if not constraints:
        return
    backend = targets.find(settings.target).backend
    try:
        require_knobs({c.intent or c.id: c.source for c in programs}, backend, constraints)
        for candidate in programs:
            if find(candidate.source, backend):
                Tuning(candidate.source, backend, constraints=constraints)
    except (ConstraintError, SpaceError) as error:
        raise ConfigError(f"wrong constraints: {error}") from error
