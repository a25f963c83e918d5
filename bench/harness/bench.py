# SPDX-License-Identifier: Apache-2.0
"""The measurements on one link, which this process finds itself on: cell after cell, round after round."""
import contextlib
import itertools
import json
import shutil
import statistics
import time
from dataclasses import asdict

import packed
import workloads
from harness import measure, origin, peers, plan, proxy, settings, verify
from harness.links import LINKS

SHAPE_OBJECT = 640_000_000  # bytes: more than the link's credit of 300 MB
SHAPE_ATTEMPTS = 3  # the machine may be busy for a moment
COUNTED = ("wall_s", "cpu_s", "rss_mb", "first_s")


def key_of(workload, form):
    return f"{workload}-{form}.zip"


class Workload:
    """An archive in the forms that somebody is given, and what must come out of each."""

    def __init__(self, name, program, forms):
        self.name, self.first = name, packed.FIRST[name]
        self.archives = {"stock": workloads.make(name)}
        self.entries = {"stock": verify.expected(self.archives["stock"])}
        if "packed" in forms:
            made = packed.make(name, program)
            self.archives["packed"], self.entries["packed"] = made.archive, made.entries


def forms_of(ready):
    return {peer.form for peer in ready}


class Bench:
    """One link: an origin that runs, what shapes it, peers that are ready, a scratch folder."""

    def __init__(self, options, scratch, server, link, ready):
        self.options, self.scratch, self.server, self.ready = options, scratch, server, ready
        self.name, self.link = link, LINKS[link]
        self.timer = measure.compile_timer(options.output)
        self.home = scratch / "home"
        self.home.mkdir(exist_ok=True)
        self.seeds = itertools.count(1)
        self.proxy = None
        self.discarded = scratch / "discarded"

    @contextlib.contextmanager
    def shaped(self, count_only=False):
        """The program before the server, while it is needed: always on a shaped link, else only to count requests."""
        if not self.link.shape and not count_only:
            yield
            return
        tls = proxy.certificates(self.scratch / "tls") if self.link.tls else None
        with proxy.Proxy(self.options.link_program, self.server.port, self.link.shape, tls) as self.proxy:
            try:
                yield
            finally:
                self.proxy = None

    @property
    def endpoint(self):
        return self.proxy.endpoint if self.proxy else self.server.endpoint

    @property
    def authority(self):
        return self.proxy.authority if self.proxy else None

    def once(self, peer, workload, seed, enter=(), command=None):
        """One verified run: (Cost, differences, requests or None)."""
        job = peers.Job(self.endpoint, origin.BUCKET, key_of(workload.name, peer.form), self.scratch / "run", self.authority)
        job.dest.mkdir(parents=True)
        try:
            if self.proxy:
                self.proxy.reset(seed)
            first = None if peer.output == "file" else (job.dest / workload.first,
                                                        workload.entries[peer.form][workload.first].size)
            cost = measure.run(self.timer, command(job) if command else peer.command(job),
                               peers.environment(self.home, self.authority), job.work, enter, first)
            gets = self.proxy.counters()["gets"] if self.proxy else None
            if cost.status != 0:
                return cost, {}, gets
            if peer.output == "file":
                return cost, verify.same_file(job.archive, workload.archives[peer.form]), gets
            return cost, verify.compare(job.dest, workload.entries[peer.form]), gets
        finally:
            self.discard(job.work, len(workload.entries[peer.form]))

    def discard(self, folder, entries):
        """ext4 does not use an inode again for some seconds after its file was removed, and looks at each of those whenever
        a file is made: thousands of files removed between two runs would slow down the second, by 0.2 ms a file. So these
        stay until the cell ends.
        """
        if entries < 1000:
            shutil.rmtree(folder)
            return
        self.discarded.mkdir(exist_ok=True)
        folder.rename(self.discarded / str(next(self.seeds)))

    def setup_s(self, workload):
        """From nothing to the first byte of an answer: connection, TLS, latency. What nobody can do without."""
        return proxy.measure_setup(f"{self.endpoint}/{origin.BUCKET}/{key_of(workload.name, 'stock')}", self.proxy)

    def cell(self, cell):
        """Everything about one workload on this link in one setting."""
        workload = Workload(cell.workload, self.options.tmpdump, forms_of(self.ready))
        names = plan.peers_of(cell, [peer.name for peer in self.ready])
        ready = [peer for peer in self.ready if peer.name in names]
        out = {**asdict(cell), "rounds": self.options.runs, "date": time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime()),
               "peers": {peer.name: {"runs": [], "failure": "", "gaps": "", "gets": None} for peer in ready}}
        with self.shaped(count_only=not self.link.tc), settings.Room(cell.setting, [self.server.process.pid]) as room:
            # Round 0 warms up: page cache, Python's and the JVM's caches. It is verified, and its requests are counted.
            self.round(0, ready, workload, out, room)
        with self.shaped():
            servers = [self.server.process.pid] + ([self.proxy.process.pid] if self.proxy else [])
            with settings.Room(cell.setting, servers) as room:
                out["cores"] = len(room.cores)
                out["decode_cpu_s"] = {form: self.decode_cpu(path, room) for form, path in workload.archives.items()}
                out["setup_s"] = self.setup_s(workload)
                for number in range(1, self.options.runs + 1):
                    self.round(number, ready, workload, out, room)
                    peers.say(f"{self.name}, {cell.setting}, {workload.name}: round {number} of {self.options.runs}")
        shutil.rmtree(self.discarded, ignore_errors=True)
        return out

    def round(self, number, ready, workload, out, room):
        """Every peer once; the order shifts from round to round, and all meet the same latencies."""
        seed = next(self.seeds)
        for place in range(len(ready)):
            peer = ready[(place + number) % len(ready)]
            cell = out["peers"][peer.name]
            if cell["failure"]:
                continue
            cost, problems, gets = self.once(peer, workload, seed, room.enter)
            judge(peer, cell, cost, problems, str(self.scratch))
            if cell["failure"]:
                peers.say(f"{workload.name}: {peer.name} FAILED: {cell['failure']}")
            elif number > 0:
                run = asdict(cost)
                cell["runs"].append({key: run[key] for key in COUNTED})
            elif gets is not None:  # later rounds meet slow answers, which are hedged
                cell["gets"] = gets

    def decode_cpu(self, archive, room):
        """CPU seconds of decoding and checking the archive, by our own engine, to nowhere: median of 3."""
        work = self.scratch / "decode"
        work.mkdir()
        try:
            costs = [measure.run(self.timer, [self.options.tmpdump, "verify", "-q", archive], peers.environment(self.home),
                                 work, room.enter) for _ in range(3)]
        finally:
            shutil.rmtree(work)
        if any(cost.status != 0 for cost in costs):
            raise RuntimeError(f"tmpdump verify: {costs[0].stderr}")
        return statistics.median(cost.cpu_s for cost in costs)

    def shape(self):
        """What curl sees of the link; needs the object `shape`. --quick says nothing about time."""
        with self.shaped():
            for _ in range(SHAPE_ATTEMPTS):
                found = proxy.measure_shape(self.proxy, f"{self.endpoint}/{origin.BUCKET}/shape", self.options.shape_object)
                wrong = [] if self.options.quick else proxy.misshapen(found, self.link)
                if not wrong:
                    return found
                peers.say(f"{self.name}: {', '.join(wrong)}")
        raise RuntimeError(f"{self.name} is not the link that it is meant to be: {', '.join(wrong)}")

    def waterfall(self, name):
        """The trace of one run of ours."""
        peer = next(peer for peer in self.ready if peer.name == "tmpdump")
        trace = self.scratch / "trace.json"
        with self.shaped():
            cost, problems, _ = self.once(peer, Workload(name, self.options.tmpdump, {"stock"}), 1,
                                          command=lambda job: [*peer.command(job), "--trace", str(trace)])
        if cost.status != 0 or problems:
            raise RuntimeError(f"the traced run failed: {cost.stderr} {verify.describe(problems)}")
        events = json.loads(trace.read_text())["traceEvents"]
        trace.unlink()
        keep = ("ph", "cat", "name", "tid", "ts", "dur")
        return {"link": self.name, "workload": name, "wall_s": cost.wall_s,
                "events": [{key: event[key] for key in keep if key in event} for event in events if event["ph"] in "Xi"]}

    def sweep(self, name, rounds):
        """Time to ready over connections and range size, interleaved."""
        peer = next(peer for peer in self.ready if peer.name == "tmpdump")
        workload = Workload(name, self.options.tmpdump, {"stock"})
        grid = [(connections, mib) for mib in SWEEP_MIB for connections in SWEEP_CONNECTIONS]
        found = {point: [] for point in grid}
        with self.shaped():
            for number in range(rounds):
                seed = next(self.seeds)
                for place in range(len(grid)):
                    connections, mib = grid[(place + number * 7) % len(grid)]
                    cost, problems, _ = self.once(peer, workload, seed, command=lambda job, c=connections, m=mib: [
                        *peer.command(job), "--connections", str(c), "--range-size", f"{m}MiB"])
                    if cost.status != 0 or problems:
                        raise RuntimeError(f"the sweep failed: {cost.stderr} {verify.describe(problems)}")
                    found[connections, mib].append(cost.wall_s)
                peers.say(f"{self.name}, {name}: sweep {number + 1} of {rounds}")
        return {"link": self.name, "workload": name, "rounds": rounds,
                "points": [{"connections": c, "range_mib": m, "wall_s": walls} for (c, m), walls in found.items()]}


