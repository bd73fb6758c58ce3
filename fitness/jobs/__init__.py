"""What runs inside the fork server's children. Import this only there: it loads torch and triton."""

from typing import Any

import torch

from fitness.child import Report
from fitness.jobs import devices, host
from fitness.jobs import interpret as interpret_module
from fitness.jobs.compile import compile_kernels, warm_up
from fitness.jobs.foreign import result as foreign_result
from fitness.jobs.foreign import result_on_device
from fitness.jobs.foreign import run as run_foreign
from fitness.jobs.foreign_times import interpreted as times_interpreted
from fitness.jobs.foreign_times import on_device as times_on_device
from fitness.jobs.interpret import interpret
from fitness.jobs.linting import run as lint
from fitness.jobs.mutating import run as mutate
from fitness.jobs.open import run_interpreted, run_open
from fitness.jobs.record import record
from fitness.jobs.truth import truth


def _turn(payload: Any, report: Report) -> Any:
    """Make a task of ours of a foreign one; what that takes is loaded where it is wanted."""
    from fitness.jobs import turning

    return turning.run(payload, report)


def _interpreted_truth(payload: Any, report: Report) -> Any:
    """Compute truth by a reference that is a Triton program."""
    interpret_module.prepare()
    host.install()
    return truth(payload, report)


def _module_sizes(payload: Any, report: Report) -> Any:
    """Find smaller sizes for a module; what that takes is loaded where it is wanted."""
    from fitness.jobs import sizes

    return sizes.smaller(payload, report)


_WITHOUT_DEVICE = {"record": record, "compile": compile_kernels, "truth": truth, "lint": lint, "mutate": mutate,
                   "turn": _turn}  # fmt: skip
JOBS = {
    "compiled": _WITHOUT_DEVICE,
    "device": {**_WITHOUT_DEVICE, "truth-on-device": truth, "open": run_open},
    "foreign": {"foreign-on-device": result_on_device, "foreign-times": times_on_device},
    "interpreter": {
        "interpret": interpret,
        "open-interpreted": run_interpreted,
        "truth": _interpreted_truth,
        "turn": _turn,
        "foreign": run_foreign,
        "module-sizes": _module_sizes,
        "foreign-result": foreign_result,
        "foreign-times-interpreted": times_interpreted,
    },
}


def preload(flavour: str) -> None:
    """Pay once, in the server, for what every child would pay again."""
    if flavour in ("compiled", "device"):
        torch.empty_like(torch.empty(1, device="meta"))  # the first meta operation imports sympy: 0.4 s
        warm_up()
    if flavour == "device":
        devices.build()
    if flavour == "foreign":
        warm_up("cuda" if devices.build() else "hip")
