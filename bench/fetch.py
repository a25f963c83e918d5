#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tmpdump fetch against its peers and against the limit: the same archive, from the same S3 server, over the same link,
into an empty folder.

Every run of everyone is verified: exit code, files, sizes, CRC-32, modes, links. The peers of one round run one after
the other, and the order shifts from round to round. bench/README.md says how to read the result.
"""
import argparse
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import packed
import workloads
from harness import bench, links, measure, origin, peers, plan, report, settings

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = 77  # ctest's SKIP_RETURN_CODE


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", nargs="+", choices=packed.FIRST, help="default: see harness/plan.py")
    parser.add_argument("--links", nargs="+", choices=links.LINKS)
    parser.add_argument("--settings", nargs="+", choices=settings.SETTINGS, help="cores and memory of the measured program")
    parser.add_argument("--peers", nargs="+", default=peers.NAMES, choices=peers.NAMES)
    parser.add_argument("--runs", type=int, default=7, help="rounds that count, after one that does not")
    parser.add_argument("--sweep", type=int, metavar="ROUNDS", default=None,
                        help="rounds over connections and range sizes on the link 'lambda', or the first one chosen; default: 3 when "
                        "nothing is chosen")
    parser.add_argument("--quick", action="store_true", help="does the harness work: a small archive, every kind of link")
    parser.add_argument("--add", action="store_true", help="keep what the last result of this name has and this run has not")
    parser.add_argument("--save", action="store_true", help="a copy of the result into bench/results/")
    parser.add_argument("--name", default="fetch", help="of the result's files")
    parser.add_argument("--tmpdump", default=str(packed.default_program()), help="the program to measure")
    parser.add_argument("--link-program", default=str(ROOT / "build" / "bin" / "bench_link"), help="the shaped link")
    parser.add_argument("--require", nargs="*", default=[], choices=peers.NAMES, help="fail when one of these is absent")
    parser.add_argument("--minio", default=os.environ.get("TMPDUMP_MINIO") or shutil.which("minio") or "")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench", help="folder for results and scratch")
    parser.add_argument("--on-link", nargs=2, metavar=("LINK", "SCRATCH"), help=argparse.SUPPRESS)  # the inner process
    options = parser.parse_args(arguments)
    options.output = options.output.resolve()
    options.cells = plan.cells(options.workloads, options.links, options.settings)
    options.shape_object = bench.SHAPE_OBJECT
    if options.sweep is None:
        options.sweep = 3 if options.cells is plan.DEFAULT else 0
    if options.quick:
        options.cells, options.runs, options.sweep = plan.QUICK, min(options.runs, 1), 0
        options.peers = [name for name in options.peers if name in plan.QUICK_PEERS]
        options.shape_object = 4_000_000
    return options


def workloads_of(options):
    return sorted({cell.workload for cell in options.cells})


def upload(options, objects, ready):
    """Once, before any link is limited."""
    with origin.Origin(options.minio, objects) as server:
        server.create_bucket()
        for name in workloads_of(options):
            for form, path in bench.Workload(name, options.tmpdump, bench.forms_of(ready)).archives.items():
                server.put(bench.key_of(name, form), path)
        if any(links.LINKS[cell.link].shape for cell in options.cells):
            with tempfile.NamedTemporaryFile(dir=objects) as file:
                file.truncate(options.shape_object)
                server.put("shape", file.name)


def end_of(process):
    """Its exit code; whatever ends this process ends that one too, by SIGTERM, so that it stops its server."""
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def all_links(options, arguments, scratch, ready):
    """({link: what was found there}, {link: why not})."""
    found, absent = {}, {}
    if not options.quick:
        measure.touch_memory()
    for link in dict.fromkeys(cell.link for cell in options.cells):
        if not links.possible(link):
            absent[link] = "no network namespace with tc's tbf can be made here"
            continue
        peers.say(f"link: {links.LINKS[link].title}")
        command = [*links.enter(link), sys.executable, str(Path(__file__).resolve()), *arguments, "--on-link", link,
                   str(scratch), "--peers", *(peer.name for peer in ready)]
        with subprocess.Popen(command) as process:
            if end_of(process) != 0:
                absent[link] = "the measurement failed"
                continue
        found[link] = json.loads((scratch / "answer.json").read_text())
        (scratch / "answer.json").unlink()
    return found, absent


def filesystem(folder):
    done = subprocess.run(["df", "--output=fstype", folder], capture_output=True, text=True, check=False)
    kind = done.stdout.split()[-1] if done.returncode == 0 else "-"
    return kind if kind != "-" else "an unknown file system"


def command_line(arguments):
    """What to type to measure the same again, without this machine's paths."""
    words, skip = ["./dev bench"], False
    for word in arguments:
        if skip:
            skip = False
        elif word in ("--tmpdump", "--minio", "--output", "--link-program"):
            skip = True
        elif not word.startswith(("--tmpdump=", "--minio=", "--output=", "--link-program=")) and word not in ("--save", "--add"):
            words.append(word)
    return " ".join(words)


