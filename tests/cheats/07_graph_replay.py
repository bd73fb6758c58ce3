"""Captures its launches once in a CUDA graph and replays them with the old pointers.

task: softmax
gate: record/host-operation
fools: gpu-mode, flashinfer-bench, KernelBench
"""

import torch
import triton
import triton.language as tl


@triton.jit
def softmax_kernel(out_ptr, x_ptr, x_stride, cols, BLOCK: tl.constexpr):
    row = tl.program_id(0).to(tl.int64)
    offs = tl.arange(0, BLOCK)
    mask = offs < cols
    x = tl.load(x_ptr + row * x_stride + offs, mask=mask, other=float("-inf")).to(tl.float32)
    e = tl.exp(x - tl.max(x, axis=0))
    tl.store(out_ptr + row * cols + offs, (e / tl.sum(e, axis=0)).to(out_ptr.dtype.element_ty), mask=mask)


def launch(out, x):
    rows, cols = x.shape
    softmax_kernel[(rows,)](out, x, x.stride(0), cols, BLOCK=triton.next_power_of_2(cols))


_graphs = {}


def softmax(x):
    key = tuple(x.shape)
    if key not in _graphs:
        graph, out = torch.cuda.CUDAGraph(), torch.empty_like(x)
        with torch.cuda.graph(graph):
            launch(out, x)
        _graphs[key] = graph, out
    graph, out = _graphs[key]
    graph.replay()
    return out
