"""The tables of docs/performance.md: `peer` beside PyTorch and JAX, in microseconds per step.

    cargo build --release -p wengert-bench
    python crates/bench/peers/table.py --workloads W1 W2 W3 --threads 1 --rounds 3

All programs take turns in each round, on as many cores as threads. The first table has medians of the rounds. The
second has their ratios to the quickest way of wengert. Below is the largest relative difference from wengert's loss
after fifty steps. Where other programs run at the same time, put `chrt -r 10` before the command (as root).

Needs NumPy, PyTorch, JAX and optax (`pip install numpy torch jax optax`), and a C++ compiler for torch.compile. Cells
of a library that is missing are empty. `--loop-python` is the interpreter for the loop inside jit, where another JAX is
to be measured: `pip install jax==0.4.31 jaxlib==0.4.31 'optax<0.2.4' 'numpy<2.1'` in a virtual environment.
"""

import argparse
import json
import statistics
import subprocess
import sys
from pathlib import Path

import measure
from workloads import DATA

HERE = Path(__file__).resolve().parent


def programs(arguments):
    """The commands by the names of their columns, each with the workloads that it runs."""
    torch_steps, jax_steps = [sys.executable, HERE / "torch_steps.py"], HERE / "jax_steps.py"
    batches = [name for name in DATA if name not in ("W7", "W8")] if arguments.threads > 1 else []
    return {
        "wengert, closure": ([arguments.peer], DATA),
        "wengert, program": ([arguments.peer, "--replay"], DATA),
        "wengert, program in two parts": ([arguments.peer, "--split", "2"], batches),
        "PyTorch, fused": (torch_steps, DATA),
        "PyTorch, compiled": ([*torch_steps, "--compile"], DATA),
        "JAX, jitted step": ([sys.executable, jax_steps], DATA),
        "JAX, loop inside jit": ([arguments.loop_python, jax_steps, "--loop"], ["W1", "W2"]),
    }


def run(command, workload, arguments):
    """The line of JSON that the program prints, or nothing if it fails."""
    options = ["--workload", workload, "--threads", str(arguments.threads), "--steps", str(arguments.steps)]
    finished = subprocess.run([*command, *options], capture_output=True, text=True)
    if finished.returncode:
        print(*finished.stderr.splitlines()[-1:], file=sys.stderr)
        return None
    return json.loads(finished.stdout)


def take_turns(columns, workload, arguments):
    """The results of all rounds, by column."""
    results = {}
    for number in range(1, arguments.rounds + 1):
        for name, (command, workloads) in columns.items():
            if workload in workloads and (result := run(command, workload, arguments)):
                results.setdefault(name, []).append(result)
                print(workload, f"round {number}:", name, result["us_per_step_median"], file=sys.stderr)
    return results


def shown(microseconds):
    return f"{microseconds:,.{0 if microseconds >= 100 else 1 if microseconds >= 10 else 2}f}"


def table(head, names, rows):
    """Prints a table whose cells are empty where a row has no number of that name; the least number is bold."""
    print("|", " | ".join([head, *names]), "|")
    print("|", " | ".join(["---", *["---:"] * len(names)]), "|")
    for workload, numbers in rows.items():
        least = min(numbers.values())
        cells = [f"**{shown(n)}**" if n == least else shown(n) for n in numbers.values()]
        by_name = dict(zip(numbers, cells))
        print("|", " | ".join([workload, *(by_name.get(name, "") for name in names)]), "|")
    print()


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", nargs="+", choices=list(DATA), default=list(DATA), help="default: all")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--steps", type=int, default=0, help="steps that are measured, at most (default: by workload)")
    parser.add_argument("--peer", type=Path, default=HERE.parents[2] / "target/release/peer", help="wengert's program")
    parser.add_argument("--loop-python", default=sys.executable)
    arguments = parser.parse_args()
    if not arguments.peer.exists():
        parser.error(f"{arguments.peer} does not exist: cargo build --release -p wengert-bench")
    measure.use_cores(arguments.threads)
    columns = programs(arguments)
    results = {workload: take_turns(columns, workload, arguments) for workload in arguments.workloads}
    names = [name for name in columns if any(name in by_name for by_name in results.values())]
    times, ratios, differences, versions = {}, {}, {}, {}
    for workload, by_name in results.items():
        median = {name: statistics.median(r["us_per_step_median"] for r in rs) for name, rs in by_name.items()}
        quickest = min(time for name, time in median.items() if name.startswith("wengert"))
        loss = by_name["wengert, closure"][0]["loss_last"]
        times[workload] = median
        ratios[workload] = {name: time / quickest for name, time in median.items()}
        differences[workload] = max(abs(r["loss_last"] / loss - 1) for rs in by_name.values() for r in rs)
        versions |= {name: rs[0]["version"] for name, rs in by_name.items()}
    threads = f"{arguments.threads} thread{'s' * (arguments.threads > 1)}"
    table(threads, names, times)
    table("to wengert", names, ratios)
    print("Losses differ by at most " + ", ".join(f"{difference:.0e} ({w})" for w, difference in differences.items()))
    print("Versions: " + ", ".join(f"{name} {versions[name]}" for name in names))


if __name__ == "__main__":
    main()
