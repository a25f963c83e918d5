#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""tmpdump fetch against its peers: the same archive, from the same S3 server, over the same link, into an empty folder.

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
from dataclasses import asdict
from pathlib import Path

import workloads
from harness import links, measure, origin, peers, report, verify

ROOT = Path(__file__).resolve().parent.parent
SKIPPED = 77  # ctest's SKIP_RETURN_CODE


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workloads", nargs="+", default=["face", "torch"], choices=workloads.NAMES)
    parser.add_argument("--links", nargs="+", default=list(links.LINKS), choices=links.LINKS)
    parser.add_argument("--peers", nargs="+", default=peers.NAMES, choices=peers.NAMES)
    parser.add_argument("--runs", type=int, default=7, help="rounds that count, after one that does not")
    parser.add_argument("--quick", action="store_true", help="does the harness work: smallest archive, two rounds")
    parser.add_argument("--save", action="store_true", help="a copy of the result into bench/results/")
    parser.add_argument("--name", default="fetch", help="of the result's files")
    parser.add_argument("--tmpdump", default=str(ROOT / "build" / "bin" / "tmpdump"), help="the program to measure")
    parser.add_argument("--require", nargs="*", default=[], choices=peers.NAMES, help="fail when one of these is absent")
    parser.add_argument("--minio", default=os.environ.get("TMPDUMP_MINIO") or shutil.which("minio") or "")
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench", help="folder for results and scratch")
    parser.add_argument("--on-link", help=argparse.SUPPRESS)  # the inner process: inside the link's namespace
    parser.add_argument("--answer", help=argparse.SUPPRESS)  # where it writes its results
    options = parser.parse_args(arguments)
    if options.quick:
        options.workloads, options.links, options.runs = ["tiny"], ["free"], min(options.runs, 2)
        options.peers = [name for name in options.peers if name in ("tmpdump", "curl", "curl-bsdtar")]
    return options


class Bench:
    """One link's measurements: an origin that runs, peers that are ready, a scratch folder."""

    def __init__(self, options, scratch, server, ready):
        self.options, self.scratch, self.server, self.ready = options, scratch, server, ready
        self.timer = measure.compile_timer(options.output)
        self.home = scratch / "home"
        self.home.mkdir(exist_ok=True)

    def once(self, peer, workload, archive, entries):
        """(Cost, differences)."""
        job = peers.Job(self.server.endpoint, origin.BUCKET, f"{workload}.zip", self.scratch / "run")
        job.dest.mkdir(parents=True)
        try:
            cost = measure.run(self.timer, peer.command(job), peers.environment(self.home), job.work)
            if cost.status != 0:
                return cost, {}
            if peer.output == "file":
                return cost, verify.same_file(job.archive, archive)
            return cost, verify.compare(job.dest, entries)
        finally:
            shutil.rmtree(job.work)

    def workload(self, name):
        archive = workloads.make(name)
        entries = verify.expected(archive)
        cells = {peer.name: {"runs": [], "failure": "", "gaps": ""} for peer in self.ready}
        # Round 0 warms up: page cache, Python's and the JVM's caches. It is verified, but not counted.
        for number in range(self.options.runs + 1):
            for place in range(len(self.ready)):
                peer = self.ready[(place + number) % len(self.ready)]
                cell = cells[peer.name]
                if cell["failure"]:
                    continue
                cost, problems = self.once(peer, name, archive, entries)
                self.judge(peer, cell, cost, problems)
                if cell["failure"]:
                    peers.say(f"{name}: {peer.name} FAILED: {cell['failure']}")
                elif number > 0:
                    cell["runs"].append({key: asdict(cost)[key] for key in ("wall_s", "cpu_s", "rss_mb")})
            peers.say(f"{name}: round {number} of {self.options.runs}" + (" (warm-up)" if number == 0 else ""))
        return cells

    def judge(self, peer, cell, cost, problems):
        if cost.status != 0:
            said = cost.stderr.splitlines()[-1] if cost.stderr else ""
            cell["failure"] = f"exit code {cost.status}: {said.replace(str(self.scratch), '')}"
        elif set(problems) - peer.known_gaps:
            cell["failure"] = f"wrong output: {verify.describe(problems)}"
        elif problems:
            cell["gaps"] = "not restored: " + ", ".join(f"{len(paths)} {kind}s" for kind, paths in problems.items())


