#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How small `tmpdump pack` makes the real libraries, and what that costs.

Each archive of workloads.py (made by `zip -r` at its default level) is unpacked and packed again in several ways. Sizes do
not depend on the machine; times do, so the load average stands beside them. Every result is checked by `tmpdump verify`.
`--segments` adds what cutting into segments costs: sizes at one level against files that are not cut.
"""
import argparse
import os
import subprocess
import tempfile
import time
import zipfile
from pathlib import Path

import workloads

ROOT = Path(__file__).resolve().parent.parent
WAYS = {
    "zstd 19, the default": [],
    "zstd 9 (--fast)": ["--fast"],
    "deflate 12 (--deflate)": ["--deflate"],
    "deflate 6 (--deflate --fast)": ["--deflate", "--fast"],
}
UNCUT = 1 << 30  # a segment size that no workload reaches


def measured(command):
    """Runs it; returns (wall s, CPU s, peak resident bytes)."""
    begin = time.monotonic()
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    _, status, usage = os.wait4(child.pid, 0)
    wall = time.monotonic() - begin
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode != 0:
        raise SystemExit(f"bench pack: {command} failed with {child.returncode}")
    return wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def packed(options, folder, *arguments):
    out = folder / "packed.zip"
    wall, cpu, rss = measured([options.tmpdump, "pack", folder / "lib", "-o", out, "-q", *arguments])
    subprocess.run([options.tmpdump, "verify", "-q", out], check=True)
    return out.stat().st_size, wall, cpu, rss


def ways_table(options, name, folder, original):
    yield f"### {name}\n"
    yield f"`zip -r`: {original / 1e6:.1f} MB of {sum(f.stat().st_size for f in files(folder)) / 1e6:.1f} MB\n"
    yield "| way | MB | of `zip -r` | wall, s | CPU, s | peak RSS, MB | load before |"
    yield "|---|---|---|---|---|---|---|"
    for way in options.ways:
        load = os.getloadavg()[0]
        size, wall, cpu, rss = packed(options, folder, *WAYS[way])
        yield (f"| {way} | {size / 1e6:.1f} | {size / original:.3f} | {wall:.1f} | {cpu:.1f} | {rss / 1e6:.0f} | {load:.1f} |")
    yield ""


def segments_table(options, name, folder):
    yield f"### {name} in segments, zstd {options.segment_level} and deflate 6\n"
    yield "| segments of, MiB | zstd, MB | more than uncut | deflate, MB | more than uncut |"
    yield "|---|---|---|---|---|"
    methods = [["--level", str(options.segment_level)], ["--deflate", "--level", "6"]]
    uncut = [packed(options, folder, *m, "--segment-size", str(UNCUT))[0] for m in methods]
    cuts = {f"{mib:g}": ["--segment-size", str(int(mib * 1048576))] for mib in options.segments}
    for name, cut in (cuts | {"chosen by `tmpdump pack`": []}).items():
        sizes = [packed(options, folder, *m, *cut)[0] for m in methods]
        cells = " | ".join(f"{size / 1e6:.2f} | {100 * (size / whole - 1):.2f} %" for size, whole in zip(sizes, uncut))
        yield f"| {name} | {cells} |"
    yield f"| uncut | {uncut[0] / 1e6:.2f} | | {uncut[1] / 1e6:.2f} | |\n"


def files(folder):
    return [f for f in (folder / "lib").rglob("*") if f.is_file() and not f.is_symlink()]


def unpack(archive, folder):
    subprocess.run(["unzip", "-q", archive, "-d", folder], check=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", nargs="+", default=["face", "torch"], choices=list(workloads.NATIVES))
    parser.add_argument("--ways", nargs="+", default=list(WAYS), choices=list(WAYS))
    parser.add_argument("--segments", nargs="*", type=float, help="segment sizes in MiB")
    parser.add_argument("--segment-level", type=int, default=9)
    parser.add_argument("--tmpdump", default=str(ROOT / "build" / "bin" / "tmpdump"))
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench")
    parser.add_argument("--save", action="store_true", help="a copy of the result into bench/results/")
    options = parser.parse_args()
    if options.segments == []:
        options.segments = [1, 2, 4, 8, 12, 16]
    today = time.strftime("%Y-%m-%d", time.gmtime())
    lines = ["# tmpdump pack\n", f"{time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC; {len(os.sched_getaffinity(0))} cores, "
             "shared with other work: see the load\n"]
    options.output.mkdir(parents=True, exist_ok=True)
    for name in options.workloads:
        archive = workloads.make(name)
        with zipfile.ZipFile(archive) as opened:
            assert all(info.compress_type in (0, 8) for info in opened.infolist())
        with tempfile.TemporaryDirectory(prefix="tmpdump-bench-") as folder:
            unpack(archive, folder)
            tables = [ways_table(options, name, Path(folder), archive.stat().st_size)]
            if options.segments:
                tables.append(segments_table(options, name, Path(folder)))
            for table in tables:
                for line in table:
                    print(line, flush=True)
                    lines.append(line)
    places = [options.output / "pack.md"]
    if options.save:
        places.append(ROOT / "bench" / "results" / f"{today}-pack.md")
    for place in places:
        place.write_text("\n".join(lines))


if __name__ == "__main__":
    main()
