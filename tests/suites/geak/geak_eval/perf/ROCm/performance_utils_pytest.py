import json
import os

import triton

RESULTS = {}


def do_bench_config(warm_up=25, repetition=100):
    return {"warmup": warm_up, "rep": repetition}


class PytestBenchmarker:
    def __init__(self, op_callable, op_name, config):
        self.call, self.name, self.config = op_callable, op_name, config

    def run_benchmark(self, current_params_dict):
        try:
            ms, low, high = triton.testing.do_bench(self.call, quantiles=[0.5, 0.8, 0.2], **self.config)
            result = {"params": current_params_dict, "ms": ms, "min_ms": low, "max_ms": high}
        except Exception as error:
            result = {"params": current_params_dict, "error": str(error)}
        RESULTS.setdefault(self.name, []).append(result)


def save_all_benchmark_results(folder):
    os.makedirs(folder, exist_ok=True)
    for name, results in RESULTS.items():
        with open(os.path.join(folder, name + ".json"), "w") as file:
            json.dump(results, file)
