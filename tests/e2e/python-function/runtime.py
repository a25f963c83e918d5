# SPDX-License-Identifier: Apache-2.0
"""What Lambda's Python runtime does with a function: imports the module of _HANDLER from /var/task, calls it for each event."""
import http.client
import importlib
import json
import os
import sys

sys.path.insert(0, os.environ["LAMBDA_TASK_ROOT"])
module, name = os.environ["_HANDLER"].rsplit(".", 1)
handler = getattr(importlib.import_module(module), name)
api = http.client.HTTPConnection(os.environ["AWS_LAMBDA_RUNTIME_API"])
while True:
    api.request("GET", "/2018-06-01/runtime/invocation/next")
    response = api.getresponse()
    event = json.loads(response.read())
    request = response.getheader("Lambda-Runtime-Aws-Request-Id")
    api.request("POST", f"/2018-06-01/runtime/invocation/{request}/response", json.dumps(handler(event, None)))
    api.getresponse().read()
