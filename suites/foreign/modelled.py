"""Makes a task of ours of a PyTorch module: its parameters become inputs, its sizes are changed for further cases.

It runs what a suite's file defines: only in jailed children.
"""

import inspect
import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch.func import functional_call
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.flop_counter import FlopCounterMode

from suites.foreign import functions, shrinking
from suites.foreign.drawn import Undrawable, like, parameter
from suites.foreign.functions import Modules, build
from suites.foreign.sizes import module, stated
from suites.foreign.text import Parts
from suites.task import ITEM_BYTES, Argument, Case, Input

ENTRY = "forward"
ABOUT = """{name} of {suite}: `forward` of the module below, as a function.

The launcher `{entry}` takes what `Model.forward` takes, then the parameters and buffers that the result depends on, in
the order of `named_parameters` and `named_buffers`, with _ for each dot: {held}. Everything else that the
module is built with is a constant. Sizes differ between cases.

{source}"""
VARIED = (("theirs", 1.0, 0), ("three-quarters", 0.75, 1), ("half", 0.5, -1), ("seven-eighths", 0.875, -1))
PUBLIC = 2  # of these; the others are held out
SAMPLES = 8  # elements of an input that are changed, to see whether the result needs them


class Unturnable(Exception):
    """A task of theirs that cannot be one of ours: why, in one line."""


@dataclass(frozen=True, slots=True)
class Called:
    """A module at some sizes, called: what it was given by name, and what came of it."""

    sizes: Mapping[int, int]
    inputs: dict[str, Any]
    held: dict[str, torch.Tensor]  # by the module's own names
    made: Any

    @property
    def shapes(self) -> functions.Shapes:
        """The shapes of all tensors, which tell which sizes they belong to."""
        values = (*self.inputs.values(), *self.held.values())
        return tuple(tuple(v.shape) for v in values if isinstance(v, torch.Tensor))


def parts(suite: str, name: str, source: str) -> Parts:
    """Return what the task of a module's file is made of; Unturnable or Undrawable says why there is none."""
    full = stated(source)
    if shrinking.work(source, full) is None:
        raise Unturnable("its module cannot be called on tensors that hold nothing, by which sizes are found")
    small = shrinking.shrunk(source)
    least = shrinking.work(source, small, count=True)
    if least is None or least.elements > shrinking.ELEMENTS << 6 or least.flops > shrinking.FLOPS << 10:
        raise Unturnable(f"too large at the least sizes that it works at: {least.elements if least else 0} numbers")
    drawn = _called(source, small)
    _deterministic(source, drawn)
    drawn = replace(drawn, held=_needed(source, drawn))
    names = {dotted: _plain(dotted, drawn.inputs) for dotted in drawn.held}
    found = list(_cases(source, full, small, drawn, names))
    cases = tuple(case for case, _ in found)
    sizes = {called.shapes: dict(called.sizes) for _, pair in found for called in pair}
    maker = f"functions.Modules({source!r}, {tuple(drawn.held)!r}, {sizes!r})"
    about = ABOUT.format(name=name, suite=suite, entry=ENTRY, held=", ".join(names.values()) or "none", source=source)
    return Parts(about, ENTRY, maker, cases[:PUBLIC], cases[PUBLIC:], _honest(source, drawn))


def _called(source: str, sizes: Mapping[int, int], device: str = "cpu") -> Called:
    """Call a module on inputs of its own."""
    with torch.device(device), torch.no_grad():
        theirs = module(source, sizes)
        torch.manual_seed(functions.SEED)
        model = build(source, sizes, device)
        torch.manual_seed(functions.SEED + 1)
        given = list(theirs.get_inputs())
        names = _names(model, len(given))
        kept = [v.clone() if isinstance(v, torch.Tensor) else v for v in given]
        held = {n: t.detach().clone() for n, t in (*model.named_parameters(), *model.named_buffers())}
        made = model(*given)
    return Called(sizes, dict(zip(names, kept, strict=True)), held, made)


def _names(model: torch.nn.Module, count: int) -> list[str]:
    """Return the names of what `forward` is given."""
    taken = [p.name for p in inspect.signature(model.forward).parameters.values() if p.kind == p.POSITIONAL_OR_KEYWORD]
    return taken[:count] if len(taken) >= count else [f"input_{n}" for n in range(count)]


