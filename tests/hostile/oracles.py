# SPDX-License-Identifier: Apache-2.0
"""What programs make of an archive: each in a process of its own with limits of time, memory and disk, in a folder of its
own whose surroundings are compared before and after."""
import contextlib
import ctypes
import ctypes.util
import hashlib
import os
import resource
import shutil
import signal
import stat
import subprocess
import sys
import threading
import zipfile
import zlib
from dataclasses import dataclass, field

sys.setrecursionlimit(20_000)  # folders of folders
SECONDS, MEMORY, DISK = 20, 1 << 30, 64 << 20  # seconds of CPU time
OURS = 256 << 20  # address space of tmpdump: 64 MiB, its threads' stacks and arenas; what others need is their affair
PATIENCE = 60  # seconds on the clock: the machine may be busy
# The system's, whichever runs the tests: its zipfile is an oracle as the system's unzip is.
PYTHON = "/usr/bin/python3" if os.access("/usr/bin/python3", os.X_OK) else sys.executable
LIBZIP = ctypes.util.find_library("zip") or "libzip.so.4"


@dataclass
class Outcome:
    accepted: bool
    tree: dict = field(default_factory=dict)  # path -> ("file", digest) or ("link", target) or ("folder",)
    message: str = ""  # the last line of what it said
    status: int = 0
    outside: list = field(default_factory=list)  # what appeared, went or changed outside of the destination
    warned: bool = False
    said: bytes = b""  # all of it, as it is

    def same(self, other):
        return self.accepted and other.accepted and self.tree == other.tree


def digest(data):
    return hashlib.sha256(data).hexdigest()[:16]


@contextlib.contextmanager
def opened(folder, relative):
    """A descriptor of folder/relative, whose path may be longer than a system call takes."""
    at = os.open(folder, os.O_RDONLY)
    try:
        while relative:
            step = relative if len(relative) < 3000 else relative[:relative.rindex(b"/", 0, 3000)]
            relative = relative[len(step) + 1:]
            below = os.open(step, os.O_RDONLY | os.O_DIRECTORY, dir_fd=at)
            os.close(at)
            at = below
        yield at
    finally:
        os.close(at)


def look(folder, without=""):
    """Everything below the folder, but `without`; paths as bytes."""
    found = {}
    folder, without = os.fsencode(folder), os.fsencode(without)
    left = [b""]
    while left:
        parent = left.pop()
        with opened(folder, parent) as at:
            for name in map(os.fsencode, os.listdir(at)):
                relative = os.path.join(parent, name)
                if os.path.join(folder, relative) == without:
                    continue
                status = os.stat(name, dir_fd=at, follow_symlinks=False)
                if stat.S_ISLNK(status.st_mode):
                    found[relative] = ("link", os.readlink(name, dir_fd=at))
                elif stat.S_ISDIR(status.st_mode):
                    found[relative] = ("folder",)
                    left.append(relative)
                elif stat.S_ISREG(status.st_mode):
                    os.chmod(name, 0o600, dir_fd=at)
                    with open(os.open(name, os.O_RDONLY, dir_fd=at), "rb") as file:
                        found[relative] = ("file", digest(file.read()))
                else:
                    found[relative] = ("other", oct(status.st_mode))
    return found


def scratch():
    """A folder in memory, if there is room: ten thousand small trees. None: the system's choice."""
    place = "/dev/shm"
    if os.access(place, os.W_OK | os.X_OK):
        status = os.statvfs(place)
        if status.f_bavail * status.f_frsize > 512 << 20:
            return place
    return None


def limit():
    for what, most in ((resource.RLIMIT_CPU, SECONDS), (resource.RLIMIT_FSIZE, DISK), (resource.RLIMIT_CORE, 0),
                       (resource.RLIMIT_AS, MEMORY)):
        resource.setrlimit(what, (most, most))


# Ten times quicker than a function for subprocess to call, for which it must copy this process.
LIMITED = ["prlimit", f"--cpu={SECONDS}", f"--fsize={DISK}", "--core=0"]


class Place:
    """sandbox/around/dest, with a neighbour and a victim that must stay as they are."""

    def __init__(self, sandbox):
        self.sandbox = sandbox
        self.dest = os.path.join(sandbox, "a", "b", "dest")
        os.makedirs(self.dest)
        os.makedirs(os.path.join(sandbox, "a", "b", "neighbour"))
        for folder in ("", "a", "a/b", "a/b/neighbour"):
            with open(os.path.join(sandbox, folder, "victim"), "wb") as file:
                file.write(b"untouched")
        self.before = self._around()

    def _around(self):
        return look(self.sandbox, without=self.dest)

    def outcome(self, accepted, message, status, tree=None):
        after = self._around()
        outside = sorted(path for path in self.before.keys() | after.keys() if self.before.get(path) != after.get(path))
        return Outcome(accepted, look(self.dest) if tree is None else tree, message, status, outside)


