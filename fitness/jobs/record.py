"""Runs a candidate's launcher on tensors that hold nothing, and writes down what it would have done on a GPU.

Allocations and views are allowed; any other computation by the host is refused, because a LaunchPlan cannot hold
it. Shapes, strides, dtypes, device queries and Python's own arithmetic work as on the real device.
"""

import operator
import sys
import types
from collections.abc import Mapping
from typing import Any

import torch
from torch.utils._pytree import tree_leaves, tree_map
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource, make_backend

from fitness import plan as plans
from fitness.child import Refused, Report
from fitness.jobs import driver, hooks, integrity, program, tensors
from fitness.jobs.arguments import argument, constant
from fitness.jobs.frontend import lower
from fitness.jobs.tensors import FORBIDDEN, RECORDERS, Intercept, Recorded, dtype_name, fresh, shares
from fitness.plan import Buffer, KernelSpec, Launch, LaunchPlan, Variant
from suites.task import Argument, Input, unpack_arguments

MAX_VARIANTS = 24  # autotune configurations that are compiled; more would cost more than they teach
MAX_LAUNCHES = 256  # in one call of a launcher

_FILLS = {"zeros": 0.0, "zeros_like": 0.0, "new_zeros": 0.0, "ones": 1.0, "ones_like": 1.0, "new_ones": 1.0}
_ALLOCATIONS = {"empty", "empty_like", "new_empty", "empty_strided", "new_empty_strided", *_FILLS}
_FULL = {"full": 1, "full_like": 1, "new_full": 2}  # position of the fill value


