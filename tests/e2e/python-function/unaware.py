# SPDX-License-Identifier: Apache-2.0
"""A Lambda runtime and function in one that knows nothing of tmpdump: OpenBLAS through ctypes, by the library's name, and
a package with a C extension, both used while it starts.
"""
import ctypes
import http.client
import json
import os
import sys

sys.path.append("/tmp/python")  # where its packages are

import yaml  # noqa: E402

blas = ctypes.CDLL("libopenblas.so.0")
blas.cblas_ddot.restype = ctypes.c_double
SIZE = 1000


def dot():
    vector = ctypes.c_double * SIZE
    return blas.cblas_ddot(SIZE, vector(*range(SIZE)), 1, vector(*[2] * SIZE), 1)


def handle():
    parsed = yaml.load("[1, {two: 3}]", Loader=yaml.CSafeLoader)
    return {"dot": dot(), "yaml": parsed, "extension": sys.modules["yaml._yaml"].__file__}


api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    response = api.getresponse()
    response.read()
    request = response.getheader("Lambda-Runtime-Aws-Request-Id")
    api.request("POST", f"/2018-06-01/runtime/invocation/{request}/response", json.dumps(handle()))
    api.getresponse().read()
