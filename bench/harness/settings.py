# SPDX-License-Identifier: Apache-2.0
"""What of the machine a measured program may use: cores, and memory where cgroups let us."""
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

CGROUP = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Setting:
    title: str
    cores: int
    memory: int = 0  # bytes, page cache included; 0: no limit


SETTINGS = {
    "2cores": Setting("2 cores", 2),
    "1core": Setting("1 core", 1),
    "1gb": Setting("2 cores, 1 GB of memory", 2, 10**9),
}


class Unavailable(Exception):
    """Why a setting cannot be had here."""


class Room:
    """`with Room(setting, servers) as room:`; room.enter stands before a command line that is to live in it. Where the
    machine has cores to spare, `servers` (process ids) keep to those meanwhile.
    """

    def __init__(self, name, servers=()):
        self.setting, self.servers, self.group = SETTINGS[name], servers, None
        self.all = sorted(os.sched_getaffinity(0))
        self.cores = self.all[: self.setting.cores]

    def __enter__(self):
        self.enter = []
        if self.cores != self.all:
            self.enter = ["taskset", "-c", ",".join(map(str, self.cores))]
            self._move_servers(self.all[self.setting.cores:])
        if self.setting.memory:
            members = self._limit_memory()
            self.enter += ["sh", "-c", f'echo $$ > {members} && exec "$@"', "sh"]
        return self

    def __exit__(self, *_):
        if self.cores != self.all:
            self._move_servers(self.all)
        if self.group:
            self.group.rmdir()

    def _move_servers(self, cores):
        for server in self.servers:
            subprocess.run(["taskset", "-a", "-c", "-p", ",".join(map(str, cores)), str(server)], check=True,
                           stdout=subprocess.DEVNULL)

    def _limit_memory(self):
        """Makes a group; returns the file that takes its members."""
        first = (CGROUP / "memory").is_dir()  # cgroups of the first version
        group = (CGROUP / "memory" if first else CGROUP) / f"tmpdump-bench-{os.getpid()}"
        limit, members = ("memory.limit_in_bytes", "cgroup.procs") if first else ("memory.max", "cgroup.procs")
        try:
            group.mkdir()
            self.group = group
            (group / limit).write_text(str(self.setting.memory))
        except OSError as error:
            if self.group:
                self.group.rmdir()
            raise Unavailable(f"no memory limit: {error.strerror} ({group / limit})") from error
        return group / members
