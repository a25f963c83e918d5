#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""How long from exec to the first request on the wire: what a start costs before the network can help.

A listener on loopback stamps CLOCK_MONOTONIC when a connection is accepted and when its first bytes are there; the
clock starts right before posix_spawn. The program is killed, by its id, as soon as its request was seen. Rounds are
interleaved; one round that does not count comes first.

--register: the extension instead, whose first request goes to the Runtime API, and for which the runtime waits; S3 is an
https endpoint that takes connections and says nothing. curl, sending the same, tells what any process costs here.
"""
import argparse
import os
import select
import signal
import socket
import sys
import tempfile
import time
from pathlib import Path

import workloads
from harness import origin, peers, report

ROOT = Path(__file__).resolve().parent.parent
TIMEOUT_S = 30
# Those that are one program whose first request is the download's.
MEASURED = ["tmpdump", "curl", "ripunzip-uri", "s5cmd-unzip", "original", "aws-unzip"]


class NoRequest(Exception):
    """What a program did instead of asking for its archive."""


REGISTER = "/2020-01-01/extension/register"


class Extension(peers.Peer):
    name, title = "register", "tmpdump-prefetch"
    begins = f"POST {REGISTER} ".encode()
    binary = None

    def prepare(self):
        if not self.binary or not Path(self.binary).exists():
            raise peers.Unavailable("build/bin/tmpdump-prefetch is not built")

    def versions(self):
        return [peers.first_line(self.binary, "--version")]

    def command(self, job):
        return [self.binary]

    def variables(self, job, silent):
        return {"AWS_LAMBDA_RUNTIME_API": job.endpoint.removeprefix("http://"), "AWS_ENDPOINT_URL_S3": f"https://{silent}",
                "TMPDUMP_URI": job.s3, "TMPDUMP_DEST": str(job.dest)}


class CurlRegister(peers.Curl):
    name, title = "curl-register", "curl"
    begins = Extension.begins

    def command(self, job):
        return [self.curl, "-s", "-H", "Lambda-Extension-Name: curl", "-d", '{"events":["SHUTDOWN"]}', job.endpoint + REGISTER]


def options_of(arguments):
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=50)
    parser.add_argument("--register", action="store_true", help="the extension's exec to its register request")
    parser.add_argument("--peers", nargs="+", default=MEASURED, choices=MEASURED)
    parser.add_argument("--save", action="store_true", help="a copy of the result into bench/results/")
    parser.add_argument("--tmpdump", default=str(ROOT / "build" / "bin" / "tmpdump"))
    parser.add_argument("--prefetch", default=str(ROOT / "build" / "bin" / "tmpdump-prefetch"))
    parser.add_argument("--output", type=Path, default=ROOT / "build" / "bench")
    return parser.parse_args(arguments)


def ready_by(what, deadline):
    return select.select([what], [], [], max(0, deadline - time.monotonic()))[0]


def once(command, environment, listener, begins=b""):
    """(seconds to the accepted connection, seconds to its first bytes, which are `begins`)."""
    if isinstance(command, str):
        command = ["/bin/bash", "-c", command]
    log = os.open(os.devnull, os.O_RDWR)
    actions = [(os.POSIX_SPAWN_DUP2, log, number) for number in (0, 1, 2)]
    start = time.monotonic_ns()
    child = os.posix_spawn(command[0], command, environment, file_actions=actions, setpgroup=0)
    try:
        deadline = time.monotonic() + TIMEOUT_S
        if not ready_by(listener, deadline):
            raise NoRequest(f"opened no connection in {TIMEOUT_S} s")
        connection, _ = listener.accept()
        accepted = time.monotonic_ns()
        with connection:
            if not ready_by(connection, deadline) or not connection.recv(1, socket.MSG_PEEK):
                raise NoRequest("connected and sent nothing")
            requested = time.monotonic_ns()
            if connection.recv(len(begins), socket.MSG_PEEK) != begins:
                raise NoRequest("asked for something else first")
    finally:
        os.killpg(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(log)
    return (accepted - start) / 1e9, (requested - start) / 1e9


def prepare_register(binary):
    Extension.binary = binary
    ready, absent = [], {}
    for peer in (Extension(workloads.cache_folder()), CurlRegister(workloads.cache_folder())):
        try:
            peer.prepare()
            ready.append(peer)
        except peers.Unavailable as reason:
            absent[peer.name] = str(reason)
    return ready, absent


def measure_all(ready, runs, scratch):
    """({peer: [(s, s)]}, {peer: why it has no figures}); a failure takes a peer out, the others go on."""
    home = scratch / "home"
    home.mkdir()
    figures, failures = {peer.name: [] for peer in ready}, {}
    for number in range(runs + 1):
        for peer in ready:
            if peer.name in failures:
                continue
            # A new listener each time: a program that opened more than one connection leaves none behind.
            with socket.create_server(("127.0.0.1", 0), backlog=64) as listener, \
                    socket.create_server(("127.0.0.1", 0), backlog=64) as silent, \
                    tempfile.TemporaryDirectory(dir=scratch) as work:
                endpoint = f"http://127.0.0.1:{listener.getsockname()[1]}"
                job = peers.Job(endpoint, origin.BUCKET, "any.zip", Path(work))
                job.dest.mkdir()
                environment = peers.environment(home)
                if hasattr(peer, "variables"):
                    environment |= peer.variables(job, f"127.0.0.1:{silent.getsockname()[1]}")
                try:
                    figure = once(peer.command(job), environment, listener, getattr(peer, "begins", b""))
                except NoRequest as failure:
                    failures[peer.name] = str(failure)
                    peers.say(f"{peer.name} FAILED: {failure}")
                    continue
            if number > 0:
                figures[peer.name].append(figure)
    return figures, failures


def main():
    options = options_of(sys.argv[1:])
    if options.register:
        ready, absent = prepare_register(options.prefetch)
    else:
        ready, absent = peers.prepare(options.peers, workloads.cache_folder(), options.tmpdump)
    for name, reason in absent.items():
        peers.say(f"without {name}: {reason}")
    options.output.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=options.output, prefix="scratch-") as scratch:
        figures, failures = measure_all(ready, options.runs, Path(scratch))
    at = report.machine()
    name, flag, what = ("register", "--register ", "the register request") if options.register else (
        "start", "", "the first request")
    text = (f"# From exec to {what}\n\n{at['date']}; {at['cores']} cores of {at['cpu']}. "
            f"`./dev bench start {flag}--runs {options.runs}`: median [min..max], milliseconds.\n\n"
            + report.row(["who", "connection accepted", "first byte of the request"]) + "|---|---|---|\n")
    for peer in ready:
        if peer.name in failures:
            text += report.row([peer.title.split(",")[0], "failed", failures[peer.name]])
            continue
        columns = [report.spread([1e3 * value for value in column], 1) for column in zip(*figures[peer.name])]
        text += report.row([peer.title.split(",")[0], *columns])
    print(text)
    data = {"machine": at, "runs": options.runs, "seconds": figures, "absent": absent, "failures": failures,
            "versions": {peer.name: peer.versions() for peer in ready}}
    written = report.write(options.output, name, data, text)
    if options.save:
        written = report.write(ROOT / "bench" / "results", f"{at['date'][:10]}-{name}", data, text)
    peers.say(f"written: {os.path.relpath(written)}")
    return 1 if {"tmpdump", "register"} & failures.keys() or not ready else 0


if __name__ == "__main__":
    sys.exit(main())
