#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How decoding scales with cores: a stock archive, whose largest library is one stream, against the same packed, which is
segments of about 10 MiB.

`tmpdump fetch` of a local archive into memory (tmpfs), so that only decoding and writing count, on one core and on all that
this machine has; every run is verified. For more cores a model: the parts (an entry, or each of its segments) go, longest
first, to the core that is free first; a part's cost is its uncompressed size at the rate of one core. How well it
predicts the cores that were measured stands beside it.
"""
import argparse
import heapq
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time
from pathlib import Path

import packed
import workloads
from harness import measure, verify

ROOT = Path(__file__).resolve().parent.parent
MODELLED = 6  # cores of the largest function


def parts(tmpdump, archive):
    """Uncompressed bytes of each part that one core decodes."""
    listing = json.loads(subprocess.run([tmpdump, "ls", "--json", archive], check=True, stdout=subprocess.PIPE).stdout)
    for entry in listing["entries"]:
        left, most = entry["size"], entry["segment_bytes"] or entry["size"]
        while left > 0:
            yield min(left, most)
            left -= min(left, most)


def makespan(sizes, cores):
    free = [0] * cores
    for size in sorted(sizes, reverse=True):
        heapq.heapreplace(free, free[0] + size)
    return max(free)


def once(tmpdump, archive, entries, cores):
    with tempfile.TemporaryDirectory(prefix="tmpdump-cores-", dir="/dev/shm") as folder:
        dest = Path(folder) / "dest"
        begin = time.monotonic()
        subprocess.run(["taskset", "-c", ",".join(map(str, cores)), tmpdump, "fetch", archive, "--dest", dest, "-q"], check=True)
        wall = time.monotonic() - begin
        shutil.rmtree(dest / ".tmpdump", ignore_errors=True)
        differences = verify.compare(dest, entries)
        if differences:
            raise SystemExit(f"bench cores: {archive} came out wrong: {differences}")
        return wall


def table(options, name, cores):
    stock = workloads.make(name)
    forms = {"stock": (stock, verify.expected(stock))}
    made = packed.make(name, options.tmpdump)
    forms["packed"] = (made.archive, made.entries)
    yield f"### {name}\n"
    measured = [1, *([len(cores)] if len(cores) > 1 else [])]
    counts = measured + [n for n in (4, MODELLED) if n > len(cores)]
    yield "| archive | " + " | ".join(("1 core" if n == 1 else f"{n} cores") + (", s" if n in measured else ", model, s") for n in counts) + " | largest part, MB |"
    yield "|---|" + "---|" * (len(counts) + 1)
    runs = {(form, n): [] for form in forms for n in measured}
    for number in range(options.runs + 1):  # the first one warms caches
        for form, n in runs:
            archive, entries = forms[form]
            took = once(options.tmpdump, archive, entries, cores[:n])
            if number > 0:
                runs[form, n].append(took)
    for form, (archive, _) in forms.items():
        sizes = list(parts(options.tmpdump, archive))
        single = statistics.median(runs[form, 1])
        cells = []
        for n in counts:
            model = single * makespan(sizes, n) / sum(sizes)
            if n not in measured:
                cells.append(f"{model:.2f} ({single / model:.1f} times as fast)")
                continue
            took = runs[form, n]
            cells.append(f"{statistics.median(took):.2f} [{min(took):.2f}..{max(took):.2f}]" + (f", model {model:.2f}" if n > 1 else ""))
        yield f"| {form} | " + " | ".join(cells) + f" | {max(sizes) / 1e6:.0f} |"
    yield ""


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", nargs="+", default=["face", "torch"], choices=list(workloads.NATIVES))
    parser.add_argument("--runs", type=int, default=7)
    parser.add_argument("--tmpdump", default=str(ROOT / "build" / "bin" / "tmpdump"))
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--save", action="store_true", help="a copy of the result into bench/results/")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    measure.touch_memory()
    lines = ["# Decoding and cores\n", f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC; {len(cores)} cores; median "
             f"[min..max] of {options.runs} interleaved rounds, every output verified.\n"]
    for name in options.workloads:
        for line in table(options, name, cores):
            print(line, flush=True)
            lines.append(line)
    options.output.mkdir(parents=True, exist_ok=True)
    places = [options.output / "cores.md"]
    if options.save:
        places.append(ROOT / "bench" / "results" / f"{time.strftime('%Y-%m-%d', time.gmtime())}-cores.md")
    for place in places:
        place.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
