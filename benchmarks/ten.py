"""The ten native tasks that most tables of RESULTS.md go through: kernels of one launch, of each kind of work."""

TEN = (
    "embedding", "flip", "gelu_mul", "gemm_fp16", "layer_norm",
    "rms_norm", "row_sum", "softmax", "transpose", "vector_add",
)  # fmt: skip
