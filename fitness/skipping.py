"""Runs a task's function with one of its reductions left out, whatever else it does with the same inputs.

A reduction that is left out is sampled: it sees one element of so many in the place of those after it, along what it
reduces; or it is taken to be 0, as a program does that leaves its term out or assumes a mean. What a
function does is seen operation by operation, as PyTorch carries it out, so it need not be written in any special way;
normalisations and softmax are taken apart into their reductions and the rest. Convolutions count as products of their
weights; what PyTorch does in one piece (attention, pooling, batch
normalisation, recurrent networks) is not taken apart.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from fitness import yardstick

STEP = 32  # a skipped reduction sees one element of so many
MOST = 12  # reductions of one function that are left out, one after another

_EVERY = 9  # no argument names dimensions
# by name: the place of the dimensions among the arguments
_ALONG = {
    "sum": 1, "mean": 1, "amax": 1, "amin": 1, "max": 1, "min": 1, "prod": 1, "var": 1, "var_mean": 1, "std": 1,
    "std_mean": 1, "norm": 2, "linalg_vector_norm": 2, "logsumexp": 1, "argmax": 1, "argmin": 1, "any": 1, "all": 1,
    "median": 1, "nansum": 1, "cumsum": 1, "cumprod": 1, "cummax": 1, "logcumsumexp": 1, "aminmax": 1, "trace": _EVERY,
}  # fmt: skip
# by name: for each operand, its place among the arguments and the dimension that is summed over
_PRODUCTS = {
    "mm": ((0, 1), (1, 0)), "bmm": ((0, 2), (1, 1)), "addmm": ((1, 1), (2, 0)), "baddbmm": ((1, 2), (2, 1)),
    "mv": ((0, 1), (1, 0)), "addmv": ((1, 1), (2, 0)), "dot": ((0, 0), (1, 0)), "vdot": ((0, 0), (1, 0)),
    "convolution": ((1, 1),), "linear": ((0, -1), (1, -1)),
}  # fmt: skip


def sampled(tensor: torch.Tensor, dimension: int) -> torch.Tensor:
    """Put every STEP-th slice of a tensor in the place of those after it."""
    if not tensor.dim():
        return tensor
    return tensor.index_select(dimension, torch.arange(tensor.shape[dimension], device=tensor.device) // STEP * STEP)


def names(function: Callable[..., Any], arguments: Sequence[Any]) -> list[str]:
    """Name the reductions that a function does, in order: those with more than one element to reduce."""
    seen = _Reductions(None)
    with seen:
        function(*[yardstick.copied(a) for a in arguments])
    return seen.names[:MOST]


def without(function: Callable[..., Any], arguments: Sequence[Any], number: int, zero: bool) -> Any:
    """Run a function with its reduction of that number left out: taken to be 0, or sampled."""
    with _Reductions(number, zero):
        return function(*[yardstick.copied(a) for a in arguments])


class _Reductions(TorchDispatchMode):  # type: ignore[misc]  # torch says nothing of its type
    """Counts reductions, and leaves one out."""

    def __init__(self, left_out: int | None, zero: bool = False) -> None:
        super().__init__()
        self.left_out, self.zero = left_out, zero
        self.names: list[str] = []

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Carry out one operation."""
        name, kwargs = func.overloadpacket.__name__, kwargs or {}
        apart = _APART.get(name)
        if apart is not None:
            with self:
                return apart(*args, **kwargs)
        reduced = _reduced(name, args, kwargs)
        if any(tensor.shape[d] > 1 for _, tensor, dims in reduced for d in dims):
            self.names.append(name)
            if len(self.names) - 1 == self.left_out:
                return _zeroed(func(*args, **kwargs)) if self.zero else func(*_sampled(args, reduced), **kwargs)
        return func(*args, **kwargs)


def _zeroed(result: Any) -> Any:
    return [torch.zeros_like(r) for r in result] if isinstance(result, (tuple, list)) else torch.zeros_like(result)


