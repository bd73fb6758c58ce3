"""Expert products of a mixture: out[t] = gate[t] * (x[t] @ W[expert[t]]^T) for every token t.

`expert` names one of a few weight matrices for each token, in no order; a token that goes to several experts stands
there several times. Summed in float32, multiplied by the gate, rounded once. Compute bound for many tokens, else bound
by reading every expert's weights. What is hard: tokens of one expert lie anywhere, so rows must be gathered for a dot
or tiles be wasted on rows of others, and experts are chosen unevenly.
"""
import torch

from suites import Case, Input, edge

entry = "moe_gemm"
category = "matrix product"
level = 5


def reference(x, weights, expert, gate):
    return routed(x, weights, expert, gate).to(x.dtype)


def routed(x, weights, expert, gate):
    dtype = torch.promote_types(x.dtype, torch.float32)
    out = torch.zeros((x.shape[0], weights.shape[1]), dtype=dtype, device=x.device)
    for e in range(weights.shape[0]):
        mine = (expert == e).nonzero()[:, 0]
        out[mine] = x[mine].to(dtype) @ weights[e].to(dtype).T * gate[mine, None].to(dtype)
    return out


def by_experts(x, weights, expert, gate):
    # every token through every expert, and all but one product thrown away
    out = torch.zeros((x.shape[0], weights.shape[1]), device=x.device)
    for e in range(weights.shape[0]):
        out += torch.where(expert[:, None] == e, x.float() @ weights[e].float().T, 0.0)
    return (out * gate.float()[:, None]).to(x.dtype)


def in_float32(x, weights, expert, gate):
    # in order of their experts, the gate taken first
    order = torch.argsort(expert)
    rows = [
        (x[part].float() * gate[part, None].float()) @ weights[e].float().T
        for e, part in enumerate(torch.split(order, torch.bincount(expert, minlength=weights.shape[0]).tolist()))
    ]
    return torch.cat(rows)[torch.argsort(order)].to(x.dtype)

honest = [by_experts, in_float32]
exact = True  # from -1, 0 and 1: any order of additions in float32 is


def operands(t, n, k, e, dtype, x):
    # X alone takes large values, or float16 would end
    wide = ("normal", "uniform", "heavy", "spike", "signs", "offset")
    return {
        "x": Input((t, k), dtype, x, trials=wide),
        "weights": Input((e, n, k), dtype, "normal", trials=("normal", "signs")),
        "expert": Input((t,), "int32", "indices", high=e),
        "gate": Input((t,), dtype, "uniform", trials=("normal", "uniform", "signs")),
    }


def case(name, t, n, k, e, dtype="float16", x="normal", small=(48, 64, 128, 3)):
    full = operands(t, n, k, e, dtype, x)
    return Case(
        name,
        full,
        flops=2 * t * n * k,
        bytes=sum(i.bytes for i in full.values() if isinstance(i, Input)) + Input((t, n), dtype).bytes,
        small=operands(*small, dtype, x),
    )


cases = [
    case("8192x4096x2048-of-8-fp16", 8192, 4096, 2048, 8),
    case("4096x2048x4096-of-16-bf16-uniform", 4096, 2048, 4096, 16, "bfloat16", "uniform", small=(40, 48, 96, 5)),
    case("3001x5003x1000-of-7-fp16-signs", 3001, 5003, 1000, 7, x="signs", small=(37, 53, 72, 4)),
    case("16384x1024x1024-of-32-bf16-spike", 16384, 1024, 1024, 32, "bfloat16", "spike", small=(64, 32, 64, 6)),
]
held_out = [
    case("4097x1025x2049-of-5-fp16-heavy", 4097, 1025, 2049, 5, x="heavy", small=(65, 33, 65, 2)),
    case("2039x3049x1021-of-11-bf16", 2039, 3049, 1021, 11, "bfloat16", small=(41, 53, 37, 3)),  # primes
    case("61x4096x4096-of-8-fp16-offset", 61, 4096, 4096, 8, x="offset", small=(31, 48, 128, 4)),
]


def corner(name, t, n, k, e, dtype="float16", x="normal"):
    return edge(name, operands(t, n, k, e, dtype, x))


edges = [
    corner("31x33x31-of-2-fp16-uniform", 31, 33, 31, 2, x="uniform"),
    corner("33x31x33-of-40-bf16-heavy", 33, 31, 33, 40, "bfloat16", "heavy"),  # some experts have no token
    corner("9x7x16-of-1-fp16", 9, 7, 16, 1),
    corner("1x1x1-of-3-fp16", 1, 1, 1, 3),
    corner("0x16x16-of-2-fp16", 0, 16, 16, 2),
    corner("64x4099x16384-of-32-fp16", 64, 4099, 16384, 32),  # more than 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def moe_kernel(
    out_ptr, x_ptr, w_ptr, expert_ptr, gate_ptr, T, N, K, E,
    BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr,
):
    # one program per tile of the result; it goes through the experts and keeps each one's own rows
    tiles = tl.cdiv(N, BLOCK_N)
    offs_m = (tl.program_id(0) // tiles) * BLOCK_M + tl.arange(0, BLOCK_M)
    offs_n = (tl.program_id(0) % tiles) * BLOCK_N + tl.arange(0, BLOCK_N)
    expert = tl.load(expert_ptr + offs_m, mask=offs_m < T, other=-1)
    x_rows = x_ptr + offs_m.to(tl.int64)[:, None] * K
    acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)
    for e in range(0, E):
        mine = expert == e
        if tl.max(mine.to(tl.int32), axis=0) > 0:
            # weights of all experts together may pass 2^31 elements
            w_rows = w_ptr + (e * N + offs_n.to(tl.int64))[:, None] * K
            for start in range(0, K, BLOCK_K):
                offs_k = start + tl.arange(0, BLOCK_K)
                x = tl.load(x_rows + offs_k[None, :], mask=mine[:, None] & (offs_k[None, :] < K), other=0.0)
                w = tl.load(w_rows + offs_k[None, :], mask=(offs_n[:, None] < N) & (offs_k[None, :] < K), other=0.0)
                acc = tl.dot(x, w.T, acc)
    gate = tl.load(gate_ptr + offs_m, mask=offs_m < T, other=0.0).to(tl.float32)
    out = (acc * gate[:, None]).to(out_ptr.dtype.element_ty)
    out_ptrs = out_ptr + offs_m.to(tl.int64)[:, None] * N + offs_n[None, :]
    tl.store(out_ptrs, out, mask=(offs_m[:, None] < T) & (offs_n[None, :] < N))


def moe_gemm(x, weights, expert, gate):
    T, K = x.shape
    E, N = weights.shape[0], weights.shape[1]
    out = torch.empty((T, N), dtype=x.dtype, device=x.device)
    grid = lambda meta: (triton.cdiv(T, meta["BLOCK_M"]) * triton.cdiv(N, meta["BLOCK_N"]),)
    moe_kernel[grid](
        out, x, weights, expert, gate, T, N, K, E, BLOCK_M=16, BLOCK_N=64, BLOCK_K=64, num_warps=4, num_stages=1
    )
    return out
# evo-kernel: end
