"""Random integers: `n` words of the Philox4x32-10 stream that belongs to a 64-bit seed, beginning at `offset`.

Right is defined by the published algorithm, bit for bit: word i is the first of the four words that ten rounds of
Philox make of the key (low half of the seed, high half) and the counter (low half of offset + i, high half, 0, 0), as a
signed 32-bit integer. That is what `tl.randint(seed, offset + i)` gives for 64-bit offsets. The seed lies in memory, so
that no stream can be kept. Least work: one word written. What is hard: twenty multiplications of 32 by 32 bits with
both halves of each product for every word, of which three quarters are thrown away unless the schedule is cut down.
"""
import torch

from suites import Case, Input, edge

entry = "random_int"
category = "random numbers"
level = 3

WORD = (1 << 32) - 1
FACTORS, STEPS = (0xD2511F53, 0xCD9E8D57), (0x9E3779B9, 0xBB67AE85)
PART = 1 << 24  # words at a time, for the memory's sake


def keys(seed):
    low, high = seed[0] & WORD, (seed[0] >> 32) & WORD
    return [((low + r * STEPS[0]) & WORD, (high + r * STEPS[1]) & WORD) for r in range(10)]


def signed(word):
    return torch.where(word > WORD >> 1, word - (1 << 32), word).to(torch.int32)


def streamed(counters, n, offset, device):
    parts = [
        signed(counters(torch.arange(offset + start, offset + min(n, start + PART), device=device)))
        for start in range(0, n, PART)
    ]
    return torch.cat(parts) if parts else torch.empty(0, dtype=torch.int32, device=device)


def reference(seed, n, offset):
    def words(counter):
        a, b, c, d = counter & WORD, (counter >> 32) & WORD, 0 * counter, 0 * counter
        for k0, k1 in keys(seed):
            # the product wraps in 64 bits, whose two halves are all that is used
            one, two = a * FACTORS[0], c * FACTORS[1]
            a, b, c, d = (two >> 32) & WORD ^ b ^ k0, two & WORD, (one >> 32) & WORD ^ d ^ k1, one & WORD
        return a

    return streamed(words, n, offset, seed.device)


def halves(x, factor):
    # a product of 32 by 32 bits from four of 16 by 16, none of which leaves 64 bits
    x0, x1, f0, f1 = x & 0xFFFF, x >> 16, factor & 0xFFFF, factor >> 16
    middle = x1 * f0 + (x0 * f0 >> 16)
    other = x0 * f1 + (middle & 0xFFFF)
    return x1 * f1 + (middle >> 16) + (other >> 16), ((other & 0xFFFF) << 16) | (x0 * f0 & 0xFFFF)


def by_halves(seed, n, offset):
    def words(counter):
        a, b, c, d = counter & WORD, (counter >> 32) & WORD, torch.zeros_like(counter), torch.zeros_like(counter)
        for k0, k1 in keys(seed):
            (high0, low0), (high1, low1) = halves(a, FACTORS[0]), halves(c, FACTORS[1])
            a, b, c, d = high1 ^ b ^ k0, low1, high0 ^ d ^ k1, low0
        return a

    return streamed(words, n, offset, seed.device)


def first_round_by_hand(seed, n, offset):
    def words(counter):
        (k0, k1), *rest = keys(seed)
        # the third and fourth word of the counter are 0: one product of the first round is 0
        high, low = halves(counter & WORD, FACTORS[0])
        state = torch.stack([((counter >> 32) & WORD) ^ k0, torch.zeros_like(counter), high ^ k1, low])
        for k0, k1 in rest:
            (high0, low0), (high1, low1) = halves(state[0], FACTORS[0]), halves(state[2], FACTORS[1])
            state = torch.stack([high1 ^ state[1] ^ k0, low1, high0 ^ state[3] ^ k1, low0])
        return state[0]

    return streamed(words, n, offset, seed.device)


honest = [by_halves, first_round_by_hand]


def arguments(n, offset):
    return {"seed": Input((1,), "int64", "indices", high=2**62), "n": n, "offset": offset}


def case(name, n, offset=0, small=4000):
    # the arithmetic is integer, which no roofline knows: the bytes written are the least work
    return Case(name, arguments(n, offset), flops=0, bytes=4 * n + 8, small=arguments(small, offset))


cases = [
    case("67108864", 2**26),
    case("100000007-at-12345", 100_000_007, 12345, small=3001),  # a prime
    case("33554432-across-2^32", 2**25, 2**32 - 1000),  # the counter's second word begins to count
    case("16777259-at-2^40", 16_777_259, 2**40 + 7, small=2003),
]
held_out = [
    case("50000017-at-1", 50_000_017, 1, small=2049),
    case("33554431-across-2^33", 2**25 - 1, 2**33 - 517, small=2047),
    case("67108865-at-2^31", 2**26 + 1, 2**31 - 3, small=1025),
]
edges = [
    edge("255", arguments(255, 0)),
    edge("257-across-2^31", arguments(257, 2**31 - 100)),
    edge("129-across-2^32", arguments(129, 2**32 - 64)),
    edge("1-at-2^62", arguments(1, 2**62)),
    edge("0", arguments(0, 0)),
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def random_int_kernel(out_ptr, seed_ptr, n, offset, BLOCK: tl.constexpr):
    # 64-bit counters, because offset + n may pass 2^32
    offs = tl.program_id(0).to(tl.int64) * BLOCK + tl.arange(0, BLOCK)
    words = tl.randint(tl.load(seed_ptr), offset + offs)
    tl.store(out_ptr + offs, words.to(tl.int32, bitcast=True), mask=offs < n)


def random_int(seed, n, offset):
    out = torch.empty((n,), dtype=torch.int32, device=seed.device)
    random_int_kernel[(triton.cdiv(n, 512),)](out, seed, n, offset, BLOCK=512, num_warps=4)
    return out
# evo-kernel: end
