# SPDX-License-Identifier: Apache-2.0
"""One run of the released program under a fault, and what has to hold after it."""
import os
import re
import subprocess
import time
from signal import SIGABRT, SIGKILL, SIGSEGV

from extension_harness import archives, case
from extension_harness.api import NEXT, REGISTERED
from faults.table import ENDED, KILLED, NO_START, READY, TOLD

from errno import (EACCES, EAGAIN, ECONNREFUSED, ECONNRESET, EDQUOT, EFAULT, EINTR, EINVAL, EIO, EMFILE, ENETUNREACH, ENOLCK,
                   ENOMEM, ENOSPC, ENOTCONN, EOPNOTSUPP, EPIPE, EROFS)

# What the kernel may answer to each call that the programs make (tests/faults/injector.c names them). openat2 makes nothing:
# a full disk is not its.
FILE = (ENOSPC, EDQUOT, EIO, EMFILE, ENOMEM, EACCES, EINTR)
NAME = (ENOSPC, EDQUOT, EIO, ENOMEM, EACCES, EROFS)
ANSWERS = {
    "openat": FILE, "openat2": (EIO, EMFILE, ENOMEM, EACCES, EAGAIN, EINTR),
    "mkdirat": NAME, "renameat": NAME, "linkat": NAME, "symlinkat": NAME, "unlinkat": (EIO, EACCES),
    "fchmod": (EIO, EACCES), "fstat": (EIO, ENOMEM), "fstatfs": (EIO,), "getdents": (EIO, ENOMEM), "readlink": (EIO, ENOMEM),
    "access": (EIO, ENOMEM, EACCES),
    "fallocate": (ENOSPC, EDQUOT, EIO, EINTR, EOPNOTSUPP), "ftruncate": (ENOSPC, EIO),
    "read": (EIO, EINTR), "pread": (EIO, EINTR), "pwrite": (ENOSPC, EDQUOT, EIO, EINTR, "short"),
    "write": (EIO, EPIPE, ENOSPC, EDQUOT, EINTR, "short"),
    "close": (EIO, EINTR), "fcntl": (ENOLCK, EINTR), "flock": (ENOLCK, EINTR),
    "mmap": (ENOMEM,), "brk": (ENOMEM,), "mprotect": (ENOMEM,), "madvise": (ENOMEM,), "clone": (EAGAIN, ENOMEM),
    "futex-wait": (EINTR, EAGAIN), "futex-wake": (ENOMEM, EFAULT), "futex-look": (ENOMEM, EFAULT, EAGAIN),
    "socket": (EMFILE, ENOMEM, EACCES), "connect": (ECONNREFUSED, ENETUNREACH, EACCES, ENOMEM), "setsockopt": (ENOMEM,),
    "getsockopt": (ENOMEM,), "getpeername": (ENOTCONN,), "ioctl": (EIO,),
    "sendmsg": (EPIPE, ECONNRESET, ENOMEM, EINTR), "sendto": (EPIPE, ENOMEM),
    "recvmsg": (ECONNRESET, ENOMEM, EINTR), "recvfrom": (ECONNRESET, ENOMEM, EINTR), "readv": (ECONNRESET, EINTR),
    "writev": (EPIPE, EIO), "epoll_create": (EMFILE, ENOMEM), "epoll_ctl": (ENOMEM, ENOSPC), "epoll_wait": (EINTR,),
    "eventfd": (EMFILE, ENOMEM), "timerfd": (EMFILE, ENOMEM), "timerfd_settime": (ENOMEM,), "pipe": (EMFILE, ENOMEM),
    "getrandom": (EINTR,), "ppoll": (EINTR, ENOMEM), "prctl": (EACCES,), "prlimit": (EACCES,), "sched_getaffinity": (EINVAL,),
}
# What stays as it is: a full disk, no descriptor left, no memory. Of all these calls the Nth, and whatever follows.
LASTING = {
    "openat,mkdirat,renameat,linkat,symlinkat,fallocate,ftruncate,pwrite": f"{ENOSPC}+",
    "openat,openat2,socket,epoll_create,eventfd,timerfd,pipe": f"{EMFILE}+",
    "mmap,brk,mprotect,clone": f"{ENOMEM}+",
}
COUNTED_ONLY = {"munmap"}
# What the sanitizers' runtime calls through the C library, so that the injector cannot tell it from the program, and dies of.
# All else of theirs is spared: case.SANITIZERS.
if case.SANITIZED:
    RUNTIME_NEEDS = {"pipe": "by which UBSan sees whether there is memory where an object's type is to be looked at",
                     "prlimit": "the stack's size, which ASan has to know, and cores, which it switches off"}
    ANSWERS = {call: errors for call, errors in ANSWERS.items() if call not in RUNTIME_NEEDS}
    LASTING = {",".join(call for call in calls.split(",") if call in ANSWERS): what for calls, what in LASTING.items()}
    COUNTED_ONLY |= set(RUNTIME_NEEDS)
