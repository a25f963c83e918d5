# SPDX-License-Identifier: Apache-2.0
"""bench_link, the shaped link, as a running program; certificates for it; and what curl sees of its shape."""
import json
import shutil
import subprocess
from pathlib import Path


def certificates(folder):
    """Makes an authority and a server's certificate for 127.0.0.1; (authority, certificate, key). What `folder` held goes, also
    what peers made of an authority before.
    """
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    authority, key = folder / "ca.pem", folder / "key.pem"
    request, certificate, extensions = folder / "request.pem", folder / "server.pem", folder / "extensions"
    extensions.write_text("subjectAltName=IP:127.0.0.1,DNS:localhost\nbasicConstraints=CA:FALSE\n"
                          "keyUsage=digitalSignature\nextendedKeyUsage=serverAuth\n")
    new_key = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes"]

    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], check=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)

    openssl("req", "-x509", *new_key, "-days", "2", "-subj", "/CN=tmpdump bench CA", "-keyout", folder / "ca-key.pem", "-out",
            authority, "-addext", "keyUsage=critical,keyCertSign,cRLSign")
    openssl("req", *new_key, "-subj", "/CN=127.0.0.1", "-keyout", key, "-out", request)
    openssl("x509", "-req", "-in", request, "-CA", authority, "-CAkey", folder / "ca-key.pem", "-CAcreateserial", "-days", "2",
            "-extfile", extensions, "-out", certificate)
    return authority, certificate, key


class Proxy:
    """`with Proxy(program, port, arguments) as proxy:`; without arguments it only counts."""

    def __init__(self, program, upstream_port, shape=(), tls=None):
        self.command = [program, "--upstream", f"127.0.0.1:{upstream_port}", *shape]
        self.authority = None
        if tls:
            self.authority, certificate, key = tls
            self.command += ["--certificate", certificate, "--key", key]

    def __enter__(self):
        self.process = subprocess.Popen(self.command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        line = self.process.stdout.readline()
        if not line.startswith("listening "):
            self.process.wait()
            raise RuntimeError(f"{self.command[0]} did not start")
        self.port = int(line.rsplit(":", 1)[1])
        return self

    def __exit__(self, *_):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()

    @property
    def endpoint(self):
        return f"{'https' if self.authority else 'http'}://127.0.0.1:{self.port}"

    def _ask(self, line):
        self.process.stdin.write(line + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def reset(self, seed):
        """A run begins: credit, counters, and the order of latencies."""
        if self._ask(f"reset {seed}") != "ok":
            raise RuntimeError("bench_link does not answer")

    def counters(self):
        return json.loads(self._ask("counters"))

    def cpu_s(self):
        """What it has used so far, user + system."""
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / 100


def _curl(url, ranges, authority=None):
    """Asks for the ranges side by side, each on a connection of its own; [(before the request, first byte, all) in seconds,
    bytes] of each.
    """
    command = ["curl", "-sSf", "-o", "/dev/null", "-w", "%{time_pretransfer} %{time_starttransfer} %{time_total} %{size_download}\n"]
    if authority:
        command += ["--cacert", str(authority)]
    children = [subprocess.Popen([*command, "-r", f"{begin}-{end - 1}", url], stdout=subprocess.PIPE, text=True)
                for begin, end in ranges]
    figures = []
    for child in children:
        said, _ = child.communicate()
        if child.returncode != 0:
            raise RuntimeError(f"curl: exit code {child.returncode}")
        figures.append(tuple(map(float, said.split())))
    return figures


def measure_setup(url, proxy=None, times=9):
    """Median seconds from a connection's start to the first byte of its first answer, as curl sees it."""
    found = []
    for number in range(times):
        if proxy:
            proxy.reset(number)
        found.append(_curl(url, [(0, 1)], proxy.authority if proxy else None)[0][1])
    return sorted(found)[times // 2]


def _latencies(proxy, url, seed):
    """Milliseconds to the first byte of 20 answers on one connection."""
    proxy.reset(seed)
    command = ["curl", "-sSf", "-w", "%{time_pretransfer} %{time_starttransfer}\n"]
    command += ["--cacert", str(proxy.authority)] if proxy.authority else []
    for _ in range(20):
        command += ["-o", "/dev/null", "-r", "0-0", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    return [(float(first) - float(before)) * 1e3 for before, first in map(str.split, said.splitlines())]


def _together(figures):
    """MB/s of transfers side by side, from the first byte of the first to the last of the last."""
    return sum(f[3] for f in figures) / (max(f[2] for f in figures) - min(f[1] for f in figures)) / 1e6


def misshapen(found, link):
    """What of measure_shape()'s figures is not as the link is meant to be: rates may be a tenth off."""
    burst, sustained = (rate for rate, _ in link.rates)
    bounds = {key: (0.9 * rate / 1e6, 1.1 * rate / 1e6) for key, rate in (
        ("connection_mb_s", link.connection_rate), ("burst_mb_s", burst), ("sustained_mb_s", sustained))}
    bounds |= {"first_byte_ms": (link.latency_s * 1e3, link.latency_s * 1e3 + 5), "slow_share": (0.005, 0.05)}
    return [f"{key} is {found[key]:.3g}, not {low:.3g} to {high:.3g}" for key, (low, high) in bounds.items()
            if not low <= found[key] <= high]


def measure_shape(proxy, url, size):
    """What curl sees of the link with an object of `size` bytes: rates in MB/s, latencies in ms."""
    latencies = sorted(ms for seed in range(10) for ms in _latencies(proxy, url, seed))
    found = {"first_byte_ms": latencies[len(latencies) // 2],
             "slow_share": sum(1 for ms in latencies if ms > 100) / len(latencies)}
    proxy.reset(1)
    [(_, first, total, received)] = _curl(url, [(0, min(size, 30_000_000))], proxy.authority)
    found["connection_mb_s"] = received / (total - first) / 1e6
    if size < 500_000_000:  # not beyond the credit of 300 MB
        return found
    proxy.reset(1)
    before = proxy.cpu_s()
    found["burst_mb_s"] = _together(_curl(url, [(n * 30_000_000, (n + 1) * 30_000_000) for n in range(10)], proxy.authority))
    found["sustained_mb_s"] = _together(_curl(url, [(n * 30_000_000, n * 30_000_000 + 7_500_000) for n in range(10)],
                                              proxy.authority))
    found["cpu_s_per_gb"] = (proxy.cpu_s() - before) / 0.375
    return found