def _sampled(args: Any, reduced: Sequence[tuple[int, torch.Tensor, Sequence[int]]]) -> list[Any]:
    """Return an operation's arguments with what it reduces sampled."""
    found = list(args)
    for place, tensor, dims in reduced:
        for d in dims:
            tensor = sampled(tensor, d)
        found[place] = tensor
    return found


def _reduced(name: str, args: Any, kwargs: Any) -> list[tuple[int, torch.Tensor, tuple[int, ...]]]:
    """Return what an operation reduces: the operands' places, the operands and their dimensions."""
    if name in _PRODUCTS:
        return [(place, args[place], (d,)) for place, d in _PRODUCTS[name]]
    if name not in _ALONG or not args or not isinstance(args[0], torch.Tensor):
        return []
    tensor, place = args[0], _ALONG[name]
    along = kwargs.get("dim", args[place] if place < len(args) else None)
    if isinstance(along, torch.Tensor):  # the larger of two tensors
        return []
    dims = range(tensor.dim()) if along is None or along == [] else along if isinstance(along, list) else [along]
    return [(0, tensor, tuple(dims))] if tensor.dim() else []


def _softmax(x: torch.Tensor, dim: int, to_float: bool) -> torch.Tensor:
    wide = x.double() if x.dtype == torch.float64 else x.float()
    powers = (wide - wide.amax(dim, keepdim=True)).exp()
    found = powers / powers.sum(dim, keepdim=True)
    return found if to_float else found.to(x.dtype)


def _log_softmax(x: torch.Tensor, dim: int, to_float: bool) -> torch.Tensor:
    wide = x.double() if x.dtype == torch.float64 else x.float()
    shifted = wide - wide.amax(dim, keepdim=True)
    found = shifted - shifted.exp().sum(dim, keepdim=True).log()
    return found if to_float else found.to(x.dtype)


def _layer_norm(x: torch.Tensor, shape: Sequence[int], weight: torch.Tensor | None, bias: torch.Tensor | None,
                eps: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    dims = list(range(x.dim() - len(shape), x.dim()))
    wide = x.double() if x.dtype == torch.float64 else x.float()
    mean = wide.mean(dims, keepdim=True)
    scale = (wide - mean).square().mean(dims, keepdim=True).add(eps).rsqrt()
    found = (wide - mean) * scale
    found = found if weight is None else found * weight
    found = found if bias is None else found + bias
    return found.to(x.dtype), mean, scale


def _rms_norm(x: torch.Tensor, shape: Sequence[int], weight: torch.Tensor | None, eps: float | None
              ) -> tuple[torch.Tensor, torch.Tensor]:  # fmt: skip
    dims = list(range(x.dim() - len(shape), x.dim()))
    wide = x.double() if x.dtype == torch.float64 else x.float()
    scale = wide.square().mean(dims, keepdim=True).add(torch.finfo(x.dtype).eps if eps is None else eps).rsqrt()
    found = wide * scale if weight is None else wide * scale * weight
    return found.to(x.dtype), scale


def _group_norm(x: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None, count: int, channels: int,
                size: int, groups: int, eps: float) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    rows, mean, scale = _layer_norm(x.reshape(count * groups, -1), (channels // groups * size,), None, None, eps)
    found = rows.reshape(x.shape)
    along = [1, -1] + [1] * (x.dim() - 2)
    found = found if weight is None else found * weight.view(along)
    found = found if bias is None else found + bias.view(along)
    return found, mean.view(count, groups), scale.view(count, groups)


def _mse_loss(x: torch.Tensor, y: torch.Tensor, how: int = 1) -> torch.Tensor:
    squares = (x - y).square()
    return squares if how == 0 else squares.mean() if how == 1 else squares.sum()


_APART: dict[str, Callable[..., Any]] = {
    "_softmax": _softmax,
    "_log_softmax": _log_softmax,
    "native_layer_norm": _layer_norm,
    "native_group_norm": _group_norm,
    "_fused_rms_norm": _rms_norm,
    "mse_loss": _mse_loss,
}
