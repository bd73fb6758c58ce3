"""Attention, forward: softmax(scale * Q @ K^T) @ V for every head, causal or not, without the matrix of scores in memory.

Q is batch x heads x m x d, K and V are batch x heads x n x d, with d a power of two from 16 to 128; with `causal`, query i
sees keys 0 to i. Scores and sums are float32; the weights may be rounded once to the dtype of V before the second
product; the result is rounded once. Compute bound. What is hard: a softmax that is computed while keys go by, with its
running maximum and sum, two dots of which one feeds the other, and blocks beyond the diagonal that must not be computed.
"""
import torch

from suites import Case, Input, edge

entry = "flashattention_fwd"
category = "attention"
level = 5


def scores(q, k, causal, scale):
    found = q @ k.transpose(-1, -2) * scale
    if causal:
        hidden = torch.ones(found.shape[-2:], dtype=torch.bool, device=q.device).triu(1)
        found = found.masked_fill(hidden, float("-inf"))
    return found


def wide(*tensors):
    return [t.to(torch.promote_types(t.dtype, torch.float32)) for t in tensors]


def by_heads(heads, q, k, v):
    # head by head, for the memory's sake
    whole = [t.reshape(-1, *t.shape[2:]) for t in (q, k, v)]
    return torch.stack([heads(*parts) for parts in zip(*whole, strict=True)]).reshape(q.shape) if q.numel() else q


def reference(q, k, v, causal, scale):
    def head(*parts):
        a, b, c = wide(*parts)
        return (torch.softmax(scores(a, b, causal, scale), -1) @ c).to(q.dtype)

    return by_heads(head, q, k, v)


def rounded(q, k, v, causal, scale):
    def head(*parts):
        a, b, c = wide(*parts)
        return (torch.softmax(scores(a, b, causal, scale), -1).to(v.dtype).float() @ c).to(q.dtype)

    return by_heads(head, q, k, v)


def rounded_by_keys(q, k, v, causal, scale):
    # maximum and sum of a row first, then keys in blocks, each with the final weights
    def head(*parts):
        a, b, c = wide(*parts)
        logits = scores(a, b, causal, scale)
        weights = torch.exp(logits - torch.logsumexp(logits, -1, keepdim=True))
        found = torch.zeros_like(a)
        for block, values in zip(weights.split(128, -1), c.split(128), strict=True):
            found = found + block.to(v.dtype).float() @ values
        return found.to(q.dtype)

    return by_heads(head, q, k, v)


def online(q, k, v, causal, scale):
    # keys in blocks, with a running maximum and sum, in base two
    def head(*parts):
        a, b, c = wide(*parts)
        logits = scores(a, b, causal, scale * 1.4426950408889634)
        largest = torch.full((a.shape[0], 1), float("-inf"), device=a.device)
        total, found = torch.zeros_like(largest), torch.zeros_like(a)
        for block, values in zip(logits.split(128, -1), c.split(128), strict=True):
            new = torch.maximum(largest, block.amax(-1, keepdim=True))
            powers, shrink = torch.exp2(block - new), torch.exp2(largest - new)
            total = total * shrink + powers.sum(-1, keepdim=True)
            found = found * shrink + powers.to(v.dtype).float() @ values
            largest = new
        return (found / total).to(q.dtype)

    return by_heads(head, q, k, v)


def fused(q, k, v, causal, scale):
    if not q.numel():  # torch 2.11 returns None for it on a GPU
        return q
    return torch.nn.functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale)


honest = [rounded, rounded_by_keys, online, fused]


def operands(b, h, m, n, d, causal, dtype, v, scale):
    # Q and K stay small, so that weights are neither equal nor all but one zero. V has no heavy tails: of a weight that
    # is rounded before it meets a value a hundred times the others', nobody can say how far off it may be
    shape, middle = (b, h, n, d), ("normal", "uniform", "signs")
    return {
        "q": Input((b, h, m, d), dtype, trials=middle),
        "k": Input(shape, dtype, trials=middle),
        "v": Input(shape, dtype, v, trials=("normal", "uniform", "spike", "signs", "offset")),
        "causal": causal,
        "scale": scale,
    }


def case(name, b, h, m, n, d, causal=False, dtype="float16", v="normal", scale=0.125, small=(1, 2, 48, 64, 32)):
    full = operands(b, h, m, n, d, causal, dtype, v, scale)
    # half of the scores, diagonal included, where each query sees the keys up to itself
    seen = sum(min(i + 1, n) for i in range(m)) if causal else m * n
    traffic = sum(full[name].bytes for name in "qkv") + full["q"].bytes
    return Case(name, full, flops=4 * b * h * seen * d, bytes=traffic,
                small=operands(*small, causal, dtype, v, scale))  # fmt: skip


