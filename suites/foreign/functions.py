"""What the text of a foreign task calls: a suite's PyTorch as a function of tensors, and honest ways to compute it.

A task's text holds the suite's file; it runs here, in children that run nothing else.
"""

import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch.func import functional_call

from suites.foreign.blocks import halved
from suites.foreign.hosted import rewritten
from suites.foreign.sizes import module

SEED = 42  # of what a reference draws when it is built

Shapes = tuple[tuple[int, ...], ...]


class Modules:
    """A file with a class `Model`: what `forward` takes comes first, then parameters and buffers by name."""

    def __init__(self, source: str, held: Sequence[str], sizes: Mapping[Shapes, Mapping[int, int]]) -> None:
        self._source, self._held, self._sizes = source, tuple(held), dict(sizes)
        self._models: dict[Any, torch.nn.Module] = {}

    def __call__(self, *args: Any) -> Any:
        """Return what the module makes of these inputs with these parameters."""
        inputs = args[: len(args) - len(self._held)]
        values = dict(zip(self._held, args[len(inputs) :], strict=True))
        floats = [a for a in args if isinstance(a, torch.Tensor) and a.is_floating_point()]
        with precision(floats[0].dtype if floats else torch.float32), torch.no_grad():
            model = self._model(args)
            torch.manual_seed(SEED)
            return functional_call(model, values, inputs)

    def _model(self, args: tuple[Any, ...]) -> torch.nn.Module:
        """Build the module of these shapes once."""
        shapes = tuple(tuple(a.shape) for a in args if isinstance(a, torch.Tensor))
        device = next(a.device for a in args if isinstance(a, torch.Tensor))
        key = (shapes, torch.get_default_dtype(), device)
        if key not in self._models:
            if shapes not in self._sizes:
                raise ValueError(f"the module is not known for tensors of the shapes {shapes}")
            self._models[key] = build(self._source, self._sizes[shapes], device)
        return self._models[key]


def build(source: str, sizes: Mapping[int, int], device: Any) -> torch.nn.Module:
    """Build a file's module on a device, with the numbers that it always has."""
    with torch.device(device):
        theirs = module(source, sizes)
        torch.manual_seed(SEED)
        made: torch.nn.Module = theirs.Model(*theirs.get_init_inputs())
        return made.to(device)


@contextlib.contextmanager
def precision(dtype: torch.dtype) -> Iterator[None]:
    """Have whatever a reference makes itself be of this dtype."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype if dtype in (torch.float32, torch.float64) else torch.float32)
    try:
        yield
    finally:
        torch.set_default_dtype(before)


Reference = Callable[..., Any]


def in_float64(reference: Reference, *args: Any) -> Any:
    """Compute in float64 and round once, as a kernel does whose sums are exact."""
    floats = [a.dtype for a in args if isinstance(a, torch.Tensor) and a.is_floating_point()]
    made = reference(*[a.double() if _floating(a) else a for a in args])
    return _each(made, lambda t: t.to(floats[0]) if floats and t.dtype == torch.float64 else t)


def plainly(reference: Reference, *args: Any) -> Any:
    """Compute without the vendor's libraries, whose order of summation is another."""
    with torch.backends.mkldnn.flags(enabled=False), torch.backends.cudnn.flags(enabled=False):
        return reference(*args)


def laid_out_otherwise(reference: Reference, *args: Any) -> Any:
    """Compute from tensors whose last two dimensions are exchanged in memory."""
    return reference(*[a.mT.contiguous().mT if isinstance(a, torch.Tensor) and a.dim() > 1 else a for a in args])


def in_smaller_blocks(reference: "Program", *args: Any) -> Any:
    """Compute with blocks of half the size, whose sums are taken in another order."""
    return reference.smaller(*args)


def _floating(value: Any) -> bool:
    return isinstance(value, torch.Tensor) and value.is_floating_point()


def _each(made: Any, change: Callable[[torch.Tensor], torch.Tensor]) -> Any:
    return change(made) if isinstance(made, torch.Tensor) else tuple(change(t) for t in made)


class Program:
    """A Triton program as the oracle of its own task, called by the launcher that was written for it."""

    def __init__(self, source: str, adapter: str, entry: str, dtypes: Sequence[str]) -> None:
        self._source, self._adapter = source, adapter
        self._text, self._entry, self._dtypes = f"{source}\n\n\n{adapter}", entry, tuple(dtypes)
        self._launcher: Reference | None = None
        self._smaller: Program | None = None
        self.narrow = False  # it refused float64

    def __call__(self, *args: Any) -> Any:
        """Return what the program makes of these; of float64 what it makes of its own dtypes, where it refuses them."""
        launcher = self._launcher or self._load()
        wide = any(_floating(a) and a.dtype == torch.float64 for a in args)
        if wide and not self.narrow:
            try:
                return launcher(*[a.clone() if isinstance(a, torch.Tensor) else a for a in args])
            except Exception:  # noqa: BLE001  what it raises at float64 is its own affair
                self.narrow = True
        made = launcher(*(self._own(a, dtype) for a, dtype in zip(args, self._dtypes, strict=True)))
        return _each(made, lambda t: t.double() if wide and t.is_floating_point() else t)

    @property
    def smaller(self) -> "Program":
        """The program with blocks of half the size."""
        if self._smaller is None:
            text = halved(self._source)
            if text is None:
                raise ValueError("the program states no size of a block")
            self._smaller = Program(text, self._adapter, self._entry, self._dtypes)
        return self._smaller

    def _own(self, value: Any, dtype: str) -> Any:
        return value.to(getattr(torch, dtype)) if _floating(value) else value

    def _load(self) -> Reference:
        """Import the program as a file, as Triton wants it."""
        name = f"oracle_{abs(hash(self._text))}"
        text = rewritten(self._text) if os.environ.get("TRITON_INTERPRET") else self._text
        path = os.path.abspath(f"{name}.py")
        with open(path, "w", encoding="utf-8") as file:
            file.write(text)
        spec = importlib.util.spec_from_file_location(name, path)
        if spec is None or spec.loader is None:
            raise ImportError(f"no loader for {name}.py")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
        self._launcher = getattr(module, self._entry)
        return self._launcher


class Function(Program):
    """A PyTorch function as a reference; what it makes itself is of the dtype of its arguments."""

    def __call__(self, *args: Any) -> Any:
        """Return what the function makes of these."""
        floats = [a for a in args if _floating(a)]
        with precision(floats[0].dtype if floats else torch.float32), torch.no_grad():
            return super().__call__(*args)
