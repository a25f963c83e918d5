#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""From a function's first request to its answer, under AWS's Lambda emulator: Java with JavaCPP's OpenBLAS, OpenCV and
PyTorch, whose natives are in an archive in S3.

Ways: `lazy` (each load waits for its libraries), `eager` (the runtime starts when all is there), each with the archive of
`zip -y -r` and with that of `tmpdump pack`; `original`: as a Java layer does it, a JVM that fetches and unpacks first.
What bounds them: `in-place`, the same function with its libraries in /tmp already, and `fetch`, the archive alone without
a function beside it. All of one round run one after the other, and the order shifts from round to round.
"""
import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "e2e"))
sys.dont_write_bytecode = True

import invoke_archives  # noqa: E402
import workloads  # noqa: E402
from emulator import case, manifest, namespaces, programs  # noqa: E402
from emulator.origin import ACCESS_KEY, BUCKET, REGION, SECRET_KEY, Origin  # noqa: E402
from emulator.sandbox import Sandbox  # noqa: E402
from harness import links, measure as harness_measure, peers, report  # noqa: E402

ANSWER = {"openblas": 333300, "opencv": 12000, "torch": 262144}
ORIGINAL, ARCHIVES, FUNCTION = "TMPDUMP_INVOKE_ORIGINAL", "TMPDUMP_INVOKE_ARCHIVES", "TMPDUMP_INVOKE_FUNCTION"
DEADLINE_S = 120
TITLES = {
    "lazy-packed": "lazy, packed archive", "eager-packed": "eager, packed archive",
    "lazy-zip": "lazy, archive of `zip -y -r`", "eager-zip": "eager, archive of `zip -y -r`",
    "original": "the original's way, archive of `zip -y -r`", "in-place": "libraries in /tmp already: JVM, loading, work",
    "fetch-packed": "`tmpdump fetch` alone, packed archive", "fetch-zip": "`tmpdump fetch` alone, archive of `zip -y -r`",
}


class Bench:
    """One link: an origin for those that sign and one for the original, which does not."""

    def __init__(self, parts, archives, root):
        self.parts, self.archives, self.root = parts, archives, root
        home = Path(shutil.which("java")).resolve().parents[1]
        self.function = programs.java_runtime(home, "invoke.Function", built=Path(os.environ[FUNCTION]))
        self.signed, self.open = Origin(parts.origin, root), Origin(parts.origin, root, signed=False)

    def close(self):
        self.signed.close()
        self.open.close()

    def run(self, way):
        """What happened when: seconds from the request (of a fetch: from its start)."""
        kind, _, archive = way.partition("-")
        if kind == "fetch":
            return self.fetch(archive)
        if way == "original":
            return self.original()
        if way == "in-place":
            return self.in_place()
        return self.ours(kind, archive)

    def fetch(self, archive):
        with tempfile.TemporaryDirectory(prefix="tmpdump-invoke-") as folder:
            begin = time.monotonic()
            subprocess.run([self.parts.build / "bin" / "tmpdump", "fetch", f"s3://{BUCKET}/{archive}.zip", "--dest", folder, "-q"],
                           env=self.settings(archive), check=True)
            return {"answered": time.monotonic() - begin}

    def settings(self, archive):
        return {"AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION,
                "AWS_ENDPOINT_URL_S3": self.signed.endpoint, "TMPDUMP_URI": f"s3://{BUCKET}/{archive}.zip"}

    def ours(self, wait, archive):
        with Sandbox(self.parts, programs.wrapped(self.function), {**self.settings(archive), "TMPDUMP_WAIT": wait}) as sandbox:
            run, zero = self.invoke(sandbox)
            sandbox.log.wait_for(r'"tmpdump\.ready"', case.DEADLINE_S)
            listed = manifest.read(sandbox.tmp / ".tmpdump" / "manifest")
            used = [entry for entry in listed.entries if entry.first_wait and entry.kind == manifest.FILE]
            run |= {"extension": listed.started - zero, "list known": listed.listed - zero, "all ready": listed.finished - zero,
                    "waits": [[entry.path, entry.first_wait - zero, entry.published - zero] for entry in used]}
            sandbox.shut_down()
            return run

    def original(self):
        classes = Path(os.environ[ORIGINAL])
        files = {f"opt/java/{path.name}": path for path in [classes / "original-1.jar", *(classes / "lib").iterdir()]}
        unpack = ["/var/lang/bin/java", *programs.JVM_OPTIONS, "-cp", "/opt/java/*", "original.Original",
                  f"{self.open.endpoint}/{BUCKET}/zip.zip", "/tmp"]
        # Then the runtime, with the class and library paths that the layer's wrapper gives it.
        script = f'{shlex.join(unpack)} || exit; echo "invoke: unpacked"; exec /opt/tmpdump/exec-wrapper "$@"'
        wrapped = programs.Function(self.function.language_home, ["/bin/bash", "-c", script, "bash", *self.function.command],
                                    {**self.function.files, **files}, self.function.variables)
        with Sandbox(self.parts, wrapped, {"TMPDUMP_WAIT": "none"}, extension=False) as sandbox:
            run, zero = self.invoke(sandbox)
            run["unpacked"] = sandbox.log.wait_for("invoke: unpacked", case.DEADLINE_S).at - zero
            sandbox.shut_down()
            return run

    def in_place(self):
        with Sandbox(self.parts, programs.wrapped(self.function), {"TMPDUMP_WAIT": "none"}, extension=False) as sandbox:
            shutil.copytree(Path(os.environ[ARCHIVES]) / "tree" / "lib", sandbox.tmp / "lib", symlinks=True)
            run, _ = self.invoke(sandbox)
            sandbox.shut_down()
            return run

    @staticmethod
    def invoke(sandbox):
        answer = sandbox.invoke(deadline_s=DEADLINE_S)
        said = json.loads(answer.body) if answer.status == 200 else {}
        if {name: said.get(name) for name in ANSWER} != ANSWER:
            raise SystemExit(f"bench invoke: a wrong answer: {answer.body!r}\n{sandbox.log.text()}")
        zero = answer.asked
        run = {"answered": answer.answered - zero, "runtime starts": sandbox.log.first(case.RUNTIME_STARTS).at - zero}
        for step in said["steps"]:
            run[step["what"]] = [step["begin"] - zero, step["end"] - zero]
        return run, zero


# ---- what is said -----------------------------------------------------------------------------------------------------

def answered(runs):
    return [run["answered"] for run in runs]


def ratios(cells, mine, theirs):
    return [a / b for a, b in zip(answered(cells[mine]), answered(cells[theirs]))]


def bounds(cells, archive):
    """Per round: lazy by the longer of the JVM's boot and the fetch; the same with loading and work in the boot."""
    lazy, place, fetch = (cells[way] for way in (f"lazy-{archive}", "in-place", f"fetch-{archive}"))
    boot = [run["answered"] / max(still["started"][0], alone["answered"]) for run, still, alone in zip(lazy, place, fetch)]
    whole = [run["answered"] / max(still["answered"], alone["answered"]) for run, still, alone in zip(lazy, place, fetch)]
    return boot, whole


