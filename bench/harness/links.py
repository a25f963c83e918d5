# SPDX-License-Identifier: Apache-2.0
"""The links between a peer and the origin. A limited device is the loopback of a network namespace of its own, so that
nothing outside the benchmark is slowed down; it takes root, or user namespaces. A shaped link is a program before the
server (bench/link).
"""
import os
import subprocess
from dataclasses import dataclass

MB = 1e6


@dataclass(frozen=True)
class Link:
    title: str
    tc: str = ""  # tc's arguments for lo
    rates: tuple = ()  # (bytes a second, so many bytes of them or None for the rest)...
    shape: tuple = ()  # bench_link's arguments
    tls: bool = False
    connection_rate: float = 0.0  # bytes a second of one connection; 0: no limit
    latency_s: float = 0.0  # of a first byte

    def seconds(self, size):
        """How long so many bytes take when all connections together fill the link; 0 when nothing limits it."""
        total = 0.0
        for rate, part in self.rates:
            now = size if part is None else min(size, part)
            total, size = total + now / rate, size - now
        return total


# What one Lambda function sees of S3: 60 MB/s a connection, 300 MB/s in all until its credit of 300 MB is used up, then
# 75 MB/s; 25 ms to the first byte, 150 ms in 2 % of the answers.
LAMBDA = ("--connection-mb-s", "60", "--burst-mb-s", "300", "--burst-mb", "300", "--sustained-mb-s", "75",
          "--latency-ms", "25", "--tail-ms", "150", "--tail-share", "0.02")
LAMBDA_RATES = ((300 * MB, 300 * MB), (75 * MB, None))

LINKS = {
    "free": Link("loopback, unlimited"),
    # About what one Lambda function sustains (75 MB/s).
    "600mbit": Link("loopback, 600 Mbit/s", "tbf rate 600mbit burst 512kb latency 60ms", ((75 * MB, None),)),
    "lambda": Link("like Lambda's, plain", rates=LAMBDA_RATES, shape=LAMBDA, connection_rate=60 * MB, latency_s=0.025),
    "lambda-tls": Link("like Lambda's, TLS", rates=LAMBDA_RATES, shape=LAMBDA, tls=True, connection_rate=60 * MB,
                       latency_s=0.025),
}


def namespace():
    return ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]


def enter(link):
    """The words before a command line that runs it on the link."""
    if not LINKS[link].tc:
        return []
    script = f'ip link set lo up && tc qdisc add dev lo root {LINKS[link].tc} && exec "$@"'
    return [*namespace(), "--", "sh", "-c", script, "sh"]


def possible(link):
    """Whether this machine lets us make it."""
    if not LINKS[link].tc:
        return True
    done = subprocess.run([*enter(link), "true"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
    return done.returncode == 0
