# SPDX-License-Identifier: Apache-2.0
"""The links between a peer and the origin. A limited one is the loopback device of a network namespace of its own, so
nothing outside the benchmark is slowed down; it takes root, or user namespaces.
"""
import os

# name: (what the report says, tc's arguments for lo or None, bits a second or None)
LINKS = {
    "free": ("loopback, unlimited", None, None),
    # About what one Lambda function sustains (75 MB/s).
    "600mbit": ("loopback, 600 Mbit/s", "tbf rate 600mbit burst 512kb latency 60ms", 600e6),
}


def enter(link):
    """The words before a command line that runs it on the link."""
    shape = LINKS[link][1]
    if shape is None:
        return []
    namespace = ["unshare", "--net"] if os.geteuid() == 0 else ["unshare", "--net", "--map-root-user"]
    script = f'ip link set lo up && tc qdisc add dev lo root {shape} && exec "$@"'
    return [*namespace, "--", "sh", "-c", script, "sh"]
