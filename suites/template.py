"""Scale, shift and clamp in one pass: y = max(x * scale + shift, 0), with one scale and one shift per column.

This docstring is part of the task: operators and people read it to learn what the kernel has to do. Say in words
what is computed, what bounds it (here memory: each element is read once and written once), and what is hard.
"""
# A template to copy: `evo-kernel tasks new FILE` writes it, `evo-kernel search FILE` searches it. A task is one file
# of six parts: this docstring, `entry`, `reference` with `honest`, `cases` with `held_out`, `edges`, and the seeds.
# Everything outside the seed is your own, trusted code. It is executed once to read the task, with the seeds cut
# out, so it must not import triton and needs no GPU.
import torch

from suites import Case, Input, edge

# The launcher's name: the function that every candidate, the seed included, must define.
entry = "scale_shift_relu"

# What kind of work it is, and how hard a fast kernel is to write, 1 (a copy) to 5: for tables alone, and may be left
# out. The kinds: elementwise, data movement, reduction, normalization, matrix product, attention, quantization, random
# numbers, sorting.
category = "elementwise"
level = 1


# The operation in plain PyTorch: parameters are the argument names of the cases below. It is run in two ways: with
# the inputs as they are, which gives the dtype and shape of the result, and with every floating-point input widened
# to float64, which gives the truth that candidates are compared with. So follow the dtype of the inputs: no
# `.float()`, no float32 constants. Integer inputs stay as they are.
def reference(x, scale, shift):
    return torch.relu(x * scale + shift)


# Other honest ways to compute the same, in PyTorch, with the reference's arguments and its dtype of result. They set
# the limits on a candidate's errors together with the reference: every limit is a multiple of what these make of the
# same inputs, so write what a careful kernel would do (float32 inside, one rounding at the end; other orders of
# summation where there are sums), and nothing of low precision. Where results are floating-point numbers `tasks check`
# asks for two beside the reference: one implementation may be lucky. (Exact arithmetic on inputs that were rounded once
# sets limits too, but is nobody's implementation and does not count.) They run only in trusted processes.
def in_float32(x, scale, shift):
    return torch.relu(x.float() * scale.float() + shift.float()).to(x.dtype)


def fused(x, scale, shift):
    return torch.addcmul(shift.float(), x.float(), scale.float()).clamp(min=0).to(x.dtype)


honest = [in_float32, fused]

# What else a task may say of its results, each False or empty when left out:
#   exact = True          from inputs drawn as `signs` every result is right bit for bit (sums, products, copies)
#   misrounded = 0.01     from inputs drawn as `whole`, beside which others keep their own distribution, sums are exact,
#                         and of every result of 16 bits or fewer at most 1% of the elements, and four, may be other than
#                         the truth rounded once: what is rounded to 16 bits before the end, within every other limit, is
#                         found so, where a small case has 64 results or more
#   atomics = True        results may differ from run to run in their last bits
#   in_place = ["x"]      the launcher may overwrite these inputs and return them
#   tf32 = True           dots of float32 may round their operands to tf32


FACTORS = ("normal", "uniform", "signs")  # distributions of scale and shift: with larger ones float16 would end


# Most tasks have one helper that turns a shape into a Case; any Python will do.
def case(name, rows, cols, dtype="float32", distribution="normal", small=(16, 600)):
    # An Input is one tensor: its shape, its dtype and how its values are drawn. The distributions:
    #   normal   N(0, 1)                      uniform  [0, 1)
    #   offset   N(100, 1): finds statistics that lose digits when the mean is large
    #   heavy    heavy-tailed, up to 10000: finds overflow, and sums whose share can be guessed
    #   spike    N(0, 1) with a few values of 1000, the last element among them: finds missing masks and maxima
    #   signs    exactly -1, 0 or 1: sums of these are exact, so results can be compared without a tolerance
    #   indices  integers in [0, high), for example Input((n,), "int64", "indices", high=rows_of_the_table)
    #   integers every number of an integer dtype of at most 32 bits, each as likely as any other
    # A candidate is checked on more than the distribution named here: every floating-point input takes each of the six
    # in turn, and in one trial more a single element of each is made large. Input(..., trials=("normal", "signs"))
    # names those it may take, where others would leave the dtype's range; it keeps its own while others take theirs.
    # Two more are taken only where they are named, trials=(*FLOATING, "special") (from suites import FLOATING):
    #   nonfinite  N(0, 1) with a few NaN, infinities and -0.0: results must be NaN and infinite where the reference's are
    #   special    the same with a few of the largest numbers the dtype has
    # Name one where every honest kernel agrees on that, as for copies and sums of two. Not here: a maximum of NaN and 0 is
    # 0 in Triton unless one asks for NaN.
    # And one more: whole, whole numbers from -56 to 56, for what is summed where `misrounded` is said; see above. In rows
    # longer than 64 some are 0, so that hardly one sum in a thousand along rows is inexact in matrix units of 14 bits.
    # Input(..., order=(1, 0)) stores a matrix column by column, Input(..., pad=3) leaves three unused elements after
    # each row. Contiguous row-major memory is the default.
    # Keep results inside the dtype's range: float16 ends at 65504.
    # An argument that is a plain int, float or bool is passed to the kernel as it is: {"eps": 1e-5}.
    def arguments(rows, cols):
        return {
            "x": Input((rows, cols), dtype, distribution),
            "scale": Input((cols,), dtype, trials=FACTORS),
            "shift": Input((cols,), dtype, trials=FACTORS),
        }

    full = arguments(rows, cols)
    return Case(
        name,  # appears in reports and records; every case of a task needs its own
        full,  # the size that is timed: as large as in production, or launching is all that is measured
        # The least work that any correct kernel must do at that size. The two numbers give the time that nothing
        # can beat; a kernel that seems to beat it is refused, so leave out what a clever kernel can avoid.
        flops=3 * full["x"].elements,  # a multiplication, an addition and a maximum
        bytes=2 * full["x"].bytes + full["scale"].bytes + full["shift"].bytes,  # x read, y written; the rest read once
        # The same arguments, in the same order, for machines without a GPU. Triton's interpreter needs about a
        # tenth of a millisecond for each operation of each program: aim at 200 programs or fewer. Keep what makes
        # the full size awkward: a remainder, a single row. Leave `small` out if the full size is small itself.
        small=arguments(*small),
    )


