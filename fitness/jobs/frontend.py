"""Triton's front end and back end as two steps with plain text between them.

`lower` needs the candidate's function objects; what it returns does not. The machine code made from its text is
byte for byte what triton.compile makes from the function (tests/test_compile.py), so that the compile step can run
where no candidate Python ever was.
"""

import inspect
from typing import Any

from triton._C.libtriton import ir
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, make_backend


def lower(src: ASTSource, target: GPUTarget, options: dict[str, Any]) -> str:
    """Lower a specialised kernel to TTIR text without source locations: equal code gives equal text."""
    backend = make_backend(target)
    parsed = backend.parse_options(dict(options))
    context = ir.context()
    ir.load_dialects(context)
    backend.load_dialects(context)
    codegen, modules = backend.get_codegen_implementation(parsed), backend.get_module_map()
    arguments = (target, parsed, codegen, modules, context)
    module = src.make_ir(*arguments[-len(inspect.signature(src.make_ir).parameters) :])
    stages: dict[str, Any] = {}
    backend.add_stages(stages, parsed, src.language)
    return str(stages["ttir"](module, {}).str_nodebug())
