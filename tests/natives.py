"""Which native tasks and cases the slow tests go through, beside the ten of suites/native/__init__.py."""

from suites import Case, Input, Task

# Those that the linter is held against in continuous integration: cheap ones of each kind.
LINTED = ("gemm_fp16", "layer_norm", "row_sum", "softmax", "vector_add")


def cheapest(task: Task) -> Case:
    """Return the public case with the fewest elements at the interpreter's size."""
    return min(task.cases, key=lambda c: sum(a.elements for a in c.arguments(True).values() if isinstance(a, Input)))
