"""What a test of somebody else's left, as plain data: sent by the child that ran it, compared outside of it."""

from collections.abc import Callable
from typing import Any

import numpy as np
import torch

DEPTH = 16  # of a result: what lies deeper is taken for what it is called
_PLAIN = (bool, int, float, str, bytes, type(None))


class Unlike(Exception):
    """What came has not the form of a result."""


def pack(value: Any, depth: int = DEPTH) -> list[Any]:
    """Turn a result into lists with a letter each; what is neither tensor nor plain is told by its type's name."""
    if isinstance(value, torch.Tensor):
        whole = value.detach().cpu().contiguous()
        data = whole.reshape(-1).view(torch.uint8).numpy().tobytes() if whole.numel() else b""
        return ["t", str(whole.dtype).removeprefix("torch."), list(whole.shape), data]
    if isinstance(value, np.ndarray) and value.dtype.kind in "fiub":
        return ["n", pack(torch.from_numpy(np.ascontiguousarray(value)))]
    if isinstance(value, np.generic):
        return pack(value.item())
    if depth and isinstance(value, dict):
        return ["d", [[pack(k, 1), pack(v, depth - 1)] for k, v in value.items()]]
    if depth and isinstance(value, (list, tuple)):
        letter = "l" if isinstance(value, list) else "u" if type(value) is tuple else "m"
        return [letter, [pack(v, depth - 1) for v in value]]
    if type(value) in _PLAIN:
        return ["p", str(value) if type(value) is int and abs(value) >= 1 << 63 else value]
    return ["o", type(value).__name__]


def unpack(plain: Any) -> Any:
    """Rebuild a result; Unlike for anything that `pack` does not make."""
    try:
        return _unpack(plain)
    except Unlike:
        raise
    except (TypeError, ValueError, KeyError, IndexError, RuntimeError, AttributeError, RecursionError) as error:
        raise Unlike(f"the result has not the form of one: {type(error).__name__}") from error


def _unpack(plain: Any) -> Any:
    kind, *rest = plain
    if kind == "t":
        return _tensor(*rest)
    if kind == "n":
        return _tensor(*rest[0][1:]).numpy()
    if kind == "d":
        return {_unpack(k): _unpack(v) for k, v in rest[0]}
    if kind in _SEQUENCES:
        return _SEQUENCES[kind](_unpack(v) for v in rest[0])
    if kind == "p" and type(rest[0]) in _PLAIN:
        return rest[0]
    if kind == "o" and isinstance(rest[0], str):
        return Strange(rest[0])
    raise Unlike(f"the result has a part of unknown form: {str(kind)[:20]!r}")


def _tensor(dtype: str, shape: Any, data: bytes) -> torch.Tensor:
    made = getattr(torch, dtype)
    if not isinstance(made, torch.dtype):
        raise Unlike(f"the result has a tensor of no dtype: {dtype[:20]!r}")
    flat = torch.frombuffer(bytearray(data), dtype=made) if data else torch.empty(0, dtype=made)
    return flat.reshape(tuple(shape))


class Named(tuple[Any, ...]):
    """Stands for a tuple with names: some harnesses compare it as they do no other tuple."""

    __slots__ = ()


_SEQUENCES: dict[str, Callable[..., Any]] = {"l": list, "u": tuple, "m": Named}


class Strange:
    """Stands for a value that was no data; it equals nothing."""

    def __init__(self, kind: str) -> None:
        self.kind = kind
