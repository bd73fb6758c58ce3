import importlib.util
import json
import os
import sys

import torch

HERE = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
spec = importlib.util.spec_from_file_location("program", os.path.join(HERE, "source", "negate.py"))
program = importlib.util.module_from_spec(spec)
spec.loader.exec_module(program)


# >>> AKA-GENERATED: the timer's place >>>
def _measure_cuda_event_fallback(*args, **kwargs):
    raise RuntimeError("the timer is not here")
# <<< AKA-GENERATED <<<


def performance():
    found = []
    for n in (40, 80):
        x = torch.randn(n, device="cuda")
        times = _measure_cuda_event_fallback(lambda: program.negate(x), 3)
        found.append({"test_case_id": f"perf{n}", "execution_time_ms": sum(times) / len(times), "params": {"n": n}})
    found.append({"test_case_id": "failed", "execution_time_ms": -1.0, "params": {}})
    os.makedirs(os.path.join(HERE, "build"), exist_ok=True)
    with open(os.path.join(HERE, "build", "performance_report.json"), "w") as file:
        json.dump(found, file)


if __name__ == "__main__":
    if sys.argv[1:] == ["performance"]:
        performance()
        sys.exit(0)
    torch.manual_seed(3)
    x = torch.randn(40, device="cuda")
    right = torch.allclose(program.negate(x), -x, rtol=1e-4, atol=1e-4)
    print("PASS" if right else "FAIL")
    sys.exit(0 if right else 1)
