"""Compiles a plan's kernels to machine code. No Python of a candidate runs here, only its TTIR is read."""

import re
from typing import Any

import triton
import triton.language as tl
from triton._C.libtriton import ir
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource

from fitness import cubin, inflight, resources
from fitness.child import Refused, Report
from fitness.codescan import DIALECTS, HARMLESS, objection_to
from fitness.gpu.machine_code import MachineCode
from fitness.jobs.disassembly import NoListing, listing
from fitness.jobs.frontend import lower


def compile_kernels(payload: Any, report: Report) -> Any:
    """Compile each (digest, symbol, TTIR, options, alone); return figures, machine code if wanted, and a note or none.

    What stands `alone` must run: where one such kernel cannot, no program with it can, and the rest is not compiled.
    """
    report.stage("compile")
    target = GPUTarget(*payload["target"])
    results = []
    for number, (digest, symbol, ttir, options, alone) in enumerate(payload["kernels"]):
        path = f"{number}.ttir"
        with open(path, "w", encoding="utf-8") as file:
            file.write(ttir)
        _read_again(path, symbol, payload.get("tf32", False))
        compiled = triton.compile(path, target=target, options=dict(options))
        figures = resources.read(compiled.asm, compiled.metadata._asdict(), symbol, target)
        note = _check_products(compiled, symbol, target)
        code = _machine_code(compiled, target).plain() if payload.get("code") else None
        results.append([digest, [getattr(figures, n) for n in type(figures).__slots__], code, note])
        if alone and figures.occupancy == 0:
            break
    return results


def _read_again(path: str, symbol: str, tf32: bool) -> None:
    """Read the code as the compiler does: text can be spelt in ways that no reader of text sees through."""
    context = ir.context()
    ir.load_dialects(context)
    module = ir.parse_mlir_module(path, context)
    found: set[str] = set()
    module.walk(lambda operation: found.add(operation.get_name()))
    foreign = sorted(name for name in found if name.split(".")[0] not in DIALECTS and name not in HARMLESS)
    told = f"kernel {symbol} holds `{foreign[0]}`, which Triton's front end never writes" if foreign else None
    told = told or objection_to(symbol, module.str_nodebug(), tf32)
    if told:
        raise Refused("code", told)


def _check_products(compiled: Any, symbol: str, target: GPUTarget) -> str:
    """Refuse machine code that overwrites what a product still reads; return a note where it cannot be read."""
    if target.backend != "cuda" or target.arch // 10 != 9 or not inflight.takes_registers(compiled.asm["ptx"]):
        return ""
    try:
        told = inflight.objection_to(symbol, listing(bytes(compiled.asm["cubin"])))
    except NoListing as error:
        return f"kernel {symbol} was not checked for registers overwritten under a running matrix product: {error}"
    if told:
        raise Refused("code", told)
    return ""


def _machine_code(compiled: Any, target: GPUTarget) -> MachineCode:
    """Take the binary and what a launch of it must say out of Triton's result."""
    metadata = compiled.metadata
    symbol = metadata.name
    if target.backend == "cuda":
        binary = bytes(compiled.asm["cubin"])
        sizes = cubin.parameters(binary, symbol)
    else:
        binary = bytes(compiled.asm["hsaco"])
        sizes = _amd_parameters(compiled.asm["amdgcn"])
    return MachineCode(
        symbol=symbol,
        binary=binary,
        threads=metadata.num_warps * target.warp_size,
        shared=metadata.shared,
        ctas=getattr(metadata, "num_ctas", 1),
        cooperative=bool(getattr(metadata, "launch_cooperative_grid", False)),
        scratch=(getattr(metadata, "global_scratch_size", 0) or 0, getattr(metadata, "profile_scratch_size", 0) or 0),
        parameters=sizes,
        descriptors=tuple(_descriptor(d) for d in getattr(metadata, "tensordesc_meta", None) or ()),
    )


def _descriptor(meta: dict[str, Any]) -> tuple[int, ...]:
    """Read how the kernel wants a tensor descriptor encoded: swizzle, bytes and type of an element, then the block."""
    if "swizzle" not in meta or meta.get("fp4_padded"):
        raise Refused("argument", "a tensor descriptor of this form cannot be passed yet: make it in the kernel")
    return (meta["swizzle"], meta["elem_size"], meta["elem_type"], *meta["block_size"])


def _amd_parameters(text: str) -> tuple[int, ...]:
    """Read the sizes of the arguments from the metadata in the assembly; hidden ones are the runtime's."""
    listing = re.search(r"^\s*-? ?\.args:\s*\n(.*?)^\s*\.group_segment_fixed_size", text, re.MULTILINE | re.DOTALL)
    entries = re.split(r"^\s*- ", listing.group(1) if listing else "", flags=re.MULTILINE)
    return tuple(
        int(size.group(1))
        for entry in entries
        if (size := re.search(r"\.size:\s+(\d+)", entry)) and "value_kind:     hidden" not in entry
    )


@triton.jit
def _warm_up_kernel(out, BLOCK: tl.constexpr):  # type: ignore[no-untyped-def]  # triton reads the annotations
    offs = tl.program_id(0) * BLOCK + tl.arange(0, BLOCK)
    tl.store(out + offs, offs)


def warm_up(*backends: str) -> None:
    """Compile a trivial kernel for these backends, or for all: the first compile costs 0.5 s more than the next."""
    import os
    import tempfile

    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRITON_CACHE_DIR"] = folder
        for target in (GPUTarget("hip", "gfx942", 64), GPUTarget("cuda", 90, 32)):
            if backends and target.backend not in backends:
                continue
            src = ASTSource(_warm_up_kernel, {"out": "*i32", "BLOCK": "constexpr"}, constexprs={"BLOCK": 128})
            path = os.path.join(folder, "warm.ttir")
            with open(path, "w", encoding="utf-8") as file:
                file.write(lower(src, target, {}))
            triton.compile(path, target=target, options={})
