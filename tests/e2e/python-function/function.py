# SPDX-License-Identifier: Apache-2.0
"""A Lambda runtime and function in one: waits for the files that it is told to wait for, and says how that went.

At start: TEST_WAIT_AT_INIT, a path. An event: {"wait": [paths], "timeout_ms": n}. Its answer holds all waits so far.
"""
import ctypes
import hashlib
import http.client
import json
import os
import time

library = ctypes.CDLL("libtmpdump.so")
library.tmpdump_reason.restype = ctypes.c_size_t
library.tmpdump_reason.argtypes = [ctypes.c_char_p, ctypes.c_size_t]
library.tmpdump_strerror.restype = ctypes.c_char_p
waits = []


def say(**what):
    print(json.dumps({"event": "function", **what}), flush=True)


def reason():
    text = ctypes.create_string_buffer(1025)
    library.tmpdump_reason(text, len(text))
    return text.value.decode()


def wait(path, timeout_ms):
    say(waiting=path)
    begin = time.monotonic()
    code = library.tmpdump_wait_file(path.encode(), timeout_ms)
    result = {"path": path, "code": code, "means": library.tmpdump_strerror(code).decode(), "reason": reason(),
              "begin": begin, "end": time.monotonic()}
    if code == 0:
        with open(os.path.join("/tmp", path), "rb") as file:
            result["sha256"] = hashlib.sha256(file.read()).hexdigest()
    waits.append(result)
    say(waited=path, code=code, reason=result["reason"], end=result["end"])


def main():
    say(started=os.getpid())
    if "TEST_WAIT_AT_INIT" in os.environ:
        wait(os.environ["TEST_WAIT_AT_INIT"], 60_000)
    api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
    while True:
        api.request("GET", "/2018-06-01/runtime/invocation/next")
        response = api.getresponse()
        event = json.loads(response.read())
        for path in event.get("wait", []):
            wait(path, event.get("timeout_ms", 30_000))
        request = response.getheader("Lambda-Runtime-Aws-Request-Id")
        api.request("POST", f"/2018-06-01/runtime/invocation/{request}/response", json.dumps({"waits": waits}))
        api.getresponse().read()


main()
