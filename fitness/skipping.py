"""Runs a task's function with one of its reductions left out, whatever else it does with the same inputs.

A reduction that is left out is sampled: it sees one element of so many in the place of those after it, along what it
reduces; or it misses its last tile; or it is taken to be 0, as a program does that leaves its term out or assumes a
mean. What a function does is seen operation by operation, as PyTorch carries it out, so it need not be written in any
special way; normalisations, attention, softmax and recurrent networks are taken apart into their reductions and the
rest. Convolutions count as products of their weights, and what pools windows as a reduction of each of them.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from enum import StrEnum
from typing import Any

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils._python_dispatch import TorchDispatchMode

from fitness import yardstick

STEP = 32  # a skipped reduction sees one element of so many
TILE = 16  # the last tile of a reduction is one of so many
MOST = 12  # reductions of one function that are left out, one after another


class How(StrEnum):
    """How a reduction is left out, in words that go behind its name."""

    SAMPLED = "sampled"
    CUT = "without its last tile"
    ZERO = "taken as 0"


_EVERY = 9  # no argument names dimensions
# by name: the place of the dimensions among the arguments
_ALONG = {
    "sum": 1, "mean": 1, "amax": 1, "amin": 1, "max": 1, "min": 1, "prod": 1, "var": 1, "var_mean": 1, "std": 1,
    "std_mean": 1, "norm": 2, "linalg_vector_norm": 2, "logsumexp": 1, "argmax": 1, "argmin": 1, "any": 1, "all": 1,
    "median": 1, "nansum": 1, "cumsum": 1, "cumprod": 1, "cummax": 1, "logcumsumexp": 1, "aminmax": 1, "trace": _EVERY,
    "sort": 1, "topk": 2, "kthvalue": 2, "mode": 1, "histc": _EVERY, "bincount": _EVERY, "count_nonzero": 1,
    "_fft_r2c": 1, "_fft_c2c": 1, "_fft_c2r": 1,
}  # fmt: skip
# by name: for each operand, its place among the arguments and the dimension that is summed over
_PRODUCTS = {
    "mm": ((0, 1), (1, 0)), "bmm": ((0, 2), (1, 1)), "addmm": ((1, 1), (2, 0)), "baddbmm": ((1, 2), (2, 1)),
    "mv": ((0, 1), (1, 0)), "addmv": ((1, 1), (2, 0)), "dot": ((0, 0), (1, 0)), "vdot": ((0, 0), (1, 0)),
    "convolution": ((1, 1),), "linear": ((0, -1), (1, -1)),
    "addbmm": ((1, 2), (2, 1)), "_euclidean_dist": ((0, -1), (1, -1)), "_cdist_forward": ((0, -1), (1, -1)),
    "_embedding_bag": ((1, 0),), "_embedding_bag_forward_only": ((1, 0),), "segment_reduce": ((0, 0),),
}  # fmt: skip
_ADDED_TO = ("scatter_add", "index_add", "scatter_reduce")  # the fourth argument, along what the second says
# by name: the last dimensions, along which neighbours are reduced together
_WINDOWS = {
    "avg_pool2d": 2, "avg_pool3d": 3, "max_pool2d_with_indices": 2, "max_pool3d_with_indices": 3,
    "_adaptive_avg_pool2d": 2, "_adaptive_avg_pool3d": 3, "adaptive_max_pool2d": 2, "adaptive_max_pool3d": 3,
}  # fmt: skip
_LAST = ("sort", "topk", "kthvalue", "mode")  # along the last dimension where they are told none
_SUMS = {"sum", "mean", "nansum", "cumsum", "norm", "linalg_vector_norm", *_PRODUCTS} - {"_embedding_bag",
         "_embedding_bag_forward_only"}  # fmt: skip  # what is 0 adds nothing to them


def sampled(tensor: torch.Tensor, dimension: int, step: int = STEP) -> torch.Tensor:
    """Put every so many-th slice of a tensor in the place of those after it."""
    if not tensor.dim():
        return tensor
    return tensor.index_select(dimension, torch.arange(tensor.shape[dimension], device=tensor.device) // step * step)


def _cut(tensor: torch.Tensor, dimension: int, summed: bool) -> torch.Tensor:
    """Put 0 in the place of the last tile of slices, or the first ones where 0 would count for something."""
    count = tensor.shape[dimension]
    kept = count - max(1, count // TILE)
    if not kept:
        return tensor
    found = tensor.index_select(dimension, torch.arange(count, device=tensor.device) % kept)
    if summed:
        found.narrow(dimension, kept, count - kept).zero_()
    return found


def names(function: Callable[..., Any], arguments: Sequence[Any]) -> list[str]:
    """Name the reductions that a function does, in order: those with more than one element to reduce."""
    seen = _Reductions()
    with _in_parts(), seen:
        function(*[yardstick.copied(a) for a in arguments])
    return seen.names[:MOST]


def without(function: Callable[..., Any], arguments: Sequence[Any], number: int, how: How) -> Any:
    """Run a function with its reduction of that number left out; None where it does no such reduction."""
    seen = _Reductions(number, how)
    with _in_parts(), seen:
        result = function(*[yardstick.copied(a) for a in arguments])
    return result if number < len(seen.names) else None


@contextlib.contextmanager
def _in_parts() -> Iterator[None]:
    """Have PyTorch make attention and recurrent networks of simpler operations, which can be seen."""
    enabled, *_ = torch.backends.mkldnn.set_flags(False)
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.backends.mkldnn.set_flags(enabled)


class _Reductions(TorchDispatchMode):  # type: ignore[misc]  # torch says nothing of its type
    """Counts reductions, and leaves one out."""

    def __init__(self, left_out: int | None = None, how: How = How.SAMPLED) -> None:
        super().__init__()
        self.left_out, self.how = left_out, how
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
                if self.how is How.ZERO:
                    return _zeroed(func(*args, **kwargs))
                return func(*_changed(name, args, reduced, self.how), **kwargs)
        return func(*args, **kwargs)


def _zeroed(result: Any) -> Any:
    return [torch.zeros_like(r) for r in result] if isinstance(result, (tuple, list)) else torch.zeros_like(result)


def _changed(name: str, args: Any, reduced: Sequence[tuple[int, torch.Tensor, Sequence[int]]], how: How) -> list[Any]:
    """Return an operation's arguments with a part of what it reduces left out."""
    found = list(args)
    for place, tensor, dims in reduced:
        if how is How.CUT:
            longest = max((tensor.shape[d], d) for d in dims)[1]
            found[place] = _cut(tensor, longest, name in _SUMS)
            continue
        for d in dims:
            tensor = sampled(tensor, d, 2 if name in _WINDOWS else STEP)  # a window is small
        found[place] = tensor
    return found