def _plain(dotted: str, taken: Mapping[str, Any]) -> str:
    """Return a parameter's name as a launcher can have it."""
    name = dotted.replace(".", "_")
    name = name if name.isidentifier() else f"p_{name}"
    return f"{name}_" if name in taken else name


def _tensors(made: Any) -> list[torch.Tensor]:
    """Return a module's results; Unturnable where they are no tensors."""
    found = list(made) if isinstance(made, (tuple, list)) else [made]
    if not all(isinstance(t, torch.Tensor) for t in found):
        raise Unturnable(f"it returns {type(made).__name__}, not tensors")
    return found


def _again(source: str, drawn: Called, inputs: Mapping[str, Any], held: Mapping[str, Any]) -> list[torch.Tensor]:
    function = Modules(source, tuple(held), {replace(drawn, inputs=dict(inputs), held=dict(held)).shapes: drawn.sizes})
    return _tensors(function(*_copies(inputs), *_copies(held)))


def _copies(values: Mapping[str, Any]) -> list[Any]:
    return [v.clone() if isinstance(v, torch.Tensor) else v for v in values.values()]


def _deterministic(source: str, drawn: Called) -> None:
    """Refuse a module that draws numbers of its own."""
    model = build(source, drawn.sizes, "cpu")
    results = []
    with torch.no_grad():
        for seed in (1, 2):
            torch.manual_seed(seed)
            values = {n: t.clone() for n, t in drawn.held.items()}
            results.append(_tensors(functional_call(model, values, tuple(_copies(drawn.inputs)))))
    if not all(torch.equal(a, b) for a, b in zip(*results, strict=True) if not (a.isnan() & b.isnan()).any()):
        raise Unturnable("its results are drawn anew in every call: it has dropout, or other random numbers")


def _needed(source: str, drawn: Called) -> dict[str, torch.Tensor]:
    """Return the parameters and buffers that the result depends on."""
    before = _again(source, drawn, drawn.inputs, drawn.held)
    kept = {}
    for name, value in drawn.held.items():
        changed = {**drawn.held, name: value + 1 if not value.is_floating_point() else value * 1.5 + 0.25}
        after = _again(source, drawn, drawn.inputs, changed)
        if not all(torch.equal(a, b) for a, b in zip(before, after, strict=True)):
            kept[name] = value
    return kept


def _cases(source: str, full: Mapping[int, int], small: Mapping[int, int], drawn: Called, names: Mapping[str, str]
           ) -> Iterator[tuple[Case, tuple[Called, Called]]]:  # fmt: skip
    """Yield the suite's own case and those of other sizes; where no size can be changed, its own under other names."""
    share = {n: _share(source, drawn, n) for n in drawn.inputs}
    seen: dict[functions.Shapes, str] = {}
    made = []
    for name, part, more in VARIED:
        at, below = (_varied(source, s, part, more) for s in (full, small))
        outer, inner = _shaped(source, at, drawn), _kept(_called(source, below), drawn)
        if outer.shapes not in seen:
            seen[outer.shapes] = name
            made.append((name, outer, inner))
    while len(made) <= PUBLIC:
        made.append((f"again-{len(made)}", *made[0][1:]))
    for name, outer, inner in made:
        yield _case(name, source, outer, inner, names, share), (outer, inner)


def _varied(source: str, sizes: Mapping[int, int], share: float, more: int) -> dict[int, int]:
    return dict(sizes) if share == 1 else shrinking.varied(source, sizes, share, more)


def _kept(called: Called, like_this: Called) -> Called:
    """Leave out the parameters that the result does not depend on."""
    return replace(called, held={n: called.held[n] for n in like_this.held})


def _shaped(source: str, sizes: Mapping[int, int], drawn: Called) -> Called:
    """Call a module at full size, on tensors that hold nothing."""
    return _kept(_called(source, sizes, "meta"), drawn)


