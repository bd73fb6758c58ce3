"""A Triton driver and the torch.cuda answers for a chip that is not in this machine."""

import types
from collections.abc import Callable
from typing import Any, NoReturn

import torch
from triton.backends.compiler import GPUTarget
from triton.backends.driver import DriverBase
from triton.runtime import driver

from fitness.child import Refused

_ORDER = "streams, events and graphs belong to whoever runs the plan; launch kernels in order"


def install(target: GPUTarget, sheet: dict[str, Any]) -> None:
    """Make launchers of this process believe that the chip is there. For short-lived children only."""
    driver.set_active(RecordingDriver(target, sheet))
    properties = types.SimpleNamespace(
        name=sheet["name"],
        multi_processor_count=sheet["units"],
        warp_size=sheet["wave"],
        major=9,
        minor=0,
        gcnArchName=str(target.arch),
        shared_memory_per_block=sheet["shared"],
        shared_memory_per_multiprocessor=sheet["shared"],
        shared_memory_per_block_optin=sheet["shared"],
        regs_per_multiprocessor=65536,
        max_threads_per_multi_processor=2048,
        total_memory=64 << 30,
        L2_cache_size=8 << 20,
    )
    answers: dict[str, Any] = {
        "is_available": lambda: True,
        "current_device": lambda: 0,
        "device_count": lambda: 1,
        "synchronize": lambda *_: None,
        "set_device": lambda *_: None,
        "get_device_properties": lambda *_: properties,
        "get_device_capability": lambda *_: (9, 0) if target.backend == "cuda" else (9, 4),
        "get_device_name": lambda *_: sheet["name"],
        "current_stream": lambda *_: types.SimpleNamespace(cuda_stream=0),
        "_exchange_device": lambda *_: 0,
        "_maybe_exchange_device": lambda *_: 0,
        "_lazy_init": lambda: None,
    }
    for kind in (torch.cuda.Stream, torch.cuda.Event, torch.cuda.CUDAGraph):
        kind.__new__ = _refusal(f"torch.cuda.{kind.__name__}", _ORDER)
    for name in ("stream", "graph", "cudart", "make_graphed_callables"):
        answers[name] = _refusal(f"torch.cuda.{name}", _ORDER)
    for name, answer in answers.items():
        setattr(torch.cuda, name, answer)
    torch.compile = _refusal("torch.compile", "write the kernel in Triton")
    torch.version.hip = "6.4" if target.backend == "hip" else None
    torch.version.cuda = "13.0" if target.backend == "cuda" else None


def _refusal(name: str, advice: str) -> Callable[..., NoReturn]:
    """Make an answer that says no."""

    def refuse(*_: Any, **__: Any) -> NoReturn:
        raise Refused("host-operation", f"the launcher uses {name}: {advice}")

    return refuse


class RecordingDriver(DriverBase):
    """Answers what Triton's runtime asks; nothing is ever launched through it."""

    def __init__(self, target: GPUTarget, sheet: dict[str, Any]) -> None:
        self._target = target
        self.utils = types.SimpleNamespace(
            get_device_properties=lambda _: {
                "max_shared_mem": sheet["shared"],
                "multiprocessor_count": sheet["units"],
                "warpSize": sheet["wave"],
                "max_num_regs": 65536,
                "sm_clock_rate": int(sheet["clock_ghz"] * 1e6),
                "mem_clock_rate": 1_000_000,
                "mem_bus_width": 8192,
            }
        )

    @classmethod
    def is_active(cls) -> bool:
        """Never offer itself: it is set by hand."""
        return False

    def map_python_to_cpp_type(self, ty: str) -> str:
        """Return the type as it is; no launcher is built."""
        return ty

    def get_current_target(self) -> GPUTarget:
        """Return the chip asked for."""
        return self._target

    def get_active_torch_device(self) -> torch.device:
        """Return the device recorded tensors claim."""
        return torch.device("cuda", 0)

    def get_benchmarker(self) -> Any:
        """Refuse to time: a plan is timed by the judge."""
        raise RuntimeError("a launcher cannot benchmark while it is recorded")

    def get_current_device(self) -> int:
        """Return the only device."""
        return 0

    def set_current_device(self, device: int) -> None:
        """Accept the only device."""

    def get_current_stream(self, device: int) -> int:
        """Return the default stream."""
        return 0

    def get_device_interface(self) -> Any:
        """Return torch's module for the device."""
        return torch.cuda

    def get_empty_cache_for_benchmark(self) -> Any:
        """Refuse to time: a plan is timed by the judge."""
        raise RuntimeError("a launcher cannot benchmark while it is recorded")

    def clear_cache(self, cache: Any) -> None:
        """Clear nothing."""
