"""Dequantization in groups: out[r, c] = (q[r, c] - zero[r, g]) * scale[r, g], with g = c // 64 the group of 64 neighbours.

q and the zero points are 8-bit integers, signed or not; their difference is exact, its product with the scale is rounded
once to the scale's dtype, which is the result's. Memory bound: one byte read and two or four written for each element,
and 64 elements share a scale. What is hard: wide loads of bytes beside wide stores of larger numbers, scales that are
loaded once for a group and not for each element, and a last group that may be cut short.
"""
import torch

from suites import Case, Input, edge

entry = "dequantize"
category = "quantization"
level = 2
GROUP = 64


def spread(per_group, cols):
    return per_group.repeat_interleave(GROUP, dim=1)[:, :cols]


def reference(q, zero, scale):
    whole = spread(zero, q.shape[1]).to(torch.int32)
    dtype = torch.promote_types(scale.dtype, torch.float32)
    return ((q.to(torch.int32) - whole).to(dtype) * spread(scale, q.shape[1]).to(dtype)).to(scale.dtype)


def in_float32(q, zero, scale):
    return ((q.float() - spread(zero, q.shape[1]).float()) * spread(scale, q.shape[1]).float()).to(scale.dtype)


def by_groups(q, zero, scale):
    # a row for each group, the last one filled up
    whole = torch.nn.functional.pad(q, (0, -q.shape[1] % GROUP)).reshape(*zero.shape, GROUP)
    found = (whole.float() - zero.float()[:, :, None]) * scale.float()[:, :, None]
    return found.to(scale.dtype).flatten(1)[:, : q.shape[1]].contiguous()


honest = [in_float32, by_groups]


def operands(rows, cols, kind, dtype, distribution, pad=0):
    groups = -(-cols // GROUP)
    # a difference is at most 255: with larger scales float16 would end
    trials = ("normal", "uniform", "signs", "offset", *([] if dtype == "float16" else ["heavy", "spike"]))
    return {
        "q": Input((rows, cols), kind, "integers", pad=pad),
        "zero": Input((rows, groups), kind, "integers"),
        "scale": Input((rows, groups), dtype, distribution, trials=trials),
    }


def case(name, rows, cols, kind="int8", dtype="float16", distribution="normal", small=(8, 512)):
    full = operands(rows, cols, kind, dtype, distribution)
    return Case(
        name,
        full,
        flops=2 * rows * cols,
        bytes=sum(i.bytes for i in full.values()) + Input((rows, cols), dtype).bytes,
        small=operands(*small, kind, dtype, distribution),
    )


cases = [
    case("8192x8192-int8-fp16", 8192, 8192),
    case("16384x4096-uint8-bf16-heavy", 16384, 4096, "uint8", "bfloat16", "heavy", small=(16, 256)),
    case("4096x11008-int8-fp32-uniform", 4096, 11008, "int8", "float32", "uniform", small=(5, 704)),
    case("5003x5009-uint8-fp16-signs", 5003, 5009, "uint8", "float16", "signs", small=(11, 263)),  # primes
]
held_out = [
    case("2047x16385-int8-bf16-offset", 2047, 16385, "int8", "bfloat16", "offset", small=(7, 513)),
    case("100003x65-uint8-fp32-spike", 100_003, 65, "uint8", "float32", "spike", small=(33, 65)),
    case("1x16777259-int8-fp16", 1, 16_777_259, small=(1, 4099)),
]


def corner(name, rows, cols, kind="int8", dtype="float16", distribution="normal", pad=0):
    return edge(name, operands(rows, cols, kind, dtype, distribution, pad))


edges = [
    corner("3x255-uint8-fp32-uniform", 3, 255, "uint8", "float32", "uniform"),
    corner("5x129-padded-int8-fp16-signs", 5, 129, distribution="signs", pad=7),
    corner("31x1-int8-bf16", 31, 1, dtype="bfloat16"),
    corner("0x64-int8-fp16", 0, 64),
    corner("65537x32771-int8-fp16", 65537, 32771),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def dequantize_kernel(out_ptr, q_ptr, zero_ptr, scale_ptr, q_stride, cols, groups, GROUP: tl.constexpr,
                      BLOCK: tl.constexpr):
    # one program per part of a row; the row's start is 64-bit because rows * cols may pass 2^31 elements
    parts = tl.cdiv(cols, BLOCK)
    row = (tl.program_id(0) // parts).to(tl.int64)
    offs = (tl.program_id(0) % parts) * BLOCK + tl.arange(0, BLOCK)
    mask = offs < cols
    q = tl.load(q_ptr + row * q_stride + offs, mask=mask, other=0).to(tl.float32)
    zero = tl.load(zero_ptr + row * groups + offs // GROUP, mask=mask, other=0).to(tl.float32)
    scale = tl.load(scale_ptr + row * groups + offs // GROUP, mask=mask, other=0.0).to(tl.float32)
    tl.store(out_ptr + row * cols + offs, ((q - zero) * scale).to(out_ptr.dtype.element_ty), mask=mask)


def dequantize(q, zero, scale):
    rows, cols = q.shape
    group = 64  # of the definition, and no setting
    out = torch.empty((rows, cols), dtype=scale.dtype, device=q.device)
    grid = lambda meta: (rows * triton.cdiv(cols, meta["BLOCK"]),)
    dequantize_kernel[grid](
        out, q, zero, scale, q.stride(0), cols, scale.shape[1], GROUP=group, BLOCK=512, num_warps=4
    )
    return out
# evo-kernel: end
