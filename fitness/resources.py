"""Reads what a compiled kernel uses out of the compiler's own output, and works out its occupancy."""

import re
from collections.abc import Mapping
from typing import Any

from fitness import cubin, elf, targets
from fitness.evaluation import Resources
from fitness.targets import Target

WORD = 4  # bytes of a register
_WIDTHS = {"b8": 1, "u8": 1, "s8": 1, "b16": 2, "u16": 2, "b32": 4, "u32": 4, "f32": 4, "b64": 8, "u64": 8}
_AMD_WIDTHS = (
    ("dwordx4", 16), ("dwordx3", 12), ("dwordx2", 8), ("b128", 16), ("b96", 12), ("b64", 8), ("b32", 4),
    ("dword", 4), ("short", 2), ("b16", 2), ("byte", 1), ("b8", 1),
)  # fmt: skip


def read(asm: Mapping[str, Any], metadata: Mapping[str, Any], symbol: str, target: Any) -> Resources:
    """Read the figures of one compiled kernel for a Triton GPUTarget."""
    sheet = next(t for t in targets.TARGETS if t.arch == target.arch)
    if sheet.backend == "hip":
        return _read_amd(asm["amdgcn"], bytes(asm["hsaco"]), metadata, symbol, sheet)
    return _read_nvidia(asm["ptx"], bytes(asm["cubin"]), metadata, symbol, sheet)


def _read_amd(text: str, binary: bytes, metadata: Mapping[str, Any], symbol: str, sheet: Target) -> Resources:
    """Read the metadata that LLVM writes at the end of its assembly."""

    def figure(name: str) -> int:
        found = re.findall(rf"^\s*(?:- )?\.{name}:\s+(\d+)", text, re.MULTILINE)
        return int(found[-1]) if found else 0

    vgprs, agprs = figure("vgpr_count"), figure("agpr_count")
    spills = figure("vgpr_spill_count") + figure("sgpr_spill_count")
    shared, waves = int(metadata["shared"]), int(metadata["num_warps"])
    widths = [_amd_width(op) for op in re.findall(r"^\s*(?:global|buffer)_(?:load|store)_(\w+)", text, re.MULTILINE)]
    return Resources(
        symbol=symbol,
        vgprs=vgprs,
        sgprs=figure("sgpr_count"),
        agprs=agprs,
        spills=spills,
        shared_bytes=shared,
        waves_per_program=waves,
        occupancy=occupancy(sheet, vgprs, shared, waves),
        matrix_ops=len(re.findall(r"^\s*v_s?mfmac?_", text, re.MULTILINE)),
        load_bytes=_mean(widths),
        code=elf.digest(binary),
    )


def _read_nvidia(ptx: str, binary: bytes, metadata: Mapping[str, Any], symbol: str, sheet: Target) -> Resources:
    """Read registers and stack from the cubin's ELF sections, instructions from the PTX."""
    registers, stack = cubin.figures(binary)
    shared, waves = int(metadata["shared"]), int(metadata["num_warps"])
    widths = [
        int(v.removeprefix(".v") or 1) * _WIDTHS[t]
        for v, t in re.findall(r"\b(?:ld|st)\.global(?:\.(?!v\d|[a-z]\d+\b)[\w:]+)*(\.v\d)?\.([a-z]\d+)\b", ptx)
        if t in _WIDTHS
    ] + [16] * len(re.findall(r"cp\.async\.(?:cg|ca|bulk)", ptx))
    return Resources(
        symbol=symbol,
        vgprs=registers,
        sgprs=None,
        agprs=None,
        spills=-(-stack // WORD),
        shared_bytes=shared,
        waves_per_program=waves,
        occupancy=occupancy(sheet, registers, shared, waves),
        matrix_ops=len(re.findall(r"\b(?:wgmma\.mma_async|mma\.sync)", ptx)),
        load_bytes=_mean(widths),
        code=elf.digest(binary),
    )


def occupancy(sheet: Target, registers: int, shared: int, waves: int) -> int:
    """Return the waves one scheduler can hold, given what a program of `waves` waves uses.

    Programs are placed whole on a unit, their waves spread over its schedulers. On AMD registers are per lane of a
    scheduler (512, accumulation registers included); on NVIDIA 65536 per unit, granted to a warp in steps of 8.
    """
    step = sheet.register_step
    per_lane = max(step, -(-max(registers, 1) // step) * step)
    if sheet.backend == "hip":
        by_registers = min(sheet.max_waves, sheet.registers // per_lane)
    else:
        by_registers = min(sheet.max_waves, sheet.registers // (per_lane * sheet.wave) // sheet.simds)
    programs = by_registers * sheet.simds // waves
    grain = 128 if sheet.backend == "cuda" else 512  # bytes in which LDS and shared memory are granted
    shared = -(-shared // grain) * grain
    reserve = 1024 if sheet.backend == "cuda" else 0  # the runtime's share of every program's shared memory
    if shared:
        programs = min(programs, sheet.shared // (shared + reserve))
    programs = min(programs, 32 if sheet.backend == "cuda" else 16 if waves > 1 else 40)
    return min(by_registers, -(-programs * waves // sheet.simds)) if programs else 0


def _amd_width(suffix: str) -> int:
    """Return the bytes per lane of a memory instruction by its suffix."""
    return next((width for name, width in _AMD_WIDTHS if name in suffix), 4)


def _mean(widths: list[int]) -> float:
    return round(sum(widths) / len(widths), 3) if widths else 4.0