def run(command, place, warning=None, memory=MEMORY):
    """`warning`: the status that says "done, but"."""
    try:
        limits = LIMITED if memory is None else [*LIMITED, f"--as={memory}"]
        done = subprocess.run([*limits, "--", *command], stdin=subprocess.DEVNULL, capture_output=True,
                              timeout=PATIENCE, cwd=place.dest,
                              env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", "HOME": "/"})
    except subprocess.TimeoutExpired:
        return place.outcome(False, "no end", -signal.SIGALRM)
    lines = (done.stderr or done.stdout).decode("utf-8", "backslashreplace").strip().splitlines()
    outcome = place.outcome(done.returncode in (0, warning), lines[-1] if lines else "", done.returncode)
    outcome.warned, outcome.said = done.returncode == warning, done.stdout + done.stderr
    return outcome


def tmpdump(program, sanitized=False):
    """`sanitized`: its shadow memory is address space. What it reports has more lines than one, and a status of its own."""
    memory = None if sanitized else OURS
    return lambda archive, place: run([program, "fetch", archive, "--dest", place.dest], place, memory=memory)


def unzip(archive, place):
    return run(["unzip", "-o", "-q", archive, "-d", place.dest], place, warning=1)


def bsdtar(archive, place):
    return run(["bsdtar", "-x", "-f", archive, "-C", place.dest], place)


class Server:
    """Python once; each question is answered by a child of it, so that limits and crashes are the child's."""

    free = []
    lock = threading.Lock()

    def __init__(self):
        self.process = subprocess.Popen([PYTHON, "-I", __file__, "serve"], stdin=subprocess.PIPE,
                                        stdout=subprocess.PIPE, text=True)

    @classmethod
    def ask(cls, *words):
        with cls.lock:
            server = cls.free.pop() if cls.free else cls()
        server.process.stdin.write("\t".join(words) + "\n")
        server.process.stdin.flush()
        status, _, message = server.process.stdout.readline().rstrip("\n").partition("\t")
        with cls.lock:
            cls.free.append(server)
        return int(status), message


def python(archive, place):
    status, message = Server.ask("zipfile", archive, place.dest)
    return place.outcome(status == 0, message, status)


def libzip(archive, place):
    status, message = Server.ask("libzip", archive, place.dest)
    return place.outcome(status == 0, message, status)


ORACLES = {"unzip": unzip, "bsdtar": bsdtar, "zipfile": python, "libzip": libzip}


def versions():
    """Of each, as far as it tells: other versions may answer otherwise."""
    def first_words(command, count):
        out = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        return " ".join(out.split()[:count])
    version = ctypes.CDLL(LIBZIP).zip_libzip_version
    version.restype = ctypes.c_char_p
    zipfile_of = "import platform, zipfile; print(zipfile.__file__, platform.python_version())"
    source, python_version = first_words([PYTHON, "-I", "-c", zipfile_of], 2).split()
    return {"unzip": first_words(["unzip", "-v"], 2), "bsdtar": first_words(["bsdtar", "--version"], 2),
            "zipfile": "Python " + (revision_of(source) or python_version), "libzip": "libzip " + version().decode()}


def revision_of(file):
    """The version of the package of Debian that brought it; "": none. A revision of 3.11.2 refuses what the one before took."""
    if not shutil.which("dpkg-query"):
        return ""
    owner = subprocess.run(["dpkg-query", "-S", file], capture_output=True, text=True, check=False).stdout.partition(":")[0]
    return subprocess.run(["dpkg-query", "-W", "-f", "${Version}", owner], capture_output=True, text=True, check=False).stdout if owner else ""


# The two that are libraries: each entry is read, and put where its name says unless that leaves the destination.
class Refused(Exception):
    pass


def put(dest, name, mode, content):
    path = name.removeprefix(b"./").rstrip(b"/")
    if not path and name:
        return
    parts = path.split(b"/")
    if path.startswith(b"/") or any(part in (b"", b".", b"..") for part in parts):
        raise Refused(f"unsafe name {name!r}")
    at = os.fsencode(dest)
    for part in parts[:-1]:
        at = os.path.join(at, part)
        if os.path.islink(at):
            raise Refused(f"below a link {name!r}")
        os.makedirs(at, exist_ok=True)
    at = os.path.join(at, parts[-1])
    if name.endswith(b"/") or stat.S_ISDIR(mode):
        return os.makedirs(at, exist_ok=True)
    if os.path.islink(at):
        os.unlink(at)
    if stat.S_ISLNK(mode):
        return os.symlink(content, at)
    with open(at, "wb") as file:
        file.write(content)


def extract_zipfile(archive, dest):
    with zipfile.ZipFile(archive) as opened:
        for info in opened.infolist():
            name = info.filename.encode("utf-8" if info.flag_bits & 0x800 else "cp437")
            if not info.flag_bits & 0x800 and info.create_system != 3:
                name = info.filename.encode()
            mode = info.external_attr >> 16 if info.create_system in (3, 19) else 0
            if info.file_size > DISK:
                raise Refused("too large")
            put(dest, name, mode, b"" if info.is_dir() else opened.read(info))


class Stat(ctypes.Structure):
    _fields_ = [("valid", ctypes.c_uint64), ("name", ctypes.c_char_p), ("index", ctypes.c_uint64),
                ("size", ctypes.c_uint64), ("comp_size", ctypes.c_uint64), ("mtime", ctypes.c_long),
                ("crc", ctypes.c_uint32), ("comp_method", ctypes.c_uint16), ("encryption_method", ctypes.c_uint16),
                ("flags", ctypes.c_uint32)]


def extract_libzip(archive, dest):
    lib = ctypes.CDLL(LIBZIP)
    for name, result, *arguments in (
            ("zip_open", ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int, ctypes.POINTER(ctypes.c_int)),
            ("zip_get_num_entries", ctypes.c_int64, ctypes.c_void_p, ctypes.c_uint32),
            ("zip_get_name", ctypes.c_char_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32),
            ("zip_stat_index", ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.POINTER(Stat)),
            ("zip_fopen_index", ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32),
            ("zip_fread", ctypes.c_int64, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint64),
            ("zip_fclose", ctypes.c_int, ctypes.c_void_p),
            ("zip_file_get_external_attributes", ctypes.c_int, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32,
             ctypes.POINTER(ctypes.c_uint8), ctypes.POINTER(ctypes.c_uint32))):
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    error = ctypes.c_int()
    opened = lib.zip_open(os.fsencode(archive), 16, ctypes.byref(error))  # ZIP_RDONLY
    if not opened:
        raise Refused(f"zip_open: error {error.value}")
    for index in range(lib.zip_get_num_entries(opened, 0)):
        status = Stat()
        if lib.zip_stat_index(opened, index, 0, ctypes.byref(status)) != 0:
            raise Refused(f"zip_stat_index {index}")
        host, attributes = ctypes.c_uint8(), ctypes.c_uint32()
        lib.zip_file_get_external_attributes(opened, index, 0, ctypes.byref(host), ctypes.byref(attributes))
        name = lib.zip_get_name(opened, index, 0)
        mode = attributes.value >> 16 if host.value in (3, 19) else 0
        content = b""
        if not name.endswith(b"/"):
            file = lib.zip_fopen_index(opened, index, 0)
            if not file:
                raise Refused(f"zip_fopen_index {index}")
            buffer = ctypes.create_string_buffer(1 << 20)
            pieces, total = [], 0
            while (count := lib.zip_fread(file, buffer, len(buffer))) > 0:
                pieces.append(buffer.raw[:count])
                total += count
                if total > DISK:
                    raise Refused("too large")
            if count < 0 or lib.zip_fclose(file) != 0:
                raise Refused(f"zip_fread {index}")
            content = b"".join(pieces)
            # A read to the end checks the CRC; what it does not check is that there was all of it.
            if total != status.size or zlib.crc32(content) != status.crc:
                raise Refused(f"zip_fread {index}: size or CRC")
        put(dest, name, mode, content)


def answer(words):
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        limit()
        signal.alarm(PATIENCE)
        os.close(reader)
        status = 0
        try:
            {"zipfile": extract_zipfile, "libzip": extract_libzip}[words[0]](words[1], words[2])
        except BaseException as error:  # whatever it is, it is this oracle's refusal
            os.write(writer, f"{type(error).__name__}: {error}".encode("utf-8", "backslashreplace")[:4000])
            status = 1
        os._exit(status)
    os.close(writer)
    with open(reader, "rb") as pipe:
        message = pipe.read().decode("utf-8", "replace")
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    print(f"{status}\t{' '.join(message.split())}", flush=True)


if __name__ == "__main__":
    for line in sys.stdin:
        answer(line.rstrip("\n").split("\t"))
