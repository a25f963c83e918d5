# SPDX-License-Identifier: Apache-2.0
"""One run of the released program under a fault, and what has to hold after it."""
import os
import shutil
import subprocess
import time

from extension_harness import archives, case
from extension_harness.api import NEXT, REGISTERED
from faults.table import ENDED, KILLED, NO_START, READY, TOLD

from errno import (EACCES, EAGAIN, ECONNREFUSED, ECONNRESET, EDQUOT, EFAULT, EINTR, EIO, EMFILE, ENETUNREACH, ENOLCK, ENOMEM,
                   ENOSPC, EOPNOTSUPP, EPIPE, EROFS)

# What the kernel may answer to each call that the program makes (tests/faults/injector.c names them).
FILE = (ENOSPC, EDQUOT, EIO, EMFILE, ENOMEM, EACCES, EINTR)
NAME = (ENOSPC, EDQUOT, EIO, ENOMEM, EACCES, EROFS)
ANSWERS = {
    "openat": FILE, "openat2": (EIO, EMFILE, ENOMEM, EACCES, EAGAIN),
    "mkdirat": NAME, "renameat": NAME, "linkat": NAME, "symlinkat": NAME, "unlinkat": (EIO, EACCES),
    "fchmod": (EIO, EACCES), "fstat": (EIO, ENOMEM), "fstatfs": (EIO,), "getdents": (EIO, ENOMEM),
    "fallocate": (ENOSPC, EDQUOT, EIO, EINTR, EOPNOTSUPP), "ftruncate": (ENOSPC, EIO),
    "read": (EIO, EINTR), "pread": (EIO, EINTR), "pwrite": (ENOSPC, EDQUOT, EIO, EINTR, "short"), "write": (EIO, EPIPE),
    "close": (EIO, EINTR), "fcntl": (ENOLCK, EINTR), "flock": (ENOLCK, EINTR),
    "mmap": (ENOMEM,), "mprotect": (ENOMEM,), "madvise": (ENOMEM,), "clone": (EAGAIN, ENOMEM),
    "futex-wait": (EINTR, EAGAIN), "futex-wake": (ENOMEM, EFAULT),
    "socket": (EMFILE, ENOMEM, EACCES), "connect": (ECONNREFUSED, ENETUNREACH, EACCES, ENOMEM), "setsockopt": (ENOMEM,),
    "getsockopt": (ENOMEM,), "ioctl": (EIO,), "sendmsg": (EPIPE, ECONNRESET, ENOMEM, EINTR), "sendto": (EPIPE, ENOMEM),
    "recvmsg": (ECONNRESET, ENOMEM, EINTR), "recvfrom": (ECONNRESET, ENOMEM, EINTR), "readv": (ECONNRESET, EINTR),
    "writev": (EPIPE, EIO), "epoll_create": (EMFILE, ENOMEM), "epoll_ctl": (ENOMEM, ENOSPC), "epoll_wait": (EINTR,),
    "eventfd": (EMFILE, ENOMEM), "timerfd": (EMFILE, ENOMEM), "timerfd_settime": (ENOMEM,), "pipe": (EMFILE, ENOMEM),
    "getrandom": (EINTR,), "ppoll": (EINTR, ENOMEM), "prctl": (EACCES,), "prlimit": (EACCES,),
}
MOST_S = 30  # for anything to end: an attempt's 9 s and a busy machine
LOST_S = 3  # a line that has not come by then may be the one that could not be written
END_S = 5  # promised: 0.2 s; less than an attempt's 9 s, after which it would end by itself
C_LIBRARY = 127  # the status with which its start-up code gives up
END = r"tmpdump\.(ready|missing|failed)"
WAIT_OK, WAIT_FAILED, WAIT_NONE = 0, (1, 4, 5), 3


class Wrong(AssertionError):
    pass


