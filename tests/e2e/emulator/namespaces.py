# SPDX-License-Identifier: Apache-2.0
"""Puts this process into mount, network and PID namespaces of its own: its loopback has every port free, nothing that it
mounts is seen outside, and whatever it started ends with it.
"""
import os
import signal
import subprocess
import sys

SKIPPED = 77  # ctest's SKIP_RETURN_CODE
INSIDE = "TMPDUMP_E2E_INSIDE"


def enter(root_must=False):
    """Returns inside the namespaces: this program is started once more, with the same arguments. Who may not make any
    skips the test; root_must: for root, who may, that is a failure.
    """
    if os.environ.get(INSIDE):
        subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
        # The first process of a PID namespace ignores signals that it does not handle.
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
        return
    unshare = ["unshare", "-m", "-n", "-p", "-f", "--mount-proc", "--kill-child"]
    if os.geteuid() != 0:
        unshare += ["-U", "-r"]
    try:
        probe = subprocess.run([*unshare, "true"], stderr=subprocess.PIPE, text=True, timeout=30, check=False)
        reason = probe.stderr.strip() if probe.returncode else ""
    except FileNotFoundError as error:
        reason = str(error)
    if reason:
        print(f"{os.path.basename(sys.argv[0])}: cannot make namespaces ({reason}). Run it as root; in a container, "
              "with --privileged or with --cap-add SYS_ADMIN --security-opt seccomp=unconfined "
              "--security-opt apparmor=unconfined", file=sys.stderr)
        sys.exit(1 if root_must and os.geteuid() == 0 else SKIPPED)
    os.environ[INSIDE] = "1"
    sys.stdout.flush()
    os.execvp(unshare[0], [*unshare, sys.executable, *sys.argv])