def _case(name: str, source: str, outer: Called, inner: Called, names: Mapping[str, str], share: Mapping[str, float]
          ) -> Case:  # fmt: skip
    """Write one case: full shapes, and values like those that were drawn at the small size."""
    small: dict[str, Argument] = {n: _argument(n, v) for n, v in inner.inputs.items()}
    full = {n: _resized(small[n], outer.inputs[n]) for n in small}
    read = sum(a.bytes * share[n] for n, a in full.items() if isinstance(a, Input))
    for dotted, value in inner.held.items():
        small[names[dotted]] = parameter(value, tuple(value.shape))
        full[names[dotted]] = parameter(value, tuple(outer.held[dotted].shape))
        read += outer.held[dotted].numel() * ITEM_BYTES[str(value.dtype).removeprefix("torch.")]
    results = _tensors(outer.made)
    written = sum(t.numel() * t.element_size() for t in results)
    return Case(name, full, _flops(source, outer.sizes, results), int(written + read), small)


def _argument(name: str, value: Any) -> Argument:
    if isinstance(value, torch.Tensor):
        return like(value, name)
    if isinstance(value, (bool, int, float)) and math.isfinite(value):
        return value
    raise Undrawable(f"`{name}` is {type(value).__name__}: an argument is a tensor or a number")


def _resized(argument: Argument, value: Any) -> Argument:
    return replace(argument, shape=tuple(value.shape)) if isinstance(argument, Input) else argument


def _flops(source: str, sizes: Mapping[int, int], results: list[torch.Tensor]) -> int:
    """Return operations that no right kernel does without: one for each result, or those of a single matrix product.

    The count of any other module is no such number: sums of products can be taken apart, and products left out.
    """
    with torch.device("meta"), torch.no_grad():
        theirs = module(source, sizes)
        model, given = theirs.Model(*theirs.get_init_inputs()), theirs.get_inputs()
        with FlopCounterMode(display=False) as counter, _Operations() as seen:
            model(*given)
    single = len(seen.names) == 1 and seen.names[0] in ("mm", "bmm", "addmm")
    return int(counter.get_total_flops()) if single else sum(t.numel() for t in results)


class _Operations(TorchDispatchMode):  # type: ignore[misc]  # torch has no types
    """Names the operations that compute; views do not."""

    def __init__(self) -> None:
        super().__init__()
        self.names: list[str] = []

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Note one operation."""
        if not any(r.alias_info for r in op._schema.returns):
            self.names.append(op.overloadpacket.__name__)
        return op(*args, **(kwargs or {}))


def _share(source: str, drawn: Called, name: str) -> float:
    """Return the least share of an input that the result depends on: half of what a sample of its elements shows."""
    value = drawn.inputs[name]
    if not isinstance(value, torch.Tensor) or not value.numel():
        return 0.0
    before = _again(source, drawn, drawn.inputs, drawn.held)
    places = torch.linspace(0, value.numel() - 1, min(SAMPLES, value.numel())).long().tolist()
    needed = 0
    for place in places:
        changed = value.clone()
        flat = changed.view(-1) if changed.is_contiguous() else changed.reshape(-1)
        flat[place] = _other(flat[place], value)
        after = _again(source, drawn, {**drawn.inputs, name: flat.view(value.shape)}, drawn.held)
        needed += not all(torch.equal(a, b) for a, b in zip(before, after, strict=True))
    return 1.0 if needed == len(places) else needed / len(places) / 2


def _other(one: torch.Tensor, every: torch.Tensor) -> torch.Tensor:
    """Return another value for an element: a large one, or the next of those that whole numbers have."""
    if every.is_floating_point():
        return one + 100 * (every.abs().max() + 1)
    return every.max() if one != every.max() else every.min()


def _honest(source: str, drawn: Called) -> dict[str, str]:
    """Return other ways to compute it that give the same here: by the linter's rule there are at least two."""
    found = {
        "in_float64": "functions.in_float64(theirs, *given)",
        "plainly": "functions.plainly(theirs, *given)",
        "laid_out_otherwise": "functions.laid_out_otherwise(theirs, *given)",
    }
    _again(source, drawn, {n: v.double() if _float(v) else v for n, v in drawn.inputs.items()},
           {n: v.double() if _float(v) else v for n, v in drawn.held.items()})  # fmt: skip
    return found


def _float(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()