# What else they call, and why it is not let fail.
CANNOT_FAIL = {
    "brk_query": "is told where the heap ends", "epoll_change": "a change or a removal takes no memory", "futex_rest": "within a process nothing is looked up",
    "fcntl_rest": "of a descriptor's flags",
    "lseek": "of an open file", "rt_sigaction": "of a signal that there is", "rt_sigprocmask": "of signals that there are",
    "rt_sigreturn": "has no answer", "setitimer": "of a time that is one", "getpid": "there is one", "geteuid": "there is one",
    "sysinfo": "copies what the kernel has", "execve": "the injector's",
    "exit": "does not return", "exit_group": "does not return",
    **dict.fromkeys(("set_tid_address", "set_robust_list", "rseq", "arch_prctl"), "the C library's, at the start of a thread"),
}
MOST_S = 30  # for anything to end: an attempt's 9 s and a busy machine
LOST_S = 3  # a line that has not come by then may be the one that could not be written
END_S = 5  # promised: 0.2 s; less than an attempt's 9 s, after which it would end by itself
WAITER_S = 10 * MOST_S  # a waiter's own limit is never what ends it
FIRST_BRKS = 3  # for its threads' memory, for the first block, and rounded up
C_LIBRARY = 127  # the status with which its start-up code gives up
BY_SIGNAL = 128  # and its number: the injector's status for it
# Why it may end with status 1; once it is ready, because SHUTDOWN cannot come, or for want of memory.
ENDS = r'tmpdump\.failed"|^tmpdump-prefetch: error: '
ENDS_READY = r'tmpdump\.failed".*(Extensions API at [^ ]*, next|out of memory)'
END = r"tmpdump\.(ready|missing|failed)"
# The statuses of `tmpdump wait`; one that ran out of time or was told wrongly is neither.
WAIT_OK, WAIT_ERRORS = 0, (1, 3, 4, 5)
TIMED_OUT = "was not ready at"
DAEMON_ENDED = "the daemon of '[^\n]*' ended before|no manifest at '"
SHUT_DOWN = "the environment shut down before"


class Wrong(AssertionError):
    pass


def not_started(fault, status, said):
    """Did the C library give up before a single instruction of ours? It says what it could not do. But of a heap that is
    refused it knows no good end: without a block for its list of folders it crashes as it would say so, and with the first one
    that cannot be rounded up to a page an assertion of its malloc fails. Both is over before main() is called.
    """
    call, nth, _ = fault
    if status == C_LIBRARY:
        return bool(re.search("^(: error while loading|Fatal glibc error: )", said, re.MULTILINE))
    return "brk" in call.split(",") and int(nth) <= FIRST_BRKS and status in (BY_SIGNAL + SIGSEGV, BY_SIGNAL + SIGABRT) \
        and (said == "" or said.startswith("Fatal glibc error: malloc assertion failure in sysmalloc"))