cases = [
    case("4x16x4096x64-fp16", 4, 16, 4096, 4096, 64, small=(2, 2, 40, 48, 32)),
    case("2x16x4096x128-causal-bf16-uniform", 2, 16, 4096, 4096, 128, True, "bfloat16", "uniform", 0.088,
         small=(1, 2, 70, 70, 32)),  # fmt: skip
    case("1x8x3001x5003x64-fp16-spike", 1, 8, 3001, 5003, 64, v="spike", scale=0.25, small=(1, 1, 37, 83, 32)),
    case("8x32x1024x64-causal-bf16-offset", 8, 32, 1024, 1024, 64, True, "bfloat16", "offset",
         small=(2, 1, 40, 40, 16)),  # fmt: skip
]
held_out = [
    case("1x12x2047x64-causal-fp16-uniform", 1, 12, 2047, 2047, 64, True, v="uniform", small=(1, 2, 63, 63, 16)),
    case("3x5x1021x2039x32-bf16", 3, 5, 1021, 2039, 32, dtype="bfloat16", small=(2, 1, 53, 71, 16)),  # primes
    case("16x8x1x8192x128-fp16-signs", 16, 8, 1, 8192, 128, v="signs", small=(3, 2, 1, 160, 32)),  # one query
]


def corner(name, b, h, m, n, d, causal=False, dtype="float16", v="normal", scale=0.25):
    return edge(name, operands(b, h, m, n, d, causal, dtype, v, scale))


edges = [
    corner("1x1x31x33x16-fp16-uniform", 1, 1, 31, 33, 16, v="uniform"),
    corner("1x2x33x33x16-causal-bf16-spike", 1, 2, 33, 33, 16, True, "bfloat16", "spike"),
    corner("1x1x5x40x32-causal-fp16", 1, 1, 5, 40, 32, True),  # most keys are never seen
    corner("1x1x40x5x32-causal-fp16", 1, 1, 40, 5, 32, True),  # later queries see all keys
    corner("2x1x1x1x16-fp16", 2, 1, 1, 1, 16),
    corner("0x2x16x16x16-fp16", 0, 2, 16, 16, 16),
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def attention_kernel(
    out_ptr, q_ptr, k_ptr, v_ptr, scale, M, N,
    D: tl.constexpr, CAUSAL: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr,
):
    # one program per block of queries of one head; heads start beyond 2^31 elements in larger batches
    tiles = tl.cdiv(M, BLOCK_M)
    head = (tl.program_id(0) // tiles).to(tl.int64)
    first = (tl.program_id(0) % tiles) * BLOCK_M
    offs_m, offs_d = first + tl.arange(0, BLOCK_M), tl.arange(0, D)
    q_ptrs = head * M * D + offs_m[:, None] * D + offs_d[None, :]
    q = tl.load(q_ptr + q_ptrs, mask=offs_m[:, None] < M, other=0.0)
    largest = tl.full((BLOCK_M,), float("-inf"), tl.float32)
    total = tl.zeros((BLOCK_M,), tl.float32)
    acc = tl.zeros((BLOCK_M, D), tl.float32)
    end = tl.minimum(N, first + BLOCK_M) if CAUSAL else N
    for start in range(0, end, BLOCK_N):
        offs_n = start + tl.arange(0, BLOCK_N)
        places = head * N * D + offs_n[:, None] * D + offs_d[None, :]
        k = tl.load(k_ptr + places, mask=offs_n[:, None] < N, other=0.0)
        v = tl.load(v_ptr + places, mask=offs_n[:, None] < N, other=0.0)
        seen = offs_n[None, :] < N
        if CAUSAL:
            seen = seen & (offs_n[None, :] <= offs_m[:, None])
        logits = tl.where(seen, tl.dot(q, k.T) * scale, float("-inf"))
        # the first key is seen by every query, so the maximum is finite from the first block on
        new = tl.maximum(largest, tl.max(logits, axis=1))
        powers, shrink = tl.exp(logits - new[:, None]), tl.exp(largest - new)
        total = total * shrink + tl.sum(powers, axis=1)
        acc = tl.dot(powers.to(v.dtype), v, acc * shrink[:, None])
        largest = new
    out = (acc / total[:, None]).to(out_ptr.dtype.element_ty)
    tl.store(out_ptr + q_ptrs, out, mask=offs_m[:, None] < M)


def flashattention_fwd(q, k, v, causal, scale):
    B, H, M, D = q.shape
    N = k.shape[2]
    out = torch.empty((B, H, M, D), dtype=q.dtype, device=q.device)
    grid = lambda meta: (B * H * triton.cdiv(M, meta["BLOCK_M"]),)
    attention_kernel[grid](
        out, q, k, v, scale, M, N, D=D, CAUSAL=causal, BLOCK_M=32, BLOCK_N=32, num_warps=4, num_stages=1
    )
    return out
# evo-kernel: end
