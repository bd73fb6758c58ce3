"""Which knobs move as one, and which move nothing: what the launches of one program have to do with one another.

    softmax_kernel.BLOCK = 256, softmax_kernel_narrow.BLOCK = 256      a rewrite's copy: one number to whoever tunes
    softmax_kernel.BLOCK = 256, softmax_kernel_narrow.BLOCK = 1024     somebody moved them apart: two

A rewrite that adds a changed copy of a kernel doubles the knobs. Where both run, each of them decides over some of the
cases only; where the copy has taken the first one's place, half of all knobs do nothing.
"""

from collections.abc import Collection, Sequence

from operators.knobs import Knob

Group = tuple[Knob, ...]


def alive(knobs: Sequence[Knob], ran: Collection[str]) -> Group:
    """Return the knobs of launches whose kernels ran; all where nothing is known of that, or none did."""
    found = tuple(knob for knob in knobs if _runs(knob, ran))
    return found or tuple(knobs)


def groups(knobs: Sequence[Knob], ran: Collection[str]) -> tuple[Group, ...]:
    """Put knobs together that should move as one, a knob that runs first; groups of which none runs are left out."""
    found: list[list[str]] = []
    by_launch = _by_launch(knobs)
    for launch in by_launch:
        home = next((g for g in found if all(_copies(by_launch, launch, other) for other in g)), None)
        if home is None:
            found.append([launch])
        else:
            home.append(launch)
    every = [group for launches in found for group in _columns([by_launch[one] for one in launches])]
    ordered = [tuple(sorted(group, key=lambda knob: not _runs(knob, ran))) for group in every]
    running = tuple(group for group in ordered if _runs(group[0], ran))
    return running or tuple(ordered)


def _columns(launches: Sequence[dict[tuple[str, str], Knob]]) -> list[list[Knob]]:
    """Return the knobs of equal names and kinds of several launches."""
    keys = dict.fromkeys(key for launch in launches for key in launch)
    return [[launch[key] for launch in launches if key in launch] for key in keys]


def _by_launch(knobs: Sequence[Knob]) -> dict[str, dict[tuple[str, str], Knob]]:
    found: dict[str, dict[tuple[str, str], Knob]] = {}
    for knob in knobs:
        launch, _, key = knob.name.rpartition(".")
        found.setdefault(launch, {})[key, knob.kind] = knob
    return found


def _copies(by_launch: dict[str, dict[tuple[str, str], Knob]], one: str, other: str) -> bool:
    """Tell whether two launches are of one kernel or of one and its copy, and stand at the same numbers."""
    short, long = sorted((kernel_of(one), kernel_of(other)), key=len)
    here, there = by_launch[one], by_launch[other]
    common = here.keys() & there.keys()
    return (
        (short == long or long.startswith(f"{short}_"))
        and bool(common)
        and all(here[key].value == there[key].value for key in common)
    )


def _runs(knob: Knob, ran: Collection[str]) -> bool:
    """Tell whether a knob is of a launch that ran; a config's may be of any kernel."""
    labels = (knob.name.rpartition(".")[0], *knob.also)
    return not ran or any(label.startswith("configs[") or kernel_of(label) in ran for label in labels)


def kernel_of(label: str) -> str:
    """Return the kernel of a launch's label, such as `softmax_kernel` of `softmax_kernel#2`."""
    return label.partition("#")[0]
