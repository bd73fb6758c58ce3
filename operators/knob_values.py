"""Which numbers of a Triton program may be tuned, judged by their names, and to which values."""

import re

OPTIONS = ("num_warps", "num_stages", "num_ctas", "waves_per_eu", "matrix_instr_nonkdim", "kpack")
HIP_OPTIONS = ("waves_per_eu", "matrix_instr_nonkdim", "kpack")

_DEFAULTS = {
    "num_warps": 4,
    "num_stages": 3,
    "num_ctas": 1,
    "waves_per_eu": 0,
    "matrix_instr_nonkdim": 0,
    "kpack": 1,
}

# XBLOCK, BLOCK_SIZE_M, TILE_N, CHUNK and BM are sizes that the program is free to choose.
_SIZE = re.compile(r"BLOCK|BLK|TILE|CHUNK|^B[A-Z]$")
# These belong to the problem even where they are called blocks: attention's head size, a count of blocks, and how many
# elements share a scale (tiles taken together are GROUP_M): in dequantize all of 112 programs with another were wrong.
_GIVEN = re.compile(r"^GROUP$|D_?MODEL|HEAD_?DIM|^(NUM|N)_(.*_)?(BLOCK|BLK|TILE|CHUNK|GROUP)S$")
# One such word in a name says that the number describes the problem or switches meaning, and is no choice.
_MEANING = re.compile(
    r"""(^|_)(
        DIMS?|HEADS?|HIDDEN|FEATURES?|CHANNELS?|COLS?|ROWS?|CTX|SEQ|SEQLEN|LEN|LENGTH|VOCAB|EXPERTS?|TOPK|BATCH|
        STRIDES?|AXIS|SHAPE|RANK|NUMEL|ELEMENTS|WIDTH|HEIGHT|DEPTH|PAD|PADDING|DILATION|OFFSET|ORDER|DEGREE|POWER|
        EPS|SCALE|SEED|VALUE|OTHER|MASK|DTYPE|TYPE|BITS?|BYTES?|ITEMSIZE|PRECISION|
        HAS|IS|USE|EVEN|ALLOW|ENABLE|MODE|FLAG|CAUSAL|ACT|ACTIVATION
    )(_|$)""",
    re.VERBOSE,
)


def kind(name: str, value: int, ranged: bool, dots: bool) -> str | None:
    """Tell what sort of knob a number is, None for no knob.

    Args:
        name: the option's or the constexpr parameter's.
        value: the present one.
        ranged: the name stands inside a tl.arange of its kernel.
        dots: its kernel multiplies matrices with tl.dot.
    """
    if name in OPTIONS:
        return name
    name = name.upper()
    if _GIVEN.search(name):
        return None
    size = _SIZE.search(name) is not None
    if not size and (len(name) == 1 or _MEANING.search(name)) and "_PER_" not in name:
        return None
    if name.startswith("GROUP"):
        return "group" if value >= 1 else None
    if "_PER_" in name and ranged and not size and _power_of_two(value):
        return "rows"
    if (size or ranged) and _power_of_two(value):
        return "tile" if dots else "size"
    return "ordinal" if 1 <= value <= 16 else None


def legal(sort: str, value: int | None, backend: str, given: int | None) -> tuple[int, ...]:
    """Return the values of a knob in rising order, the present one among them; fewer than two mean no knob.

    A present value of None is an option that the program leaves out. Its default, `given`, is not among the
    values then: to say it would change nothing.
    """
    if value is None:
        return tuple(v for v in _option_values(sort, backend) if v != given)
    values = _option_values(sort, backend) if sort in OPTIONS else _size_values(sort, value)
    return tuple(sorted({*values, value})) if values else ()


def default(option: str, backend: str, configured: bool) -> int:
    """Return what Triton takes for an option that a launch, or a Config, leaves out."""
    hip_launch = backend == "hip" and not configured
    return 2 if option == "num_stages" and hip_launch else _DEFAULTS[option]


def _option_values(option: str, backend: str) -> tuple[int, ...]:
    hip = backend == "hip"
    if option in HIP_OPTIONS and not hip:
        return ()
    return {
        "num_warps": (1, 2, 4, 8, 16),
        "num_stages": (1, 2, 3, 4) if hip else (1, 2, 3, 4, 5),
        "num_ctas": () if hip else (1, 2, 4),
        "waves_per_eu": (0, 1, 2, 3, 4),
        "matrix_instr_nonkdim": (0, 16, 32),
        "kpack": (1, 2),
    }[option]


def _size_values(sort: str, value: int) -> tuple[int, ...]:
    if sort == "ordinal":
        near = (value // 2, value - 1, value + 1, value * 2)
        return tuple(v for v in near if 1 <= v <= 16)
    if sort == "group":
        return _powers(1, 32)
    if sort == "tile":
        return _powers(16, 256)
    if sort == "rows":  # side by side in one program, however long; on an H200 2 to 4 did best, 32 ran out of time
        return _powers(1, 64)
    if value < 16:
        return _powers(1, 256)  # so small a size counts rows of a tile, not the elements along one
    return _powers(16, 65536 if value > 4096 else 8192)


def _powers(low: int, high: int) -> tuple[int, ...]:
    return tuple(1 << n for n in range(low.bit_length() - 1, high.bit_length()))


def _power_of_two(value: int) -> bool:
    return value > 0 and value & (value - 1) == 0
