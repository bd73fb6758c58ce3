"""Reads the intermediate code of a plan's kernels for what no gate behind it could see through.

A pointer made from a number, or moved by one that was a pointer, reaches memory that no buffer owns; inline assembly
and foreign libraries can read clocks and counters and so be another kernel in every launch. Runs in the judge: the
code is plain text here.
"""

import re
from collections.abc import Iterable

from fitness.plan import KernelSpec

_POINTER = re.compile(r"\btt\.(int_to_ptr|ptr_to_int)\b")
_ASSEMBLY = re.compile(r'\btt\.elementwise_inline_asm\s+"((?:[^"\\]|\\.)*)"')
_EXTERN = re.compile(r"\btt\.extern_elementwise\b[^{]*\{(?P<attributes>[^}]*)\}")
_ATTRIBUTE = re.compile(r'(\w+) = "((?:[^"\\]|\\.)*)"')
_TF32_DOT = re.compile(r"\btt\.dot\b[^\n]*inputPrecision = tf32 : tensor<[^>]*xf32\b")
_OWN_LIBRARY = re.compile(r"__(nv|ocml|triton_hip)_\w+")  # what triton.language.extra.libdevice calls


DIALECTS = frozenset(("tt", "arith", "math", "scf", "cf", "ub", "builtin"))  # what lowering to TTIR makes
# tl.debug_barrier, by version of Triton, and tl.assume
HARMLESS = frozenset(("gpu.barrier", "ttg.barrier", "ttg.local_barrier", "llvm.intr.assume"))
_PATHS = frozenset(("extern_libs", "ir_override", "ptx_options", "llvm_options"))  # options that bring in more code


def objection_to(symbol: str, code: str, tf32: bool) -> str | None:
    """Say what is wrong with one kernel's code, printed by the compiler that will compile it."""
    found = _fault(code, tf32)
    return f"kernel {symbol} {found}" if found else None


def objection(kernels: Iterable[KernelSpec], tf32: bool) -> str | None:
    """Say what is wrong with the first kernel whose code cannot be judged; None when all can."""
    for kernel in kernels:
        foreign = sorted(_PATHS & {name for name, value in kernel.options if value})
        found = f"is compiled with `{foreign[0]}`, which brings in other code" if foreign else None
        found = found or _fault(kernel.ttir or "", tf32)
        if found:
            return f"kernel {kernel.symbol} {found}"
    return None


def _fault(code: str, tf32: bool) -> str | None:
    if _POINTER.search(code):
        return "turns a number into a pointer, or a pointer into one: take every address from a pointer argument"
    assembly = _ASSEMBLY.search(code)
    if assembly or "tt.elementwise_inline_asm" in code:
        shown = assembly[1][:80] if assembly else "..."
        return f"holds inline assembly (`{shown}`): write it in triton.language"
    for symbol, path in _foreign(code):
        return f"calls `{symbol}`{path}, which is not in Triton's own device library"
    if not tf32 and _TF32_DOT.search(code):
        return "multiplies float32 in TF32, which this task does not allow: give tl.dot input_precision='ieee'"
    return None


def _foreign(code: str) -> Iterable[tuple[str, str]]:
    """Name the external functions that are not of libdevice or ocml."""
    for match in _EXTERN.finditer(code):
        attributes = dict(_ATTRIBUTE.findall(match["attributes"]))
        symbol, path = attributes.get("symbol", "?"), attributes.get("libpath", "")
        if path or not _OWN_LIBRARY.fullmatch(symbol):
            yield symbol, f" of {path}" if path else ""
