"""Says how wide the loads and stores of native seeds are in machine code, before and after families of rewrites.

    python benchmarks/rewrites_widths.py [--target h200] [--tasks gemm_fp16] [--families full-blocks] [--knobs BLOCK=64]

Needs no GPU. A column of a case reads `16x2 2x9`: two instructions that move 16 bytes a lane, nine that move two; a
kernel's paths for full and for last blocks are both in it, so look at what is wide. Of several launches all count.
Families that are joined by + are applied one after the other.
"""

import argparse
import re
import tempfile
from collections import Counter
from collections.abc import Mapping

import triton
from triton.backends.compiler import GPUTarget

from fitness import targets
from fitness.build import Builder, Purpose
from fitness.child import Limits
from operators import knobs
from operators.rewrites.families import FAMILIES
from operators.rewrites.program import apply, read
from suites import load

BYTES = {"b8": 1, "u8": 1, "s8": 1, "b16": 2, "u16": 2, "b32": 4, "u32": 4, "f32": 4, "b64": 8, "u64": 8}
PTX = re.compile(r"\b(ld|st)\.global(?:\.(?!v\d|[a-z]\d+\b)[\w:]+)*(?:\.v(\d))?\.([a-z]\d+)\b")
COPIED = re.compile(r"cp\.async\.(?:cg|ca)\.shared\.global\S*\s+\[[^\]]*\],\s*\[[^\]]*\],\s*(0x[0-9a-f]+|\d+)")
GCN = re.compile(r"^\s*(?:global|buffer)_(load|store)_(\w+)", re.MULTILINE)
GCN_BYTES = {"dwordx4": 16, "dwordx3": 12, "dwordx2": 8, "dword": 4, "ushort": 2, "short": 2, "ubyte": 1, "byte": 1}


def main() -> None:
    """Compile and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--target", default="h200")
    parser.add_argument("--tasks", default="vector_add,gemm_fp16,layer_norm,transpose")
    parser.add_argument("--families", default="full-blocks,aligned-sizes,full-blocks+aligned-sizes")
    parser.add_argument("--knobs", default="", help="NAME=VALUE,... for all launches, before the rewrite")
    given = parser.parse_args()
    moved = dict(pair.split("=") for pair in given.knobs.split(",") if pair)
    for task in given.tasks.split(","):
        seed = set_knobs(load(task).seeds[0].source, moved)
        for names in ("", *given.families.split(",")):
            source = seed
            for name in filter(None, names.split("+")):
                program = read(source)
                family = next(f for f in FAMILIES if f.name == name)
                source = apply(program, program.places(family))
            if names and source == seed:
                continue
            for case, found in widths(task, source, given.target).items():
                print(
                    f"{task:<12}{names or 'seed':<34}{case:<36}loads {found['ld']:<28}stores {found['st']}", flush=True
                )


def set_knobs(source: str, moved: Mapping[str, str]) -> str:
    """Return a program with other values for knobs."""
    wanted = {
        knob.name: int(moved[knob.name.rpartition(".")[2]])
        for knob in knobs.find(source, "cuda")
        if knob.name.rpartition(".")[2] in moved
    }
    return knobs.rewrite(source, wanted)


def widths(name: str, source: str, target: str) -> dict[str, dict[str, str]]:
    """Return, of every timed case, how many instructions of each width the kernels that it launches have."""
    task, device = load(name), targets.find(target)
    builder = Builder(task, device, Limits(), Purpose(code=True))
    try:
        built = builder.build(source, task.cases, ())
    finally:
        builder.close()
    found = {}
    for recorded in built.recorded:
        counts: dict[str, Counter[int]] = {"ld": Counter(), "st": Counter()}
        for launch in recorded.full.launches:
            kernel = launch.variants[0].kernel
            text = compiled(kernel.ttir or "", dict(kernel.options), device)
            for way, count in read_widths(text, device.backend):
                counts[way][count] += 1
        found[recorded.case.name] = {
            way: " ".join(f"{w}x{n}" for w, n in sorted(some.items(), reverse=True)) for way, some in counts.items()
        }
    return found


def compiled(ttir: str, options: Mapping[str, object], device: targets.Target) -> str:
    """Return the assembly of a kernel."""
    with tempfile.NamedTemporaryFile("w", suffix=".ttir") as file:
        file.write(ttir)
        file.flush()
        arch = GPUTarget(device.backend, device.arch, device.wave)
        asm = triton.compile(file.name, target=arch, options=dict(options)).asm
    return str(asm["ptx"] if device.backend == "cuda" else asm["amdgcn"])


def read_widths(text: str, backend: str) -> list[tuple[str, int]]:
    """List the bytes a lane of every load and store of global memory."""
    if backend == "hip":
        return [("ld" if way == "load" else "st", gcn(suffix)) for way, suffix in GCN.findall(text)]
    plain = [(way, int(count or 1) * BYTES[kind]) for way, count, kind in PTX.findall(text) if kind in BYTES]
    return plain + [("ld", int(size, 0)) for size in COPIED.findall(text)]


def gcn(suffix: str) -> int:
    """Return the bytes that an AMD instruction moves for a lane."""
    return next((size for name, size in GCN_BYTES.items() if suffix.startswith(name) or name in suffix.split("_")), 4)


if __name__ == "__main__":
    main()