class Sweep:
    """Runs of the extension by one scenario and with an Extensions API of its own, each over another destination."""

    def __init__(self, test, scenario, number=0):
        self.test, self.scenario = test, scenario
        self.folder = test.folder / f"sweep-{scenario.name.replace(' ', '-')}-{number}"
        self.folder.mkdir()
        self.waiter, self.fault = None, None
        self.api = test.start_api(REGISTERED, on_register=self._registering)
        self.runs = 0

    def _registering(self):
        """The manifest is there: somebody waits for all from now on."""
        self.waiter = self._wait()

    def _wait(self):
        return subprocess.Popen([case.build / "bin" / "tmpdump", "wait", "--dest", str(self.destination), "--timeout",
                                 str(WAITER_S)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)

    def new_destination(self):
        """In the state that the scenario begins with."""
        self.runs += 1
        self.destination = self.folder / f"run-{self.runs}"
        self.destination.mkdir()
        self.before, self.generation = {}, 0
        self.scenario.prepare(self)
        self.before = archives.found(self.destination)
        if self.before:
            self.generation = self.manifest().generation

    def drop_destination(self):
        case.remove(self.destination)

    def start(self, call="all", nth=0, what="0", **variables):
        self.api.start_over()
        if self.waiter and self.waiter.returncode is None:  # Lambda heard of the last one only after its end
            self.heard(self.waiter)
        self.waiter, self.fault = None, (call, nth, what)
        self.report = self.folder / "calls"
        self.report.unlink(missing_ok=True)
        settings = {"TMPDUMP_DEST": str(self.destination), "TMPDUMP_CONNECTIONS": "2", **self.scenario.settings, **variables}
        self.prefetch = case.Prefetch(
            self.test.settings(self.api, self.scenario.endpoint, **settings),
            arguments=[call, str(nth), str(what), str(self.report), str(case.tested("tmpdump-prefetch")),
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
        waited = self.end_others()
        if time.monotonic() - begin > MOST_S:
            raise Wrong(f"took more than {MOST_S} s: " + "".join(f"\n{line.at - begin:.2f} {line.text}" for line in prefetch.log.lines))
        return status, prefetch.log, waited

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

    def manifest(self):
        """None: there is none."""
        try:
            return case.manifest.read(self.destination / ".tmpdump" / "manifest")
        except FileNotFoundError:
            return None

    def is_ready(self, log):
        """By what it told its log, or what it told its clients."""
        manifest = self.manifest()
        told = manifest and manifest.generation > self.generation and manifest.state == case.manifest.READY
        return bool(log.has("tmpdump.ready") or told)

    def is_untouched(self):
        """The predecessor's archive is what clients are told of, and it is there."""
        manifest = self.manifest()
        return bool(self.generation and manifest and manifest.generation == self.generation)

    def end_others(self):
        """How the waiter ended, now that the daemon has; None: there was none."""
        return self.heard(self.waiter) if self.waiter else None

    def heard(self, waiter):
        """(status, what it said), soon."""
        try:
            _, said = waiter.communicate(timeout=END_S)
        except subprocess.TimeoutExpired:
            waiter.kill()
            waiter.communicate()
            raise Wrong(f"somebody still waits {END_S} s after the end") from None
        return waiter.returncode, said

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

    def difference(self, ready):
        """Until it is ready, each path is what it was before or what it will be."""
        found, wanted = archives.found(self.destination), self.scenario.wanted
        if ready:
            return archives.difference(found, wanted)
        if self.is_untouched():
            return archives.difference(found, self.before)
        new = {path: entry for path, entry in found.items() if entry != self.before.get(path)}
        return archives.difference(new, wanted, partial=True)

    def check_told(self, code, said, log, killed):
        """A waiter's end when the daemon did not come to its good one: the daemon's reason, or that it died."""
        if self.is_untouched() and code == WAIT_OK:
            return  # it waited for what the predecessor brought
        if code not in WAIT_ERRORS or not re.fullmatch("tmpdump: error: [^\n]+\n", said) or TIMED_OUT in said:
            raise Wrong(f"it failed, but who waited heard {code}: {said!r}")
        manifest = self.manifest()
        if killed or not manifest or manifest.state != case.manifest.FAILED:
            told = re.search(DAEMON_ENDED, said)
        else:
            reasons = [event["message"] for name in ("failed", "missing") for event in log.objects(f"tmpdump.{name}")]
            told = manifest.reason in said and (manifest.reason in reasons or SHUT_DOWN in said or not reasons)
        if not told:
            raise Wrong(f"who waited heard {code}: {said!r}, which is not why: {log.text()}")

    def check(self, status, log, waited, killed=False, asked=False):
        """Promises a, b and c after one run, whatever befell it; asked: a signal or SHUTDOWN may have ended it. The outcome,
        a word of the table.
        """
        if log.has(case.REPORT):
            raise Wrong(f"a sanitizer found something: {log.text()}")
        ready = self.is_ready(log)
        if wrong := self.difference(ready):
            raise Wrong(f"the tree: {wrong}: {log.text()}")
        for code, said in filter(None, (waited, self.heard(self._wait()))):
            if not ready:
                self.check_told(code, said, log, killed)
            elif code != WAIT_OK:
                raise Wrong(f"it is ready, but who waited heard {code}: {said!r}")
        if killed and status == BY_SIGNAL + SIGKILL:
            return READY if ready else KILLED
        if not ready and not_started(self.fault, status, log.text()):
            return NO_START
        if status > BY_SIGNAL:
            raise Wrong(f"ended by signal {status - BY_SIGNAL}: {log.text()}")
        if log.has("tmpdump.missing"):
            raise Wrong(f"a failure on this machine is not a missing archive: {log.text()}")
        if status == 0 and (ready or asked):
            return READY if ready else ENDED
        if status != 1 or not log.has(ENDS_READY if ready else ENDS):
            raise Wrong(f"status {status}{', ready,' * ready} without a reason: {log.text()!r}")
        return READY if ready else TOLD

    def complete(self, **variables):
        """A start with nothing in its way, to its good end; its log."""
        status, log, waited = self.run("prctl", **variables)  # few: nothing is slowed
        if status != 0 or not log.has("tmpdump.ready") or waited != (WAIT_OK, ""):
            raise Wrong(f"nothing is in its way, but: status {status}: {waited}: {log.text()}")
        return log

    def recover(self):
        """The next start, over what the last one left."""
        log = self.complete()
        if self.check(0, log, None) != READY:
            raise Wrong("the next start is not ready")
        if left := set(os.listdir(self.destination / ".tmpdump")) - {"manifest", "lock"}:
            raise Wrong(f"left over: {left}")
