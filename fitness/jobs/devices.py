"""Lets a child open a GPU: it begins with all of them hidden, as every child of the fork server does."""

import contextlib
import ctypes
import os
import tempfile
from typing import Any

from triton.runtime import driver as runtime

_built: Any = None  # Triton's driver for NVIDIA's GPUs, built by the server before it forked this child


def build() -> bool:
    """Build in the server what Triton would build in every child before its first launch, by the C compiler.

    Return whether there is NVIDIA's library. It is loaded and not started, so children may start it. Where the build
    fails every child builds for itself, and says why it cannot.
    """
    global _built  # noqa: PLW0603  what a fork takes over
    if not _find_library():
        return False
    from triton.backends.nvidia.driver import CudaDriver

    with contextlib.suppress(Exception), tempfile.TemporaryDirectory() as folder:
        os.environ["TRITON_CACHE_DIR"] = folder
        _built = CudaDriver()
    return True


def choose(visible: str) -> None:
    """Show one GPU, by the name its driver's own variable has for it. Call this before torch touches a device."""
    os.environ.update(CUDA_VISIBLE_DEVICES=visible, HIP_VISIBLE_DEVICES=visible)
    if _find_library() and _built is not None:
        runtime.set_active(_built)


def _find_library() -> bool:
    """Say where NVIDIA's library lies, if there is one: else Triton would start ldconfig to find it; no child may."""
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return False
    with open("/proc/self/maps") as maps:
        paths = [line.split()[-1] for line in maps if "/libcuda.so" in line]
    if paths:
        os.environ["TRITON_LIBCUDA_PATH"] = os.path.dirname(paths[0])
    return True