def on_link(options, scratch, ready):
    """The inner process: measures every workload on the link that it finds itself on."""
    with origin.Origin(options.minio, scratch / "objects") as server:
        bench = Bench(options, scratch, server, ready)
        return {name: bench.workload(name) for name in options.workloads}


def upload(options, objects):
    """Once, before any link is limited."""
    with origin.Origin(options.minio, objects) as server:
        server.create_bucket()
        for name in options.workloads:
            server.put(f"{name}.zip", workloads.make(name))


def end_of(process):
    """Its exit code; whatever ends this process ends that one too, by SIGTERM, so that it stops its server."""
    try:
        return process.wait()
    except BaseException:
        process.terminate()
        process.wait()
        raise


def all_links(options, arguments, scratch, ready):
    """Results of the links that could be measured; the others are missing."""
    results = {}
    for link in options.links:
        peers.say(f"link: {links.LINKS[link][0]}")
        answer = scratch / "answer.json"
        command = [*links.enter(link), sys.executable, str(Path(__file__).resolve()), *arguments, "--on-link",
                   str(scratch), "--answer", str(answer), "--peers", *(peer.name for peer in ready)]
        with subprocess.Popen(command) as process:
            if end_of(process) != 0:
                peers.say(f"the measurement on link '{link}' failed (above)")
                continue
        results[link] = json.loads(answer.read_text())
        answer.unlink()
    return results


def filesystem(folder):
    done = subprocess.run(["df", "--output=fstype", folder], capture_output=True, text=True, check=False)
    kind = done.stdout.split()[-1] if done.returncode == 0 else "-"
    return kind if kind != "-" else "an unknown file system"


def command_line(options):
    """What to type to measure the same again, without this machine's paths."""
    words = ["./dev bench", "fetch" if options.name != "rss" else "rss", "--workloads", *options.workloads, "--links",
             *options.links, "--peers", *options.peers, "--runs", str(options.runs)]
    return " ".join(words)


def main():
    arguments = sys.argv[1:]
    options = options_of(arguments)
    signal.signal(signal.SIGTERM, lambda number, frame: sys.exit(128 + number))  # what is open is closed
    if not options.minio or not os.access(options.minio, os.X_OK):
        print("bench: no MinIO server; set TMPDUMP_MINIO (tools/minio prints one) or pass --minio", file=sys.stderr)
        return SKIPPED if options.quick else 1
    ready, absent = peers.prepare(options.peers, workloads.cache_folder(), options.tmpdump)
    if options.on_link:
        results = on_link(options, Path(options.on_link), ready)
        Path(options.answer).write_text(json.dumps(results))
        return 0
    for name, reason in absent.items():
        peers.say(f"without {name}: {reason}")
    if not ready or set(options.require) & absent.keys():
        raise SystemExit(f"bench: cannot go on without {', '.join(absent)}")

    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.output, prefix="scratch-") as scratch:
        fs = filesystem(scratch)
        upload(options, Path(scratch) / "objects")
        results = all_links(options, arguments, Path(scratch), ready)
    facts = {}
    for name in options.workloads:
        entries, packed, unpacked = workloads.describe(workloads.path_of(name))
        facts[name] = {"entries": entries, "packed": packed, "unpacked": unpacked}
    data = {
        "title": "tmpdump fetch and its peers", "machine": report.machine(), "filesystem": fs,
        "command": command_line(options), "rounds": options.runs, "workloads": facts,
        "peers": {peer.name: {"title": peer.title, "versions": peer.versions()} for peer in ready},
        "absent": absent, "results": results,
    }
    text = report.markdown(data)
    print(text)
    written = report.write(options.output, options.name, data, text)
    if options.save:
        written = report.write(ROOT / "bench" / "results", f"{data['machine']['date'][:10]}-{options.name}", data, text)
    peers.say(f"written: {os.path.relpath(written)}")
    failures = [name for cells in results.values() for peer_cells in cells.values()
                for name, cell in peer_cells.items() if cell["failure"]]
    # A peer that fails is a finding; ours, or any in a test of the harness, is a failure.
    if len(results) < len(options.links):
        return 1
    return 1 if "tmpdump" in failures or (options.quick and failures) else 0


if __name__ == "__main__":
    sys.exit(main())
