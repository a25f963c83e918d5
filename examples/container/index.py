# SPDX-License-Identifier: Apache-2.0
"""The function's whole code: the library is in the tmpdump, and the wrapper makes loading it wait."""
import ctypes

library = ctypes.CDLL("/tmp/lib/libexample.so")


def handler(event, context):
    return {"answer": library.answer()}