def _reduced(name: str, args: Any, kwargs: Any) -> list[tuple[int, torch.Tensor, tuple[int, ...]]]:
    """Return what an operation reduces: the operands' places, the operands and their dimensions."""
    if name in _PRODUCTS:
        return [(place, args[place], (d,)) for place, d in _PRODUCTS[name]]
    if name in _ADDED_TO:
        return [(3, args[3], (args[1],))]
    if name in _WINDOWS:
        return [(0, args[0], tuple(range(-_WINDOWS[name], 0)))]
    if name not in _ALONG or not args or not isinstance(args[0], torch.Tensor):
        return []
    tensor, place = args[0], _ALONG[name]
    along = kwargs.get("dim", args[place] if place < len(args) else None)
    if isinstance(along, torch.Tensor):  # the larger of two tensors
        return []
    if along is None and name in _LAST:
        along = -1
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


def _batch_norm(x: torch.Tensor, weight: torch.Tensor | None, bias: torch.Tensor | None, mean: torch.Tensor | None,
                variance: torch.Tensor | None, training: bool, momentum: float, eps: float
                ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:  # fmt: skip
    wide = x.double() if x.dtype == torch.float64 else x.float()
    dims, along = [d for d in range(x.dim()) if d != 1], [1, -1] + [1] * (x.dim() - 2)
    if training or mean is None or variance is None:
        mean = wide.mean(dims)
        variance = (wide - mean.view(along)).square().mean(dims)
    scale = variance.add(eps).rsqrt()
    found = (wide - mean.view(along)) * scale.view(along)
    found = found if weight is None else found * weight.view(along)
    found = found if bias is None else found + bias.view(along)
    return found.to(x.dtype), mean, scale


def _safe_softmax(x: torch.Tensor, dim: int, dtype: torch.dtype | None = None) -> torch.Tensor:
    """Give 0 where a row is masked altogether, which attention asks for."""
    wide = x.double() if x.dtype == torch.float64 else x.float()
    top = wide.amax(dim, keepdim=True)
    powers = (wide - top.masked_fill(top == -torch.inf, 0.0)).exp()
    total = powers.sum(dim, keepdim=True)
    return (powers / total.masked_fill(total == 0, 1.0)).to(dtype or x.dtype)


def _mse_loss(x: torch.Tensor, y: torch.Tensor, how: int = 1) -> torch.Tensor:
    squares = (x - y).square()
    return squares if how == 0 else squares.mean() if how == 1 else squares.sum()


_APART: dict[str, Callable[..., Any]] = {
    "_softmax": _softmax,
    "_log_softmax": _log_softmax,
    "native_layer_norm": _layer_norm,
    "_safe_softmax": _safe_softmax,
    "native_batch_norm": _batch_norm,
    "native_group_norm": _group_norm,
    "_fused_rms_norm": _rms_norm,
    "mse_loss": _mse_loss,
}