class Sweep:
    """Runs of the extension against one origin and one Extensions API, each over a destination of its own."""

    def __init__(self, test, wanted):
        self.test, self.wanted = test, wanted
        self.endpoint = test.start_origin().endpoint
        self.waiter = None
        self.api = test.start_api(REGISTERED, on_register=self._registering)
        self.runs = 0

    def _registering(self):
        """The manifest is there: somebody waits for all from now on."""
        self.waiter = self._wait(MOST_S)

    def _wait(self, limit_s):
        return subprocess.Popen([case.build / "bin" / "tmpdump", "wait", "--dest", str(self.destination), "--timeout",
                                 str(limit_s)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def new_destination(self):
        self.runs += 1
        self.destination = self.test.folder / f"run-{self.runs}"
        self.destination.mkdir()

    def drop_destination(self):
        for parent, _, _ in os.walk(self.destination):
            os.chmod(parent, 0o700)
        shutil.rmtree(self.destination)

    def start(self, call="all", nth=0, what="0", endpoint=None, **variables):
        self.waiter = None
        self.report = self.test.folder / "calls"
        self.report.unlink(missing_ok=True)
        self.api.start_over()
        self.prefetch = case.Prefetch(
            self.test.settings(self.api, endpoint or self.endpoint, TMPDUMP_DEST=str(self.destination), TMPDUMP_CONNECTIONS="2",
                               **variables),
            arguments=[call, str(nth), str(what), str(self.report), str(case.build / "bin" / "tmpdump-prefetch"),
                       "/opt/extensions/tmpdump-prefetch"], program=case.build / "bin" / "fault_injector")
        self.test.addCleanup(self.prefetch.kill)
        return self.prefetch

    def run(self, *fault, **variables):
        """(status, log, how the waiter ended) of one run that is told to end when it has come to one."""
        begin = time.monotonic()
        prefetch = self.start(*fault, **variables)
        self.wait_for(END, prefetch.log)
        if not prefetch.log.ended and (self.is_ready(prefetch.log) or prefetch.log.has("tmpdump.missing")):
            self.shut_down(prefetch)
        status = prefetch.status(MOST_S)  # after a failure it tells Lambda, and ends
        if time.monotonic() - begin > MOST_S:
            raise Wrong(f"took more than {MOST_S} s: " + "".join(f"\n{line.at - begin:.2f} {line.text}" for line in prefetch.log.lines))
        return status, prefetch.log, self.end_others()

    def run_until(self, said, end, *fault, **variables):
        """The same of one that has `said` something, or has ended, and then gets `end`: it has END_S for it."""
        prefetch = self.start(*fault, **variables)
        self.wait_for(f"{END}|{said}", prefetch.log)
        if not prefetch.log.ended:
            end(prefetch)
        return prefetch.status(END_S), prefetch.log, self.end_others()

    def wait_for(self, pattern, log):
        try:
            log.wait_for(pattern, LOST_S)
        except AssertionError:
            if log.ended or self.is_ready(log):  # and this line is what could not be written
                return
            try:
                log.wait_for(pattern, MOST_S)
            except AssertionError:
                if not log.ended:
                    raise Wrong(f"no {pattern} after {MOST_S} s: {log.text()}") from None

    def is_ready(self, log):
        """By what it told its log, or what it told its clients."""
        path = self.destination / ".tmpdump" / "manifest"
        return log.has("tmpdump.ready") or path.exists() and case.manifest.read(path).state == case.manifest.READY

    def end_others(self):
        """How the waiter ended; None: there was none."""
        waited = None
        if self.waiter:
            try:
                _, said = self.waiter.communicate(timeout=MOST_S)
            except subprocess.TimeoutExpired:
                self.waiter.kill()
                raise Wrong("somebody still waits") from None
            waited = self.waiter.returncode, said
        return waited

    def shut_down(self, prefetch):
        """As Lambda does; by a signal where that is not heard, because the connection on which it waits is the fault."""
        try:
            case.until(lambda: prefetch.log.ended or NEXT in self.api.paths(), "asked for the next event", 3)
            if not prefetch.log.ended:
                self.api.shut_down()
            prefetch.status(3)
        except AssertionError:
            prefetch.terminate()

    def counts(self):
        """How often each call came in the last run."""
        counted = {}
        for line in self.report.read_text().splitlines():
            name, count = line.split()
            counted[name] = counted.get(name, 0) + int(count)
        return counted

    def difference(self, partial):
        return archives.difference(archives.found(self.destination), self.wanted, partial)

    def check(self, status, log, waited, killed=False, asked=False):
        """Promises a, b and c after one run, whatever befell it; asked: a signal or SHUTDOWN may have ended it. The outcome,
        a word of the table.
        """
        ready = self.is_ready(log)
        if wrong := self.difference(partial=not ready):
            raise Wrong(f"the tree: {wrong}")
        after = self._wait(MOST_S)
        said = after.communicate(timeout=MOST_S)[1]
        if ready:
            if waited and waited[0] != WAIT_OK or after.returncode != WAIT_OK:
                raise Wrong(f"it is ready, but who waited heard {waited}, then {said}")
        else:
            for code, text in [waited or (1, ":"), (after.returncode, said)]:
                if code == WAIT_OK or ":" not in text or "\n" in text.strip():
                    raise Wrong(f"it failed, but who waited heard {code}: {text!r}")
        if killed or ready:
            return READY if ready else KILLED
        if status == C_LIBRARY and log.has("^: error while loading"):
            return NO_START  # before a single instruction of ours; it says what it could not do
        if status > 100:
            raise Wrong(f"ended by signal {status - 128}: {log.text()}")
        reasons = log.all(r'tmpdump\.(failed|missing)"|^tmpdump-prefetch: error: ')
        if asked and status == 0:
            return ENDED
        if not reasons:
            raise Wrong(f"status {status} without a reason: {log.text()!r}")
        tolerated = log.has("tmpdump.missing")
        if (status == 0) != tolerated:
            raise Wrong(f"status {status} with {reasons[0].text}")
        return TOLD

    def recover(self):
        """A start with nothing in its way, over what the last one left."""
        status, log, waited = self.run("prctl")  # few: nothing is slowed
        if status != 0 or not log.has("tmpdump.ready"):
            raise Wrong(f"the next start: status {status}: {log.text()}")
        if self.check(status, log, waited) != READY:
            raise Wrong("the next start is not ready")
        if left := set(os.listdir(self.destination / ".tmpdump")) - {"manifest", "lock"}:
            raise Wrong(f"left over: {left}")
