# SPDX-License-Identifier: Apache-2.0
"""A Lambda function with its extension under AWS's own emulator, in namespaces of its own; no Docker."""
