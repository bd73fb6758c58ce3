"""Programs of some 300 lines that are awkward for rewrites: each has far more of one thing than any kernel of a task.

They are read and rewritten, and never run.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import chain

HEAD = ["import torch", "import triton", "import triton.language as tl"]
ROW = "out_ptr, x_ptr, w_ptr, stride, rows, cols, eps, BLOCK: tl.constexpr"
GIVEN = "out, x, w, x.stride(0), rows, cols, 1e-5, BLOCK=1024, num_warps=4"
OFFSETS = ["row = tl.program_id(0).to(tl.int64)", "offs = tl.arange(0, BLOCK)", "mask = offs < cols"]
LOADED = [*OFFSETS, "x = tl.load(x_ptr + row * stride + offs, mask=mask, other=0.0).to(tl.float32)"]
STORED = ["tl.store(out_ptr + row * stride + offs, y.to(out_ptr.dtype.element_ty), mask=mask)"]
MADE = ["out = torch.empty_like(x)", "rows, cols = x.shape"]
RUN = [*MADE, f"kernel[(rows,)]({GIVEN})", "return out"]
SUMS = [
    "y = x * {i}.5 + y", "y = tl.exp(y - x) / (1.0 + x * x)", "z{i} = tl.where(x > {i}.0, y, -y)",
    "y = tl.maximum(y, z{i}) * 0.5", "x = (x - y) / {i}.0", "s{i} = tl.sum(x, axis=0) / cols",
    "y += z{i} * s{i}",
]  # fmt: skip


def written(lines: int) -> dict[str, str]:
    """Write one program of each kind, of about so many lines."""
    return {kind: make(lines - 25) for kind, make in KINDS.items()}


def turns(lines: int, *texts: str, start: int = 1) -> list[str]:
    """Repeat lines with a number `{i}` of each turn, and `{j}` of the one before, until they are so many."""
    whole = max(1, lines // len(texts))
    return [text.format(i=i, j=i - 1) for i in range(start, start + whole) for text in texts]


def indented(lines: Sequence[str]) -> list[str]:
    """Move lines to the right."""
    return [f"    {line}" if line else line for line in lines]


def function(name: str, parameters: str, body: Sequence[str], jit: bool = True) -> list[str]:
    """Write a function, with two empty lines above."""
    return ["", "", *(["@triton.jit"] if jit else []), f"def {name}({parameters}):", *indented(body)]


def program(*parts: Sequence[str]) -> str:
    """Join functions below the imports."""
    return "\n".join(chain(HEAD, *parts)) + "\n"


def of_one(body: Sequence[str], run: Sequence[str] = RUN, parameters: str = ROW) -> str:
    """Write a program of one kernel and its launcher."""
    return program(function("kernel", parameters, body), function("run", "x, w", run, jit=False))


def straight(lines: int) -> str:
    """Compute in one block, over names that change all the time."""
    return of_one([*LOADED, "y = x", *turns(lines, *SUMS), *STORED])


def chained(lines: int) -> str:
    """Compute in one block where each name is of the two before it."""
    sums = ["y{i} = y{j} * y{j} + x", "t{i} = tl.sum(y{i} / 2.0, axis=0) + 1.0", "v{i} = y{i} / t{i} - y{j}"]
    rows = turns(lines, *sums)
    return of_one([*LOADED, "y0 = x", *rows, f"y = v{len(rows) // len(sums)}", *STORED])


def nested(lines: int) -> str:
    """Nest loops eight deep, several in a row."""
    body: list[str] = []
    for i in range(lines // 18):
        nest = ["for start in range(0, cols, BLOCK):", *indented([
            f"at = start + tl.arange(0, BLOCK) + a{i}",
            "x = tl.load(x_ptr + row * stride + at, mask=at < cols, other=0.0)",
            "scaled = cols * 2", f"y += tl.exp(x.to(tl.float32)) / (eps + a{i}) * scaled",
        ])]  # fmt: skip
        for letter in "gfedcba":
            nest = [f"for {letter}{i} in range({len(nest)}):", f"    {letter}_size = rows * {i}", *indented(nest)]
        body += nest
    return of_one([*LOADED, "y = x", *body, *STORED])


def loops(lines: int) -> str:
    """Make one pass over a row after the other, each with a sum of its own."""
    passes = [
        "acc{i} = tl.zeros((BLOCK,), tl.float32)", "for start in range(0, cols, BLOCK):",
        "    at = start + tl.arange(0, BLOCK)",
        "    x = tl.load(x_ptr + row * stride + at, mask=at < cols, other=0.0).to(tl.float32)",
        "    acc{i} += tl.exp(x - s{j}) * x", "s{i} = tl.sum(acc{i}, axis=0) / cols",
    ]  # fmt: skip
    rows = turns(lines, *passes)
    last = f"y = offs.to(tl.float32) * s{len(rows) // len(passes)}"
    return of_one([*OFFSETS, "s0 = eps", *rows, last, *STORED])


def masked(lines: int) -> str:
    """Load and store blocks and tiles, each behind a mask of its own."""
    moved = [
        "at{i} = {i} * BLOCK + tl.arange(0, BLOCK)", "m{i} = (at{i} < cols) & (at{i} >= 0)",
        "x{i} = tl.load(x_ptr + row * stride + at{i}, mask=m{i}, other=0.0)",
        "w{i} = tl.load(w_ptr + at{i}, mask=at{i} < cols, other=0.0)",
        "inside{i} = (at{i}[:, None] < rows) & (offs[None, :] < cols)",
        "tile{i} = tl.load(x_ptr + at{i}[:, None] * stride + offs[None, :], mask=inside{i})",
        "tl.store(out_ptr + row * stride + at{i}, x{i} * w{i} + tl.sum(tile{i}, axis=0), mask=m{i})",
    ]  # fmt: skip
    return of_one([*OFFSETS, *turns(lines, *moved)])


def helpers(lines: int) -> str:
    """Call many helpers, each called once."""
    made = [function(f"helper{i}", "a, b", [f'"""Step {i}."""', f"c = a * {i}.0 + b", "return tl.exp(c) / (1.0 + c)"])
            for i in range(1, lines // 8)]  # fmt: skip
    calls = [f"y = helper{i + 1}(x, y + {i})" for i in range(len(made))]
    kernel = function("kernel", ROW, [*LOADED, "y = x", *calls, *STORED])
    return program(*made, kernel, function("run", "x, w", RUN, jit=False))


def calls(lines: int) -> str:
    """Call few helpers all over the kernel."""
    made = [function("scaled", "a, b, c", ["d = a * b", "d += c", "return d / (1.0 + c)"]),
            function("joined", "a, b", ["return scaled(a, b, a) + b"])]  # fmt: skip
    rows = turns(lines, "y = scaled(y, x, {i}.0)", "z{i} = joined(y, x) + scaled(x, y, 1.0)", "x = x - z{i}")
    kernel = function("kernel", ROW, [*LOADED, "y = x", *rows, *STORED])
    return program(*made, kernel, function("run", "x, w", RUN, jit=False))


def host(lines: int) -> str:
    """Write a small kernel and a launcher of much arithmetic over shapes."""
    steps = [
        "n{i} = x.shape[0] * {i} + n{j}", "if n{i} > {i}00:", "    w = w.contiguous()",
        "t{i} = torch.empty((rows, cols), dtype=x.dtype, device=x.device)", "g{i} = triton.cdiv(n{i}, {i})",
    ]  # fmt: skip
    rows = turns(lines, *steps)
    run = [*MADE, "n0 = rows", *rows, *RUN[-2:]]
    return of_one([*LOADED, "y = tl.exp(x) / tl.sum(x, axis=0)", *STORED], run)


def launched(lines: int) -> str:
    """Write one kernel with a launch for each of many sizes."""
    branches = turns(
        lines // 2, "if cols <= {i}00:", "    kernel[(rows,)](" + GIVEN.replace("1024", "{i}") + ")", "    return out"
    )
    body = [*LOADED, "y = tl.exp(x) / tl.sum(x, axis=0)", *turns(lines // 2, *SUMS), *STORED]
    return of_one(body, [*MADE, *branches, *RUN[-2:]])


def pairs(lines: int) -> str:
    """Write kernels in pairs, of which the first fills a buffer for the second."""
    parts, run = [], [*MADE]
    for i in range(1, lines // 20 + 1):
        parts.append(function(f"first{i}", "part_ptr, x_ptr, stride, cols, BLOCK: tl.constexpr", [
            "row = tl.program_id(0)", "total = tl.zeros((BLOCK,), tl.float32)", "for start in range(0, cols, BLOCK):",
            "    offs = start + tl.arange(0, BLOCK)",
            "    total += tl.load(x_ptr + row * stride + offs, mask=offs < cols, other=0.0)",
            "tl.store(part_ptr + row, tl.sum(total, axis=0))",
        ]))  # fmt: skip
        parts.append(function(f"second{i}", "out_ptr, part_ptr, x_ptr, stride, cols, BLOCK: tl.constexpr", [
            "row = tl.program_id(0)", "total = tl.load(part_ptr + row)", "for start in range(0, cols, BLOCK):",
            "    offs = start + tl.arange(0, BLOCK)",
            "    x = tl.load(x_ptr + row * stride + offs, mask=offs < cols, other=0.0)",
            "    tl.store(out_ptr + row * stride + offs, x / total, mask=offs < cols)",
        ]))  # fmt: skip
        run += [f"part{i} = torch.empty((rows,), dtype=torch.float32, device=x.device)",
                f"first{i}[(rows,)](part{i}, x, x.stride(0), cols, BLOCK=256, num_warps=4)",
                f"second{i}[(rows,)](out, part{i}, x, x.stride(0), cols, BLOCK=256, num_warps=4)"]  # fmt: skip
    return program(*parts, function("run", "x, w", [*run, "return out"], jit=False))


ATTENTION = "out_ptr, q_ptr, k_ptr, v_ptr, scale, M, N, D: tl.constexpr, BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr"
STREAM = [
    "largest{i} = tl.full((BLOCK_M,), float('-inf'), tl.float32)", "total{i} = tl.zeros((BLOCK_M,), tl.float32)",
    "acc{i} = tl.zeros((BLOCK_M, D), tl.float32)", "for start in range(0, N, BLOCK_N):",
    "    offs_n = start + tl.arange(0, BLOCK_N)", "    at = head * N * D + offs_n[:, None] * D + offs_d[None, :]",
    "    k = tl.load(k_ptr + at, mask=offs_n[:, None] < N, other=0.0)",
    "    v = tl.load(v_ptr + at, mask=offs_n[:, None] < N, other=0.0)",
    "    seen = (offs_n[None, :] < N) & (offs_n[None, :] <= offs_m[:, None])",
    "    logits = tl.where(seen, tl.dot(q, k.T) * scale, float('-inf'))",
    "    new = tl.maximum(largest{i}, tl.max(logits, axis=1))",
    "    powers, shrink = tl.exp(logits - new[:, None]), tl.exp(largest{i} - new)",
    "    total{i} = total{i} * shrink + tl.sum(powers, axis=1)",
    "    acc{i} = tl.dot(powers.to(v.dtype), v, acc{i} * shrink[:, None])", "    largest{i} = new",
    "out = (acc{i} / total{i}[:, None]).to(out_ptr.dtype.element_ty)",
    "tl.store(out_ptr + {i} * M * D + places, out, mask=offs_m[:, None] < M)",
]  # fmt: skip


def attention(lines: int) -> str:
    """Take an online softmax over keys and values, once for each of several results."""
    start = [
        "tiles = tl.cdiv(M, BLOCK_M)", "head = (tl.program_id(0) // tiles).to(tl.int64)",
        "offs_m, offs_d = (tl.program_id(0) % tiles) * BLOCK_M + tl.arange(0, BLOCK_M), tl.arange(0, D)",
        "places = head * M * D + offs_m[:, None] * D + offs_d[None, :]",
        "q = tl.load(q_ptr + places, mask=offs_m[:, None] < M, other=0.0)",
    ]  # fmt: skip
    run = [
        "M, D = x.shape", "out = torch.empty_like(x)", "grid = lambda meta: (triton.cdiv(M, meta['BLOCK_M']),)",
        "kernel[grid](out, x, w, w, 0.5, M, w.shape[0], D=D, BLOCK_M=32, BLOCK_N=32, num_warps=4)", "return out",
    ]  # fmt: skip
    return of_one([*start, *turns(lines, *STREAM)], run, ATTENTION)


def products(lines: int) -> str:
    """Add up a product of matrices after the other, with pointers that move and a long end."""
    parameters = ("c_ptr, a_ptr, b_ptr, M, N, K, stride_cm, stride_am, stride_bk, "
                  "BLOCK_M: tl.constexpr, BLOCK_N: tl.constexpr, BLOCK_K: tl.constexpr")  # fmt: skip
    start = [
        "pid = tl.program_id(0)", "tiles = tl.cdiv(N, BLOCK_N)",
        "offs_m = (pid // tiles) * BLOCK_M + tl.arange(0, BLOCK_M)", "offs_k = tl.arange(0, BLOCK_K)",
        "offs_n = (pid % tiles) * BLOCK_N + tl.arange(0, BLOCK_N)", "y = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)",
    ]  # fmt: skip
    each = [
        "a{i} = a_ptr + offs_m.to(tl.int64)[:, None] * stride_am + offs_k[None, :]",
        "b{i} = b_ptr + offs_k[:, None] * stride_bk + offs_n[None, :]",
        "acc = tl.zeros((BLOCK_M, BLOCK_N), tl.float32)",
        "for start in range(0, K, BLOCK_K):", "    left = K - start",
        "    a = tl.load(a{i}, mask=(offs_m[:, None] < M) & (offs_k[None, :] < left), other=0.0)",
        "    b = tl.load(b{i}, mask=(offs_k[:, None] < left) & (offs_n[None, :] < N), other=0.0)",
        "    acc = tl.dot(a, b, acc)", "    a{i} += BLOCK_K", "    b{i} += BLOCK_K * stride_bk",
        "y += acc / (1.0 + tl.exp(-acc))", "c{i} = c_ptr + offs_m.to(tl.int64)[:, None] * stride_cm + offs_n[None, :]",
        "tl.store(c{i}, y.to(tl.float16), mask=(offs_m[:, None] < M) & (offs_n[None, :] < N))",
    ]  # fmt: skip
    run = ["M, K = x.shape", "N = w.shape[1]", "out = torch.empty((M, N), dtype=x.dtype, device=x.device)",
           "grid = lambda meta: (triton.cdiv(M, meta['BLOCK_M']) * triton.cdiv(N, meta['BLOCK_N']),)",
           "kernel[grid](out, x, w, M, N, K, N, K, N, BLOCK_M=32, BLOCK_N=32, BLOCK_K=32, num_warps=4, num_stages=2)",
           "return out"]  # fmt: skip
    return of_one([*start, *turns(lines, *each)], run, parameters)


def commented(lines: int) -> str:
    """Put words above and beside each line of a kernel."""
    said = '"""What this does, and why.\n\n    In several lines, with `code` and "quotes".\n    """'
    rows = turns(lines // 4, *SUMS)
    noted = [
        text for i, row in enumerate(rows) for text in (f"# step {i}: as above", f"#   {row}", f"{row}  # of {i}", "")
    ]
    return of_one([said, *LOADED, "y = x", *noted, *STORED], ['"""Launch it."""', *RUN])


def small(lines: int) -> str:
    """Write many small kernels, each with a launcher of its own."""
    body = [*LOADED, "y = tl.exp(x) / tl.sum(x, axis=0)", *STORED]
    runs = [[line.replace("kernel", f"kernel{i}") for line in RUN] for i in range(lines // 17)]
    return program(*chain.from_iterable(
        (function(f"kernel{i}", ROW, body), function(f"run{i}", "x, w", run, jit=False)) for i, run in enumerate(runs)
    ))  # fmt: skip


def blocks(lines: int) -> str:
    """Advance block pointers in loops."""
    each = [
        "p{i} = tl.make_block_ptr(x_ptr, (rows, cols), (stride, 1), ({i} * BLOCK, 0), (BLOCK, BLOCK), (1, 0))",
        "acc{i} = tl.zeros((BLOCK, BLOCK), tl.float32)", "for start in range(0, cols, BLOCK):",
        "    acc{i} += tl.load(p{i}, boundary_check=(0, 1))", "    p{i} = tl.advance(p{i}, (0, BLOCK))",
        "q{i} = tl.make_block_ptr(out_ptr, (rows, cols), (stride, 1), ({i} * BLOCK, 0), (BLOCK, BLOCK), (1, 0))",
        "tl.store(q{i}, acc{i} / {i}.0, boundary_check=(0, 1))",
    ]  # fmt: skip
    return of_one([*OFFSETS, *turns(lines, *each)])


def mixed(lines: int) -> str:
    """Put some of everything in one program."""
    return joined(lines, straight, loops, masked, attention, products)


def mixed_small(lines: int) -> str:
    """Put helpers, pairs of kernels, words and block pointers in one program."""
    return joined(lines, calls, pairs, commented, blocks, nested)


def joined(lines: int, *makers: Callable[[int], str]) -> str:
    """Put shorter programs of several kinds below one another, their functions told apart."""
    return "\n".join(chain(HEAD, *_told_apart([make(lines // len(makers) - 15) for make in makers]))) + "\n"


_OWN = re.compile(r"\b(kernel|run|first|second|scaled|joined|helper)(?=\d*[\[(])")


def _told_apart(sources: Sequence[str]) -> Iterator[list[str]]:
    for letter, source in zip("abcdefgh", sources, strict=False):
        text = "\n".join(source.splitlines()[len(HEAD) :])
        yield re.sub(
            r"\b(kernel|run|first|second|scaled|joined|helper)(?=\d*[\[(])", rf"\1_{letter}", text
        ).splitlines()


KINDS: dict[str, Callable[[int], str]] = {
    make.__name__: make
    for make in (
        straight, chained, nested, loops, masked, helpers, calls, host, launched, pairs, attention, products,
        commented, small, blocks, mixed, mixed_small,
    )
}  # fmt: skip
