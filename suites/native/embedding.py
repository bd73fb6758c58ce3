"""Embedding lookup: out[i] = table[indices[i]], whole rows of a table gathered by 64-bit indices.

Memory bound: each wanted row is read and written, with no arithmetic. What is hard: every row's address hangs on a
load before it, so latency counts as much as bandwidth; rows of 64 elements fill a fraction of a block, rows of
thousands need several; repeated indices reward a cache.
"""
import torch

from suites import FLOATING, Case, Input, edge

entry = "embedding"
category = "data movement"
level = 2


def reference(table, indices):
    return torch.nn.functional.embedding(indices, table)


def by_index(table, indices):
    return table[indices]


def by_selection(table, indices):
    return torch.index_select(table, 0, indices)


honest = [by_index, by_selection]
exact = True

# copies and sums of what is there: NaN, infinities and the largest numbers come out as IEEE arithmetic has it
TRIALS = (*FLOATING, "special")


def case(name, rows, dim, count, dtype="float32", distribution="normal", small=(97, 300, 40)):
    def arguments(rows, dim, count):
        return {
            "table": Input((rows, dim), dtype, distribution, trials=TRIALS),
            "indices": Input((count,), "int64", "indices", high=rows),
        }

    full = arguments(rows, dim, count)
    # only rows that are asked for need to be read, and once each: `count` draws from `rows` hit this many
    # different rows on average, and the number that a seed hits is within a fraction of a percent of it
    distinct = int(rows * (1 - (1 - 1 / rows) ** count))
    row_bytes = Input((dim,), dtype).bytes
    traffic = (distinct + count) * row_bytes + full["indices"].bytes
    return Case(name, full, flops=0, bytes=traffic, small=arguments(*small))


cases = [
    case("50257x1024x32768-fp32", 50257, 1024, 32768),
    case("32000x2048x32768-bf16-heavy", 32000, 2048, 32768, "bfloat16", "heavy", small=(50, 1024, 20)),
    case("1000000x64x1000000-fp32-uniform", 1_000_000, 64, 1_000_000, distribution="uniform", small=(200, 64, 101)),
    case("119547x768x65521-fp16-offset", 119_547, 768, 65_521, "float16", "offset", small=(101, 768, 31)),
]
held_out = [
    case("30522x769x9973-fp16", 30522, 769, 9973, "float16", small=(61, 257, 37)),
    case("1009x4097x4099-fp32-signs", 1009, 4097, 4099, distribution="signs", small=(7, 1025, 23)),  # rows repeat
    case("100003x333x1-bf16-spike", 100_003, 333, 1, "bfloat16", "spike", small=(103, 333, 1)),  # one index
]


def corner(name, rows, dim, count, dtype="float32", distribution="normal", pad=0):
    indices = Input((count,), "int64", "indices", high=rows)
    return edge(name, {"table": Input((rows, dim), dtype, distribution, pad=pad), "indices": indices})


edges = [
    corner("33x255x7-fp32-signs", 33, 255, 7, distribution="signs"),
    corner("31x257x5-fp32-spike", 31, 257, 5, distribution="spike"),
    corner("13x127x11-fp16-padded", 13, 127, 11, "float16", pad=9),  # primes
    corner("1x1x3-fp32", 1, 1, 3),
    corner("8x64x0-fp32", 8, 64, 0),
    corner("2097169x1031x65537-fp16", 2_097_169, 1031, 65_537, "float16"),  # beyond 2^31 elements, for a GPU
]

# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


@triton.jit
def embedding_kernel(out_ptr, table_ptr, indices_ptr, out_stride, table_stride, dim, BLOCK: tl.constexpr):
    # one program per index; `index` is int64 as loaded, and so is the row of the result: both row offsets may
    # pass 2^31 elements in tables and batches larger than these
    pid = tl.program_id(0).to(tl.int64)
    index = tl.load(indices_ptr + pid)
    table_row = table_ptr + index * table_stride
    out_row = out_ptr + pid * out_stride
    for start in range(0, dim, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        x = tl.load(table_row + offs, mask=offs < dim)
        tl.store(out_row + offs, x.to(out_ptr.dtype.element_ty), mask=offs < dim)


def embedding(table, indices):
    count = indices.numel()
    dim = table.shape[1]
    out = torch.empty((count, dim), dtype=table.dtype, device=table.device)
    embedding_kernel[(count,)](
        out, table, indices, out.stride(0), table.stride(0), dim, BLOCK=256, num_warps=4, num_stages=2
    )
    return out
# evo-kernel: end