class Recorder:
    """Collects one plan while a launcher runs."""

    def __init__(self, module: types.ModuleType, target: GPUTarget, lowering: bool, report: Report) -> None:
        self.module, self.target, self.lowering, self.report = module, target, lowering, report
        self.buffers: list[Buffer] = []
        self.launches: list[Launch] = []
        self.variants: list[tuple[Variant, tuple[tuple[str, Any], ...]]] | None = None
        self.label: str | None = None
        self.notes: list[str] = []
        self._lowered: dict[Any, str] = {}
        self._stage = "record"
        self._defaults = make_backend(target).parse_options({})

    def allocate(self, meta: torch.Tensor, source: str | None, fill: float | None = None) -> Recorded:
        """Add a buffer under a tensor that has no memory."""
        if len(self.buffers) >= plans.MAX_BUFFERS:
            raise Refused("memory", f"the launcher makes more than {plans.MAX_BUFFERS} allocations")
        size = meta.untyped_storage().nbytes()
        self.buffers.append(Buffer(size, dtype_name(meta.dtype), source, fill))
        return Recorded(meta, len(self.buffers) - 1)

    def _at(self, stage: str) -> None:
        """Say what is being worked on, if it is something else than before."""
        if stage != self._stage:
            self._stage = stage
            self.report.stage(stage)

    def apply(self, op: Any, args: Any, kwargs: Any) -> Any:
        """Answer one tensor operation of the launcher: allocation, view, or refusal."""
        self._at("record")  # a launcher that catches the compiler's error goes on after it
        name = op.overloadpacket.__name__
        for one in tree_leaves((args, kwargs)):
            if isinstance(one, Recorded):
                fresh(one)
        plain_args, plain_kwargs = tree_map(_to_meta, (args, kwargs))
        if name in _ALLOCATIONS or name in _FULL:
            plain_kwargs["device"] = torch.device("meta")
            fill = args[_FULL[name]] if name in _FULL else _FILLS.get(name)
            return self.allocate(op(*plain_args, **plain_kwargs), None, fill)
        source = next((a for a in args if isinstance(a, Recorded)), None)
        if source is not None and name in ("fill_", "zero_"):
            return self._fill(source, _number(args[1]) if name == "fill_" else 0.0)
        if source is not None and not op._schema.is_mutable and any(r.alias_info for r in op._schema.returns):
            views = op(*plain_args, **plain_kwargs)
            if all(shares(v, source.meta) for v in _tensors(views)):
                return tree_map(lambda v: Recorded(v, source.buffer) if isinstance(v, torch.Tensor) else v, views)
        raise Refused("host-operation", FORBIDDEN.format(name))

    def _fill(self, tensor: Recorded, value: float) -> Recorded:
        """Fold a fill of a whole fresh allocation into the allocation."""
        buffer = self.buffers[tensor.buffer]
        if self.launches or buffer.input or tensor.meta.nbytes != buffer.bytes:
            raise Refused("host-operation", "only a whole, fresh allocation can be filled, before any launch")
        self.buffers[tensor.buffer] = Buffer(buffer.bytes, buffer.dtype, None, value)
        return tensor

    def compile(self, src: ASTSource, target: Any = None, options: Any = None, **_: Any) -> "hooks.Pending":
        """Stand in for triton.compile: lower to TTIR now, leave machine code to another process."""
        key = (src.hash(), str(sorted(options.items(), key=str)))
        if self.lowering and key not in self._lowered:
            self._at("compile")
            self._lowered[key] = lower(src, self.target, options)
            self._at("record")
        return hooks.Pending(self, src, dict(options), self._lowered.get(key))

    def launch(self, kernel: "hooks.Pending", grid: tuple[int, int, int], values: tuple[Any, ...]) -> None:
        """Add a launch, or one more variant of an autotuned launch."""
        src = kernel.src
        constants, arguments, signature = [], [], []
        for param, value in zip(src.fn.params, values, strict=True):
            if param.is_constexpr:
                constants.append((param.name, constant(self.module, value)))
                continue
            written, kind = argument(self.module, param.name, value, src.signature[param.name])
            arguments.append((param.name, written))
            signature.append((param.name, kind))
        grid = _grid(grid, src.name)
        options = tuple(sorted((k, plans.freeze(v)) for k, v in kernel.options.items() if self._told(k, v)))
        spec = KernelSpec(
            program.global_name(self.module, src.fn),
            src.name,
            tuple(signature),
            tuple(constants),
            options,
            kernel.ttir,
        )
        if 0 in grid:
            return  # nothing runs, as on the device
        variant = Variant(spec, grid, self.label)
        if self.variants is not None:
            self.variants.append((variant, tuple(arguments)))
        else:
            self._add(Launch((variant,), tuple(arguments)))

    def _told(self, name: str, value: Any) -> bool:
        """Keep an option only if it is not the backend's own choice: those hold paths of this machine."""
        return _is_plain(value) and getattr(self._defaults, name, None) != value

    def tune(self, tuner: Any, args: Any, kwargs: Any) -> None:
        """Record every autotune configuration as a variant of one launch."""
        if self.variants is not None:
            raise Refused("autotune", "one autotuned kernel inside another cannot be recorded")
        tuner.nargs = dict(zip(tuner.arg_names, args, strict=False))
        configs = tuner.prune_configs(kwargs) if len(tuner.configs) > 1 else tuner.configs
        self.notes += [f"{len(configs) - MAX_VARIANTS} autotune configurations left out"] * (
            len(configs) > MAX_VARIANTS
        )
        self.variants = []
        try:
            for config in configs[:MAX_VARIANTS]:
                self.label = _label(config)
                if config.pre_hook is not None:
                    config.pre_hook({**tuner.nargs, **kwargs, **config.all_kwargs()})
                tuner.fn.run(*args, **kwargs, **config.all_kwargs())
            found = self.variants
        finally:
            self.variants, self.label = None, None
        if len({arguments for _, arguments in found}) > 1:
            raise Refused("autotune", "the configurations of an autotuned kernel must take the same arguments")
        if found:
            self._add(Launch(tuple(v for v, _ in found), found[0][1]))

    def _add(self, launch: Launch) -> None:
        self.launches.append(launch)
        if len(self.launches) > MAX_LAUNCHES:
            raise Refused("launches", f"the launcher makes more than {MAX_LAUNCHES} launches")

    def plan(self, returned: Any, in_place: tuple[str, ...] = ()) -> LaunchPlan:
        """Close the plan with what the launcher returned; only inputs `in_place` may be among it."""
        outputs = tuple(returned) if isinstance(returned, (tuple, list)) else (returned,)
        if not outputs or not all(isinstance(o, Recorded) for o in outputs):
            kinds = ", ".join(type(o).__name__ for o in outputs) or "nothing"
            raise Refused("schema", f"the launcher must return a tensor or a tuple of tensors; got {kinds}")
        for one in outputs:
            fresh(one)
        if any(self.buffers[o.buffer].input not in (None, *in_place) for o in outputs):
            raise Refused(
                "alias", "the launcher returns (a view of) one of its inputs; it must return what it computed"
            )
        if not all(o.meta.is_contiguous() for o in outputs):
            raise Refused("schema", "the launcher must return tensors that are contiguous in row-major order")
        for one in outputs:
            self._written(one)
        return LaunchPlan(tuple(self.buffers), tuple(self.launches), tuple(o.view_of() for o in outputs))

    def _written(self, output: Recorded) -> None:
        """Refuse an output that no kernel was given a pointer into; where an input is empty a fill may be all."""
        reached = any(p.buffer == output.buffer for launch in self.launches for p in launch.pointers)
        filled = self.buffers[output.buffer].fill is not None
        nothing = filled and any(b.input and not b.bytes for b in self.buffers)
        if output.numel() and not reached and not nothing:
            raise Refused("dead-output", "no kernel gets a pointer into what the launcher returns: nothing computes it")


