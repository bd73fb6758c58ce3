"""Lets a child open a GPU: it begins with all of them hidden, as every child of the fork server does."""

import ctypes
import os


def choose(visible: str) -> None:
    """Show one GPU, by the name its driver's own variable has for it. Call this before torch touches a device."""
    os.environ.update(CUDA_VISIBLE_DEVICES=visible, HIP_VISIBLE_DEVICES=visible)
    try:
        ctypes.CDLL("libcuda.so.1")
    except OSError:
        return
    with open("/proc/self/maps") as maps:
        paths = [line.split()[-1] for line in maps if "/libcuda.so" in line]
    if paths:  # else Triton would start ldconfig to find it, which no child may
        os.environ["TRITON_LIBCUDA_PATH"] = os.path.dirname(paths[0])
