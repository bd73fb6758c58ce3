"""What a person would call in torch for the tasks whose reference computes in float32 or head by head: its fast ways.

A task's reference says what is right; it is no rival. Here a product is the vendor's in the operands' own dtypes, what
lies between two products is rounded where the task allows it, and sizes that a call refuses are padded on the way.
Whether that is right by the task's own limits is asked each time (`error`), and told beside the times.
"""

from collections.abc import Callable

import torch
from torch.nn import functional

from fitness import yardstick
from fitness.lint import ground
from suites import Task
from suites.loading import functions
from suites.trials import few

Tensor = torch.Tensor
LEAST_ROWS = 17  # that torch._int_mm multiplies


def chained_dot_fp8(q: Tensor, k: Tensor, v: Tensor, scale: float) -> Tensor:
    """Multiply twice in bfloat16."""
    wide = torch.bfloat16
    none = torch.empty((), dtype=wide, device=q.device)
    return torch.addmm(none, q.to(wide), k.to(wide).T, beta=0, alpha=scale) @ v.to(wide)


def chained_matmul(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Compute the small product first."""
    return a @ (b.T @ c)


def dot(x: Tensor, y: Tensor, z: Tensor) -> Tensor:
    """Call the product with an addend, with tf32 as the task allows it."""
    torch.backends.cuda.matmul.allow_tf32 = True
    made = torch.addmm(z, x, y)
    torch.backends.cuda.matmul.allow_tf32 = False
    return made


def flashattention_fwd(q: Tensor, k: Tensor, v: Tensor, causal: bool, scale: float) -> Tensor:
    """Call the fused attention that torch chooses."""
    return functional.scaled_dot_product_attention(q, k, v, is_causal=causal, scale=scale)


def fp8_gemm_scaled(a: Tensor, b: Tensor, scale_a: Tensor, scale_b: Tensor) -> Tensor:
    """Call the product with scales for e4m3; e5m2 by e5m2, which cuBLAS lacks, is computed in bfloat16."""
    if a.dtype != torch.float8_e4m3fn:
        return (_in_float32(a.bfloat16(), b.bfloat16().T) * scale_a[:, None] * scale_b).bfloat16()
    n = b.shape[0]
    a, b = (_padded(t.view(torch.uint8), 1, 16).view(t.dtype) for t in (a, b))
    b, scale_b = _padded(b.view(torch.uint8), 16, 1).view(b.dtype), _padded(scale_b[None], 1, 16)
    made = torch._scaled_mm(a, b.T, scale_a[:, None].contiguous(), scale_b.contiguous(), out_dtype=torch.bfloat16)
    return made[:, :n].contiguous()


def gemm_fusion(a: Tensor, b: Tensor, c: Tensor) -> Tensor:
    """Multiply twice, with a rectifier in place between."""
    return torch.relu_(a @ b.T) @ c


def int4_weight_gemm(x: Tensor, packed: Tensor, scale: Tensor) -> Tensor:
    """Make weights of the activations' dtype, and multiply."""
    nibbles = torch.stack([packed & 15, packed >> 4], dim=-1).reshape(packed.shape[0], -1, 128)
    return x @ ((nibbles.to(x.dtype) - 8) * scale[:, :, None]).reshape(packed.shape[0], -1).T


def int8_gemm_scaled(a: Tensor, b: Tensor, scale_a: Tensor, scale_b: Tensor) -> Tensor:
    """Multiply integers, and take the scales after that."""
    m, n = a.shape[0], b.shape[0]
    whole = torch._int_mm(_padded(a, LEAST_ROWS if m < LEAST_ROWS else 1, 8), _padded(b, 8, 8).T)[:m, :n]
    return (whole.float() * scale_a.float()[:, None] * scale_b.float()).to(scale_a.dtype)


def matmul_mxfp(a: Tensor, b: Tensor, scale_a: Tensor, scale_b: Tensor) -> Tensor:
    """Multiply in bfloat16, which has every number of both operands."""
    return _scaled(a, scale_a) @ _scaled(b, scale_b).T


def moe_gemm(x: Tensor, weights: Tensor, expert: Tensor, gate: Tensor) -> Tensor:
    """Take one expert after the other, its tokens gathered."""
    out = torch.empty((x.shape[0], weights.shape[1]), dtype=x.dtype, device=x.device)
    for e in range(weights.shape[0]):
        mine = (expert == e).nonzero()[:, 0]
        out[mine] = (_in_float32(x[mine], weights[e].T) * gate[mine, None]).to(x.dtype)
    return out


def multreduce_matmul(a: Tensor, b: Tensor, bias: Tensor) -> Tensor:
    """Call a linear layer."""
    return functional.linear(a, b, bias)


multreduce_matmul_dot = multreduce_matmul


def tma_store_gemm(a: Tensor, b: Tensor) -> Tensor:
    """Call the product whose result is wider than its operands."""
    return _in_float32(a, b)


CALLS: dict[str, Callable[..., Tensor]] = {
    "chained_dot_fp8": chained_dot_fp8, "chained_matmul": chained_matmul, "dot": dot,
    "flashattention_fwd": flashattention_fwd, "fp8_gemm_scaled": fp8_gemm_scaled, "gemm_fusion": gemm_fusion,
    "int4_weight_gemm": int4_weight_gemm, "int8_gemm_scaled": int8_gemm_scaled, "matmul_mxfp": matmul_mxfp,
    "moe_gemm": moe_gemm, "multreduce_matmul": multreduce_matmul, "multreduce_matmul_dot": multreduce_matmul_dot,
    "tma_store_gemm": tma_store_gemm,
}  # fmt: skip


def error(task: Task, device: str, seed: int = 0) -> float:
    """Return the largest error of a task's call over its limit, on the trials of its cases at their small size."""
    own, worst = functions(task), 0.0
    for trials in few(task, task.cases).values():
        for trial in trials:
            held = ground(own, trial, seed)
            values = [v.to(device) if isinstance(v, Tensor) else v for v in held.values.values()]
            made = yardstick.outputs(CALLS[task.name](*values))
            worst = max(worst, *(yardstick.ratio(y, m.cpu())[0] for y, m in zip(held.yardsticks, made, strict=True)))
    return worst


def _in_float32(a: Tensor, b: Tensor) -> Tensor:
    """Multiply 16-bit matrices into float32, which the CPU has no call for."""
    return torch.mm(a, b, out_dtype=torch.float32) if a.is_cuda else a.float() @ b.float()


def _padded(tensor: Tensor, rows: int, columns: int) -> Tensor:
    """Put zeros behind a matrix until its sizes are multiples of these."""
    more = [(-size) % to for size, to in zip(tensor.shape, (rows, columns), strict=True)]
    return functional.pad(tensor, (0, more[1], 0, more[0])) if any(more) else tensor


def _scaled(x: Tensor, scale: Tensor) -> Tensor:
    powers = torch.exp2(scale.float() - 127).bfloat16()
    return (x.bfloat16().reshape(*scale.shape, -1) * powers[..., None]).reshape(x.shape)