def median_run(runs):
    return sorted(runs, key=lambda run: run["answered"])[len(runs) // 2]


def timeline(run):
    """Lines: what ended when, in ms from the request."""
    marks = [(run[name], name) for name in ("extension", "runtime starts", "list known", "all ready", "unpacked", "answered")
             if name in run]
    marks += [(run[name][1], f"{name}: {(run[name][1] - run[name][0]) * 1000:.0f} ms") for name in
              ("openblas", "opencv", "torch", "work")]
    marks.append((run["started"][0], "handler's class starts"))
    marks += [(published, f"{path} there, asked for at {asked * 1000:.0f}")
              for path, asked, published in run.get("waits", []) if published > asked]
    return [f"{at * 1000:8.0f}  {what}" for at, what in sorted(marks)]


def markdown(data):
    at, facts = data["machine"], data["archives"]
    text = (f"# First request answered\n\n{at['date']}; {at['cores']} cores of {at['cpu']}, {at['memory_gb']} GB, Linux "
            f"{at['kernel']}.\n\n`{data['command']}`\n\n{facts['entries']} entries, {facts['unpacked'] / 1e6:.0f} MB: "
            f"{facts['zip'] / 1e6:.1f} MB by `zip -y -r`, {facts['packed'] / 1e6:.1f} MB by `tmpdump pack --level {facts['level']}`. Load before: "
            f"{data['load']:.1f}. Seconds, median [min..max] of {data['rounds']} interleaved rounds, every answer checked.\n")
    for link, cells in data["results"].items():
        text += f"\n### {links.LINKS[link].title}\n\n" + report.row(["way", "answered after, s", "original / this"]) + "|---|---|---|\n"
        for way, runs in cells.items():
            factor = statistics.median(ratios(cells, "original", way)) if way not in ("in-place",) and "original" in cells else None
            text += report.row([TITLES[way], report.spread(answered(runs)), f"{factor:.2f}" if factor and "fetch" not in way else ""])
        for archive in ("packed", "zip"):
            if {f"lazy-{archive}", f"fetch-{archive}", "in-place"} <= cells.keys():
                boot, whole = bounds(cells, archive)
                text += (f"\nLazy, {archive}: {report.spread(boot)} times the longer of JVM boot (until the handler's class starts) and "
                         f"fetch; {report.spread(whole)} times the longer of the whole function in place (loading and work too) and fetch.\n")
        for way in [way for way in ("lazy-packed", "lazy-zip", "original", "in-place") if way in cells]:
            lines = "\n".join(timeline(median_run(cells[way])))
            text += f"\n<details><summary>{TITLES[way]}: its median run, ms</summary>\n\n```\n{lines}\n```\n</details>\n"
    return text


# ---- one run ----------------------------------------------------------------------------------------------------------

def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ways", nargs="+", default=list(TITLES), choices=TITLES)
    here = [name for name, link in links.LINKS.items() if not link.shape]
    parser.add_argument("--links", nargs="+", default=here, choices=here)
    parser.add_argument("--runs", type=int, default=5, help="rounds that count, after one that does not")
    parser.add_argument("--level", type=int, default=19, help="of the packed archive (%(default)s, as tmpdump pack has it)")
    parser.add_argument("--quick", action="store_true", help="does it work: one round on the free link, level 1, no result")
    parser.add_argument("--save", action="store_true", help="a copy of the result into bench/results/")
    parser.add_argument("--build", type=Path, default=ROOT / "build", help="where the programs are")
    options = parser.parse_args(arguments)
    if options.quick:
        options.links, options.runs, options.level = ["free"], 1, 1
    return options


def prepare(options):
    """Before the namespaces: what comes from Maven, and what takes minutes the first time."""
    parts = programs.Programs(options.build.resolve())
    if ARCHIVES not in os.environ:
        original = peers.Original(workloads.cache_folder())
        original.prepare()
        os.environ[ORIGINAL] = str(original.classes)
        os.environ[FUNCTION] = str(invoke_archives.function())
        os.environ[ARCHIVES] = str(invoke_archives.make(parts.build / "bin" / "tmpdump", options.level))
    return parts


def shape(link):
    subprocess.run(["tc", "qdisc", "del", "dev", "lo", "root"], check=False, stderr=subprocess.DEVNULL)
    if links.LINKS[link].tc:
        subprocess.run(["tc", "qdisc", "add", "dev", "lo", "root", *links.LINKS[link].tc.split()], check=True)


def measure(options, parts, archives, root):
    results = {}
    for link in options.links:
        shape(link)
        bench = Bench(parts, archives, root)
        cells = {way: [] for way in options.ways}
        for number in range(options.runs + 1):  # round 0 warms up
            for place in range(len(options.ways)):
                way = options.ways[(place + number) % len(options.ways)]
                run = bench.run(way)
                if number:
                    cells[way].append(run)
            peers.say(f"{link}: round {number} of {options.runs}; load {os.getloadavg()[0]:.1f}")
        bench.close()
        results[link] = cells
    return results


def main():
    options = options_of(sys.argv[1:])
    parts = prepare(options)
    namespaces.enter()
    folder = Path(os.environ[ARCHIVES])
    load = os.getloadavg()[0]
    if not options.quick:
        harness_measure.touch_memory()
    with tempfile.TemporaryDirectory(prefix="tmpdump-invoke-root-") as scratch:
        bucket = Path(scratch) / BUCKET
        bucket.mkdir()
        for name in ("zip", "packed"):
            shutil.copy(folder / f"{name}.zip", bucket)
        results = measure(options, parts, folder, Path(scratch))
    entries, stock, unpacked = workloads.describe(folder / "zip.zip")
    data = {"machine": report.machine(), "command": f"./dev bench invoke --runs {options.runs} --level {options.level}", "rounds": options.runs, "load": load,
            "archives": {"entries": entries, "zip": stock, "unpacked": unpacked, "packed": (folder / "packed.zip").stat().st_size,
                         "level": options.level},
            "results": results}
    text = markdown(data)
    print(text)
    if options.quick:
        return
    report.write(ROOT / "build" / "bench", "invoke", data, text)
    if options.save:
        report.write(ROOT / "bench" / "results", f"{data['machine']['date'][:10]}-invoke", data, text)


if __name__ == "__main__":
    main()
