"""The native tasks, one a file; suites/loading.py reads them as text."""

# One of each kind of work that kernels of one launch do: slow tests and most tables of benchmarks/RESULTS.md go through
# these, and the kernels in operators/knowledge/ belong to them. `benchmarks/native_tasks.py check` goes through all.
TEN = (
    "embedding", "flip", "gelu_mul", "gemm_fp16", "layer_norm",
    "rms_norm", "row_sum", "softmax", "transpose", "vector_add",
)  # fmt: skip
