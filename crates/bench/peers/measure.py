"""The command line and the measurement of `peer` (`src/main.rs`), for W1 to W11 in other libraries."""

import argparse
import json
import os
import statistics
import time
from pathlib import Path

WARM_UP = 50
STEPS = {"W1": 20_000, "W2": 3_000, "W4": 20, "W5": 60, "W6": 60, "W7": 60, "W8": 20, "W11": 200}
PER_SAMPLE = {"W1": 100, "W2": 10}


def parser(description, workloads):
    """The options of `peer`; a program adds its own."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workload", choices=workloads, default=workloads[0])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=0, help="steps that are measured, at most (default: by workload)")
    parser.add_argument("--losses", type=int, default=0, help="print so many losses instead of times")
    return parser


def use_cores(threads):
    """Keeps this process, and those it starts, on so many cores. JAX makes as many threads as there are cores."""
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-threads:])
    if threads == 1:  # loops of products then take a tenth less in JAX 0.4.31
        os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false")


def repeated(step):
    """Makes of a step a function that runs it so many times and returns the last loss."""

    def run(steps):
        for _ in range(steps):
            loss = step()
        return loss

    return run


def measure(arguments, peer, version, run):
    """Prints losses or a line of JSON. `run(n)` trains for n steps and returns the last loss; `float` waits for it."""
    if arguments.losses:
        for _ in range(arguments.losses):
            print(float(run(1)))
        return
    warm_up = [float(run(1)) for _ in range(WARM_UP)]
    per_sample = PER_SAMPLE.get(arguments.workload, 1)
    steps = arguments.steps or STEPS.get(arguments.workload, 500)
    float(run(per_sample))  # a loop inside jit is compiled for each number of steps
    samples, begin = [], time.perf_counter()
    for _ in range(max(steps // per_sample, 3)):
        if len(samples) >= 10 and time.perf_counter() - begin > 2.5:
            break
        start = time.perf_counter()
        float(run(per_sample))
        samples.append((time.perf_counter() - start) * 1e6 / per_sample)
    result = {
        "peer": peer,
        "version": version,
        "workload": arguments.workload,
        "threads": arguments.threads,
        "us_per_step_median": round(statistics.median(samples), 4),
        "us_per_step_min": round(min(samples), 4),
        "loss_first": warm_up[0],
        "loss_last": warm_up[-1],
        "peak_rss_mb": round(peak_memory(), 1),
    }
    print(json.dumps(result))


def peak_memory():
    """Peak resident memory in MB, as Linux tells it; 0 elsewhere."""
    status = Path("/proc/self/status")
    lines = status.read_text().splitlines() if status.exists() else []
    return next((int(line.split()[1]) / 1024 for line in lines if line.startswith("VmHWM:")), 0.0)