def record(payload: Any, report: Report) -> Any:
    """Record the plans of every case: for the timed size with TTIR, for the interpreter's size without.

    Edges are only recorded for the interpreter. `in_place` names the inputs that may be returned.
    """
    report.stage("static")
    program.check_source(payload["source"], payload["entry"], payload["imports"])
    target = GPUTarget(*payload["target"])
    driver.install(target, payload["sheet"])
    hooks.install()
    before = integrity.Snapshot(sys.modules[__name__], Recorder, hooks.Pending)
    module = program.load(payload["source"], report)
    report.stage("record")
    before.verify()
    in_place = tuple(payload["in_place"])
    recorded: list[Any] = []

    def take(arguments: Any, lowering: bool) -> tuple[LaunchPlan, list[str]]:
        recorder = Recorder(module, target, lowering, report)
        return _record_case(recorder, payload["entry"], unpack_arguments(arguments), in_place), recorder.notes

    def repeat(plan: LaunchPlan, arguments: Any) -> None:
        """Call again in another mode of autograd, which must make no difference."""
        with torch.no_grad():
            integrity.same(plan, take(arguments, lowering=False)[0])

    for name, full, small in payload["cases"]:
        try:
            timed, notes = (None, []) if full is None else take(full, lowering=True)
            if timed is not None:
                repeat(timed, full)
            check = timed if small is None else take(small, lowering=False)[0]
            before.verify()
        except Refused as refusal:
            raise Refused(refusal.kind, f"case {name}: {refusal}") from refusal
        recorded.append([name, *[None if p is None else plans.pack(p) for p in (timed, check)], notes])
    (_, full, small), (_, timed, check, _) = payload["cases"][0], recorded[0]
    repeat(plans.unpack(check if full is None else timed), small if full is None else full)  # after a dozen other calls
    before.verify()
    return recorded


def _record_case(
    recorder: Recorder, entry: str, arguments: Mapping[str, Argument], in_place: tuple[str, ...]
) -> LaunchPlan:
    """Run the launcher once and return its plan."""
    module = recorder.module
    RECORDERS.append(recorder)
    for value in vars(module).values():
        caches = getattr(program.innermost(value), "device_caches", None)
        if caches is not None:
            caches.clear()
    try:
        values = [recorder.allocate(_meta(a), name) if isinstance(a, Input) else a for name, a in arguments.items()]
        with Intercept():
            returned = getattr(module, entry)(*values)
        return recorder.plan(returned, in_place)
    except RuntimeError as error:
        if not tensors.lacks_device(error):
            raise
        raise tensors.no_device(error) from None
    finally:
        RECORDERS.pop()


def _grid(given: tuple[Any, ...], name: str) -> tuple[int, int, int]:
    """Return a grid of plain integers that a device would take."""
    try:
        x, y, z = (operator.index(g) for g in given)
    except TypeError as error:
        raise Refused("grid", f"the grid of {name} must be integers; got {given}") from error
    if min(x, y, z) < 0 or x >= 2**31 or max(y, z) > 65535:
        raise Refused("grid", f"the grid of {name} must be non-negative, below 2^31 and 65536 and 65536; got {given}")
    return x, y, z


def _meta(spec: Input) -> torch.Tensor:
    """Make a tensor of the right shape, dtype and memory order with nothing behind it."""
    stored = torch.empty(spec.stored, dtype=getattr(torch, spec.dtype), device="meta")
    made: torch.Tensor = spec.laid_out(stored)
    return made


def _label(config: Any) -> str:
    """Return an autotune configuration in words that can be shown."""
    return "".join(c if c.isprintable() else "?" for c in str(config))[: plans.MAX_LABEL]


def _number(value: Any) -> float:
    """Return what a tensor is filled with; a large integer is not rounded."""
    return value if isinstance(value, int) else float(value)


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, (bool, int, float, str, tuple, list))


def _to_meta(value: Any) -> Any:
    return value.meta if isinstance(value, Recorded) else value


def _tensors(value: Any) -> list[torch.Tensor]:
    return [v for v in (value if isinstance(value, (tuple, list)) else [value]) if isinstance(v, torch.Tensor)]
