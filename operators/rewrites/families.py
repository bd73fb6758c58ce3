"""Every family of rewrites, in the order of tables."""

from fitness.offered import without_block_pointers
from operators.rewrites.accumulators import Accumulators
from operators.rewrites.aligned import Aligned
from operators.rewrites.blocks import Arithmetic, BlockPointers
from operators.rewrites.bumping import Bumped, Recomputed
from operators.rewrites.bytes import Bytes
from operators.rewrites.caching import Caching
from operators.rewrites.chunks import Chunks
from operators.rewrites.descriptors import Descriptors
from operators.rewrites.divide import Divided
from operators.rewrites.exp2 import Exp2
from operators.rewrites.exposure import Exposure
from operators.rewrites.full import Full
from operators.rewrites.fuse import Fused
from operators.rewrites.groups import PerGroup
from operators.rewrites.hints import Alignment
from operators.rewrites.hoist import Hoist
from operators.rewrites.inline import Inlined
from operators.rewrites.masks import Unmasked
from operators.rewrites.narrow import Narrow
from operators.rewrites.online import OnePass, TwoPass
from operators.rewrites.order import Grouped, Swapped
from operators.rewrites.pairs import Pairs
from operators.rewrites.peeled import Peeled
from operators.rewrites.persistent import Persistent
from operators.rewrites.precision import Precision
from operators.rewrites.products import Products
from operators.rewrites.program import Rewrite
from operators.rewrites.ranges import TritonRange
from operators.rewrites.reciprocal import Reciprocal
from operators.rewrites.redundant import Redundant
from operators.rewrites.rows import Rows
from operators.rewrites.split import SplitK, TwoLevel
from operators.rewrites.two import Two
from operators.rewrites.unroll import Unroll
from operators.rewrites.whole import Whole
from operators.rewrites.xcd import Remapped

FAMILIES: tuple[Rewrite, ...] = (
    Exp2(),
    Reciprocal(),
    TritonRange(),
    Unroll(),
    Whole(),
    Two(),
    Redundant(),
    Hoist(),
    Grouped(),
    Swapped(),
    Remapped(),
    Unmasked(),
    Full(),
    Aligned(),
    Bytes(),
    Narrow(),
    Precision(),
    Alignment(),
    Caching(),
    Persistent(),
    Rows(),
    TwoLevel(),
    SplitK(),
    Exposure(),
    Bumped(),
    Recomputed(),
    OnePass(),
    TwoPass(),
    BlockPointers(),
    Arithmetic(),
    Descriptors(),
    Chunks(),
    Inlined(),
    Divided(),
    Fused(),
    Accumulators(),
    Products(),
    Peeled(),
    Pairs(),
    PerGroup(),
)


def refused(name: str) -> str:
    """Say why a family is not offered with the installed Triton; empty where it is."""
    if name == "block-pointers" and without_block_pointers():
        return "the installed Triton has no block pointers any more"
    return ""
