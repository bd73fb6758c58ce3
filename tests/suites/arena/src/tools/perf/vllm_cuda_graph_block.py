"""The timer that stands in every copy of a task which is run."""


def _measure_cuda_event_fallback(fn, repetition):
    import torch

    times = []
    for _ in range(repetition):
        begin, end = torch.cuda.Event(enable_timing=True), torch.cuda.Event(enable_timing=True)
        begin.record()
        fn()
        end.record()
        torch.cuda.synchronize()
        times.append(begin.elapsed_time(end))
    return times
