# SPDX-License-Identifier: Apache-2.0
"""What the tests of the program `tmpdump-prefetch` share: a scripted Extensions API, archives, waiters, the program."""