SWEEP_CONNECTIONS = (1, 2, 4, 5, 6, 7, 8, 10, 12, 16)
SWEEP_MIB = (1, 2, 4, 8, 16)


def judge(peer, cell, cost, problems, private=""):
    """Into the cell: what makes this run worthless, or what the peer is known not to restore."""
    if cost.status != 0:
        said = cost.stderr.splitlines()[-1] if cost.stderr else ""
        cell["failure"] = f"exit code {cost.status}: {said.replace(private, '') if private else said}"
    elif set(problems) - peer.known_gaps:
        cell["failure"] = f"wrong output: {verify.describe(problems)}"
    elif problems:
        cell["gaps"] = "not restored: " + ", ".join(f"{len(paths)} {kind}s" for kind, paths in problems.items())


def measure_link(options, scratch, link, cells, ready):
    """Everything on this link: {"cells": [...], "shape": ..., "waterfall": ..., "sweep": ...}."""
    out = {"cells": []}
    with origin.Origin(options.minio, scratch / "objects") as server:
        bench = Bench(options, scratch, server, link, ready)
        if LINKS[link].shape:
            out["shape"] = bench.shape()
            peers.say(f"{link} as curl sees it: " + ", ".join(f"{key} {value:.3g}" for key, value in out["shape"].items()))
        for cell in cells:
            try:
                out["cells"].append(bench.cell(cell))
            except settings.Unavailable as reason:
                peers.say(f"without {cell.setting}: {reason}")
                out.setdefault("absent", {})[cell.setting] = str(reason)
        ours = any(peer.name == "tmpdump" for peer in ready)
        if link == plan.shown_link(options.cells) and ours and cells:
            subject = "torch" if any(cell.workload == "torch" for cell in cells) else cells[0].workload
            out["waterfall"] = bench.waterfall(subject)
            if options.sweep:
                out["sweep"] = bench.sweep(subject, options.sweep)
    return out
