"""Normal random numbers: `n` of the stream that belongs to a 64-bit seed, beginning at `offset`, times `scale`.

Right is defined by algorithms that are published. Number i takes the first two of the four words that Philox4x32-10
makes of the key (low half of the seed, high half) and the counter (low half of offset + i, high half, 0, 0). A word
becomes a uniform number u in float32: it is read as a signed integer w, or -w - 1 where that is negative, converted to
float32, and multiplied by 4.6566127342e-10 there, each step rounded once to the nearest. The result is
sqrt(-2 log(max(u0, 1e-7))) cos(2 pi u1) scale (Box and Muller), up to float32's roundings from u0 and u1 on.
`scale * tl.randn(seed, offset + i)` is that for 64-bit offsets. Least work: one number written. What is hard: beside
the rounds of integer products a logarithm, a root and a cosine for each number, where four words would give four.
"""
import torch

from suites import Case, Input, edge

entry = "randn"
category = "random numbers"
level = 3

WORD = (1 << 32) - 1
FACTORS, STEPS = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)
PART = 1 << 24  # numbers at a time, for the memory's sake


def uniform(seed, start, count):
    counter = torch.arange(start, start + count, device=seed.device)
    a, b, c, d = counter & WORD, (counter >> 32) & WORD, 0 * counter, 0 * counter
    for r in range(10):
        k0, k1 = ((seed[0] >> s & WORD) + r * step & WORD for s, step in ((0, STEPS[0]), (32, STEPS[1])))
        one, two = a * FACTORS[0], c * FACTORS[1]
        a, b, c, d = (two >> 32) & WORD ^ b ^ k0, two & WORD, (one >> 32) & WORD ^ d ^ k1, one & WORD
    words = (torch.where(w > WORD >> 1, WORD - w, w) for w in (a, b))  # WORD - w is -(w - 2^32) - 1
    return [w.float() * torch.tensor(4.6566127342e-10, device=seed.device) for w in words]


def streamed(seed, n, offset, scale, normal):
    parts = []
    for start in range(0, n, PART):
        u0, u1 = uniform(seed, offset + start, min(PART, n - start))
        parts.append(normal(u0.clamp(min=1e-7).to(scale.dtype), u1.to(scale.dtype)) * scale)
    return torch.cat(parts) if parts else scale.new_empty(0)


def reference(seed, n, offset, scale):
    def normal(u0, u1):
        return torch.sqrt(-2 * torch.log(u0)) * torch.cos(u1 * (2 * torch.pi))

    return streamed(seed, n, offset, scale, normal)


def in_base_two(seed, n, offset, scale):
    def normal(u0, u1):
        return torch.sqrt(torch.log2(u0) * -1.3862943611198906) * torch.sin(u1 * (2 * torch.pi) + torch.pi / 2)

    return streamed(seed, n, offset, scale, normal)


def by_polar(seed, n, offset, scale):
    def normal(u0, u1):
        return torch.polar((2 * -u0.log()).sqrt(), (2 * u1 - (u1 > 0.5) * 2) * torch.pi).real

    return streamed(seed, n, offset, scale, normal)


honest = [in_base_two, by_polar]


def arguments(n, offset, distribution):
    scale = Input((1,), "float32", distribution, trials=("normal", "uniform", "offset"))
    return {"seed": Input((1,), "int64", "indices", high=2**62), "n": n, "offset": offset, "scale": scale}


def case(name, n, offset=0, distribution="uniform", small=4000):
    full = arguments(n, offset, distribution)
    # least: a logarithm, a root, a cosine and four multiplications, each counted as one; integers are not
    return Case(name, full, flops=7 * n, bytes=4 * n + 12, small=arguments(small, offset, distribution))


cases = [
    case("67108864", 2**26),
    case("100000007-at-12345-offset", 100_000_007, 12345, "offset", small=3001),  # a prime
    case("33554432-across-2^32", 2**25, 2**32 - 1000, "normal"),  # the counter's second word begins to count
    case("16777259-at-2^40", 16_777_259, 2**40 + 7, small=2003),
]
held_out = [
    case("50000017-at-1", 50_000_017, 1, "offset", small=2049),
    case("33554431-across-2^33", 2**25 - 1, 2**33 - 517, "normal", small=2047),
    case("67108865-at-2^31", 2**26 + 1, 2**31 - 3, small=1025),
]
edges = [
    edge("255-normal", arguments(255, 0, "normal")),
    edge("257-across-2^31-offset", arguments(257, 2**31 - 100, "offset")),
    edge("129-across-2^32", arguments(129, 2**32 - 64, "offset")),
    edge("1-at-2^62", arguments(1, 2**62, "offset")),
    edge("0", arguments(0, 0, "normal")),
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def randn_kernel(out_ptr, seed_ptr, scale_ptr, n, offset, BLOCK: tl.constexpr):
    # 64-bit counters, because offset + n may pass 2^32
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    numbers = tl.randn(tl.load(seed_ptr), offset + offs)
    tl.store(out_ptr + offs, numbers * tl.load(scale_ptr), mask=offs < n)


def randn(seed, n, offset, scale):
    out = torch.empty((n,), dtype=scale.dtype, device=seed.device)
    randn_kernel[(triton.cdiv(n, 512),)](out, seed, scale, n, offset, BLOCK=512, num_warps=4)
    return out
# evo-kernel: end
