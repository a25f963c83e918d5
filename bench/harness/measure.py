# SPDX-License-Identifier: Apache-2.0
"""Runs one command through timed.c and returns what it cost."""
import mmap
import os
import signal
import subprocess
from dataclasses import dataclass
from pathlib import Path

TIMEOUT_S = 600  # a run that takes longer hangs


@dataclass
class Cost:
    wall_s: float
    cpu_s: float  # user + system, of the program and the children that it waited for
    rss_mb: float  # peak of the largest process, MB of 10^6 bytes
    status: int
    stderr: str
    first_s: float = None  # until the file that was looked for was there


def compile_timer(folder):
    """Builds timed.c into folder when it is newer than what is there; returns the program's path."""
    source, program = Path(__file__).parent.parent / "timed.c", folder / "timed"
    if not program.exists() or program.stat().st_mtime < source.stat().st_mtime:
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["cc", "-O2", "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-o", program, source], check=True)
    return program


def touch_memory():
    """Every page that is free, once: a virtual machine gets many of them from its host only then, at 4 us a page, which
    would make the first runs that write much take twice as long as the later ones.
    """
    available = next(int(line.split()[1]) for line in Path("/proc/meminfo").read_text().splitlines() if line.startswith("MemAvailable"))
    size = available * 1024 * 8 // 10
    with mmap.mmap(-1, size, flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) as memory:
        for at in range(0, size, mmap.PAGESIZE):
            memory[at] = 1


def spread(folder):
    """Lets ext4 give each folder that is made in this one its own group of inodes. Otherwise a new file takes 0.5 ms instead of
    0.03 where others were deleted within the last minute (recently_deleted() in fs/ext4/ialloc.c): a cost of who ran
    before, which a function's new /tmp does not have.
    """
    subprocess.run(["chattr", "+T", folder], stderr=subprocess.DEVNULL, check=False)  # only ext4 knows it


def run(timer, command, environment, work, enter=(), first=None):
    """command: a list is run as it is, a string by bash with -e and pipefail. work: an existing folder for logs.
    enter: words before the command line (cores, memory). first: (path, bytes) of the file to look for.
    """
    if isinstance(command, str):
        command = ["bash", "-eo", "pipefail", "-c", command]
    report, log = work / "report", work / "stderr"
    with open(log, "wb") as stderr:
        path, size = first or ("-", 0)
        child = subprocess.Popen([*enter, timer, report, path, str(size), *command], env=environment, cwd=work, stdin=subprocess.DEVNULL,
                                 stdout=stderr, stderr=stderr, start_new_session=True)
        try:
            child.wait(TIMEOUT_S)
        except BaseException as error:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return Cost(TIMEOUT_S, 0, 0, 124, f"no end after {TIMEOUT_S} s")
    said = log.read_text(errors="replace").strip()
    if child.returncode != 0:
        return Cost(0, 0, 0, 127, said)
    wall_ns, user_us, system_us, rss_kib, status, first_ns = map(int, report.read_text().split())
    return Cost(wall_ns / 1e9, (user_us + system_us) / 1e6, rss_kib * 1024 / 1e6, status, said,
                first_ns / 1e9 if first_ns >= 0 else None)