# Public cases: operators see them, and every candidate is checked and timed on all of them. Vary what a kernel could
# be wrong about: dtypes, distributions, and sizes that no block divides.
cases = [
    case("16384x4096-fp32", 16384, 4096, small=(16, 512)),
    case("8192x4099-fp32-spike", 8192, 4099, distribution="spike", small=(16, 515)),
    case("8192x8192-fp16-uniform", 8192, 8192, "float16", "uniform", small=(8, 1024)),
    case("4096x14336-bf16-offset", 4096, 14336, "bfloat16", "offset", small=(8, 1024)),
]

# Held-out cases: no operator ever sees them. A kernel is checked on them before it is exported, so that one that only
# fits the public sizes is found out. Take powers of two plus or minus one, primes and a single row, but nothing so
# small that a result of zeros may be right.
held_out = [
    case("2047x16385-fp16-heavy", 2047, 16385, "float16", "heavy", small=(7, 1025)),
    case("65537x127-fp32-signs", 65537, 127, distribution="signs", small=(101, 127)),
    case("1x33-bf16", 1, 33, "bfloat16", small=(1, 33)),
]

# Edges: cases for correctness alone, never timed, so they need no flops and no bytes. Sizes one more and one less
# than a power of two, primes, rows that are padded or permuted if the launcher takes strides, one element, none. One
# with more than 2^31 elements finds offsets of 32 bits; it has no `small` and waits for a GPU. The distributions that
# no public case has are best named here: they cost the interpreter least on small inputs.
def corner(name, rows, cols, dtype="float32", distribution="normal", pad=0):
    x = Input((rows, cols), dtype, distribution, pad=pad)
    factors = Input((cols,), dtype, trials=FACTORS)
    return edge(name, {"x": x, "scale": factors, "shift": factors})


edges = [
    corner("3x255-fp32-signs", 3, 255, distribution="signs"),
    corner("3x257-fp32-heavy", 3, 257, distribution="heavy"),
    corner("5x127-fp16-padded", 5, 127, "float16", pad=9),
    corner("1x1-fp32", 1, 1),
    corner("0x64-fp32", 0, 64),
    corner("65537x32771-fp16", 65537, 32771, "float16"),  # more than 2^31 elements, for a GPU
]

# `evo-kernel tasks check FILE` makes wrong programs of the reference (zeros, a constant, half the data, each reduction
# and each input sampled or left out, the last tile missing, bfloat16 inside, ...) and refuses the task if one of them
# passes every case. It does that in a process of its own, with a time limit.

# A seed is a correct kernel to start from, between two marker lines; the first one names it. A file may have several
# seeds with different names, and the search starts from all of them. Each is a complete program with imports of its
# own: it becomes a file, and what stands outside the markers does not exist for it.
#
# evo-kernel: seed plain
import torch
import triton
import triton.language as tl


# Kernels are @triton.jit functions at module level. A seed has to be right for every shape, so it masks; it need not
# be fast. `tl.constexpr` parameters are known when the kernel is compiled.
@triton.jit
def scale_shift_relu_kernel(out_ptr, x_ptr, scale_ptr, shift_ptr, out_stride, x_stride, cols, BLOCK: tl.constexpr):
    # one program per row; the row's start is 64-bit because rows * cols may pass 2^31 elements
    row = tl.program_id(0).to(tl.int64)
    x_row = x_ptr + row * x_stride
    out_row = out_ptr + row * out_stride
    for start in range(0, cols, BLOCK):
        offs = start + tl.arange(0, BLOCK)
        mask = offs < cols
        # compute in float32 whatever the dtype, and round once at the end
        x = tl.load(x_row + offs, mask=mask, other=0.0).to(tl.float32)
        scale = tl.load(scale_ptr + offs, mask=mask, other=0.0).to(tl.float32)
        shift = tl.load(shift_ptr + offs, mask=mask, other=0.0).to(tl.float32)
        y = tl.maximum(x * scale + shift, 0.0)
        tl.store(out_row + offs, y.to(out_ptr.dtype.element_ty), mask=mask)


# The launcher takes the arguments of the cases, in order, and returns the result. It may allocate (torch.empty,
# torch.empty_like, torch.zeros), ask for shapes and strides, take views, and launch kernels of this file. It may not
# compute with torch: what it does is recorded once and replayed, so it must not depend on the values either.
# Numbers that the tuner may change stand as literal keyword arguments at the launch: BLOCK, num_warps, num_stages.
def scale_shift_relu(x, scale, shift):
    out = torch.empty_like(x)
    rows, cols = x.shape
    scale_shift_relu_kernel[(rows,)](
        out, x, scale, shift, out.stride(0), x.stride(0), cols, BLOCK=256, num_warps=4, num_stages=2
    )
    return out
# evo-kernel: end