def facts_of(name, options, ready):
    workload = bench.Workload(name, options.tmpdump, bench.forms_of(ready))
    entries, _, unpacked = workloads.describe(workload.archives["stock"])
    return {"entries": entries, "unpacked": unpacked, "first": workload.first,
            "first_bytes": workload.entries["stock"][workload.first].size,
            "first_packed_bytes": workloads.packed_bytes(workload.archives["stock"], workload.first),
            "size": {form: path.stat().st_size for form, path in workload.archives.items()}}


def collect(options, arguments, found, absent, ready, fs):
    data = {
        "title": "tmpdump fetch, its peers and the limit", "machine": report.machine(), "filesystem": fs,
        "command": command_line(arguments), "absent": absent,
        "workloads": {name: facts_of(name, options, ready) for name in workloads_of(options)},
        "peers": {peer.name: {"title": peer.title, "form": peer.form, "output": peer.output, "versions": peer.versions()}
                  for peer in ready},
        "shapes": {link: got["shape"] for link, got in found.items() if "shape" in got},
        "cells": [cell for got in found.values() for cell in got["cells"]],
    }
    for got in found.values():
        data["absent"] = {**data["absent"], **got.get("absent", {})}
        data.update({key: got[key] for key in ("waterfall", "sweep") if key in got})
    return data


def main():
    arguments = sys.argv[1:]
    options = options_of(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # what is open is closed
    if not options.minio or not os.access(options.minio, os.X_OK):
        print("bench: no MinIO server; set TMPDUMP_MINIO (tools/minio prints one) or pass --minio", file=sys.stderr)
        return SKIPPED if options.quick else 1
    ready, absent = peers.prepare(options.peers, workloads.cache_folder(), options.tmpdump)
    if options.on_link:
        link, scratch = options.on_link[0], Path(options.on_link[1])
        cells = [cell for cell in options.cells if cell.link == link]
        found = bench.measure_link(options, scratch, link, cells, ready)
        (scratch / "answer.json").write_text(json.dumps(found))
        return 0
    for name, reason in absent.items():
        peers.say(f"without {name}: {reason}")
    if not ready or set(options.require) & absent.keys():
        raise SystemExit(f"bench: cannot go on without {', '.join(absent)}")

    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.output, prefix="scratch-") as scratch:
        measure.spread(scratch)
        fs = filesystem(scratch)
        upload(options, Path(scratch) / "objects", ready)
        found, no_links = all_links(options, arguments, Path(scratch), ready)
    data = collect(options, arguments, found, {**absent, **no_links}, ready, fs)
    if options.add:
        data = report.merged(report.read(options.output, options.name), data)
    if not data["cells"]:
        raise SystemExit("bench: nothing was measured (above)")
    failures = report.failures(data)
    written = report.write_all(options.output, options.name, data, workloads.cache_folder())
    if options.save:
        written = report.save(options.name, data, workloads.cache_folder())
    print(report.markdown(data))
    peers.say(f"written: {', '.join(os.path.relpath(path) for path in written)}")
    # A peer that fails is a finding; ours, or any in a test of the harness, is a failure.
    if "the measurement failed" in no_links.values():
        return 1
    return 1 if any(name in ("tmpdump", "tmpdump-packed") or options.quick for name in failures) else 0


if __name__ == "__main__":
    sys.exit(main())
