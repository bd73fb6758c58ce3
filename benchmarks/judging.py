"""What judging on this machine's GPU costs and what it is worth: throughput, clock, faults.

    python benchmarks/judging.py [throughput] [clock] [faults] [--programs 60] [--json FILE]

throughput: distinct programs (random knob settings of the native tasks' seeds) through all gates and screening, built
in jails on the CPU while one process judges on the device. clock: equal programs compared with themselves, and with a
version that does 2% more work. faults: a stream in which one program in ten does something wrong.
"""

import argparse
import json
import os
import sys
from pathlib import Path

from judging_clock import clock  # beside this file
from judging_faults import faults
from judging_throughput import throughput, watched

from fitness.gpu import discover
from suites.native import TEN


def main() -> None:
    """Run the parts asked for."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", default=["throughput", "clock", "faults"])
    parser.add_argument("--programs", type=int, default=40, help="of each task")
    parser.add_argument("--stream", type=int, default=300, help="programs in the stream with faults")
    parser.add_argument("--comparisons", type=int, default=100)
    parser.add_argument("--judges", type=int, default=1, help="that share the device, for the throughput")
    parser.add_argument("--neighbour", action="store_true", help="have another judge verify beside the clock")
    parser.add_argument("--tasks", default=",".join(TEN))
    parser.add_argument("--json", type=Path)
    parser.add_argument("--profile", action="store_true", help="show what the seconds went to")
    options = parser.parse_args()
    spent = watched() if options.profile else None
    target = discover.own_target()
    if target is None:
        sys.exit("this needs a GPU that evo-kernel knows")
    builders = max(1, (os.cpu_count() or 2) - 3)  # the judges' processes want cores too
    found = {"device": discover.gpus()[0].name}
    if "throughput" in options.parts:
        found["throughput"] = throughput(target, builders, options.programs, options.tasks.split(","), options.judges)
    if "clock" in options.parts:
        found["clock"] = clock(target, options.comparisons, options.neighbour)
    if "faults" in options.parts:
        found["faults"] = faults(target, builders, options.stream)
    if spent is not None:
        print({k: round(v, 2) for k, v in spent.most_common()})
    if options.json:
        options.json.write_text(json.dumps(found, indent=1, default=str))


if __name__ == "__main__":
    main()
