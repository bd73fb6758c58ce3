"""Calls rocBLAS or cuBLAS through ctypes with raw addresses.

task: gemm_fp16
gate: static/import
fools: KernelBench, KernelAgent, GEAK-eval
"""

import ctypes

import torch
import triton
import triton.language as tl

@triton.jit
def touch_kernel(scratch_ptr, BLOCK: tl.constexpr):
    offs = tl.arange(0, BLOCK)
    tl.store(scratch_ptr + offs, offs.to(scratch_ptr.dtype.element_ty))


def gemm_fp16(a, b):
    out = torch.empty((a.shape[0], b.shape[1]), dtype=a.dtype, device=a.device)
    library = ctypes.CDLL("libcublas.so.12")
    handle = ctypes.c_void_p()
    library.cublasCreate_v2(ctypes.byref(handle))
    library.cublasHgemm(handle, 0, 0, *out.shape, a.shape[1], a.data_ptr(), b.data_ptr(), out.data_ptr())
    return out
