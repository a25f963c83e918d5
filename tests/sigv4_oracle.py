#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Signs random requests with botocore and with ours (the program given, which signs JSON lines) and wants
equal bytes: the Authorization header and the presigned query.

    sigv4_oracle.py PROGRAM [--count N] [--seed S]
"""

import argparse
import datetime
import hashlib
import json
import random
import subprocess
import sys

try:
    import botocore.auth
    from botocore.awsrequest import AWSRequest
    from botocore.config import Config
    from botocore.credentials import Credentials
    from botocore.utils import percent_encode
except ImportError as error:
    sys.exit(
        f"sigv4_oracle: {error}, with {sys.executable}\n"
        'Configure with a Python that has tests/requirements.txt: -DTMPDUMP_PYTHON="$(tools/python-venv)"'
    )

PIECES = [
    "a", "B", "7", "-", "_", ".", "~", "*", "'", '"', "(", ")", "!", "$", "&", ",", ":", ";", "=", "?", "@",
    "#", "[", "]", "{", "}", "|", "\\", "^", "`", "<", ">", " ", "  ", "+", "%", "%2F", "%zz", "\t", "\n",
    "\x01", "\x7f", "é", "ß", "\u00a0", "名", "前", "🙂", "\u200d", "e\u0301", "lib", "libtorch.so",
]  # fmt: skip
SEGMENTS = ["", "", ".", "..", "tmpdump", "a b", "%2e%2e"]
METHODS = ["GET", "HEAD", "PUT", "POST", "DELETE"]
HEADER_NAMES = [
    "Range", "If-Match", "If-None-Match", "x-amz-checksum-mode", "X-Amz-Meta-Name", "Cache-Control",
    "x-amz-request-payer", "Accept", "x-amz-expected-bucket-owner", "Content-MD5", "a", "z-last",
]  # fmt: skip
REGIONS = ["us-east-1", "eu-central-1", "ap-southeast-4", "us-gov-west-1", "auto"]


def text(rng, longest):
    return "".join(rng.choice(PIECES) for _ in range(rng.randint(0, longest)))


def path(rng):
    segments = [
        rng.choice(SEGMENTS) if rng.random() < 0.3 else text(rng, 6) for _ in range(rng.randint(0, 6))
    ]
    return "/" + "/".join(segments)


def query(rng, repeated):
    pairs = [(text(rng, 3) or "x", text(rng, 4)) for _ in range(rng.choice([0, 0, 1, 2, 5]))]
    if not repeated:
        return list(dict(pairs).items())
    return pairs + [(name, text(rng, 4)) for name, _ in pairs if rng.random() < 0.5]


def headers(rng):
    # Printable ASCII with runs of spaces and tabs: other white space means different things to Python.
    words = ["bytes=0-9", '"etag"', "a", "x;y", "é" if rng.random() < 0.1 else "b", "1,2", "", "=?"]
    out = []
    for name in rng.sample(HEADER_NAMES, rng.choice([0, 1, 1, 2, 4])):
        for _ in range(2 if rng.random() < 0.15 else 1):
            gaps = [rng.choice([" ", "  ", "   ", "\t", " \t "]) for _ in range(4)]
            value = "".join(gap + rng.choice(words) for gap in gaps[: rng.randint(1, 4)])
            out.append((rng.choice([name, name.lower(), name.upper()]), value + rng.choice(["", " "])))
    return out


def host(rng):
    name = rng.choice(
        ["bucket.s3.amazonaws.com", "s3.eu-central-1.amazonaws.com", "127.0.0.1", "[::1]", "minio.example"]
    )
    scheme, default = rng.choice([("http", 80), ("https", 443)])
    port = rng.choice([None, default, 9000, 8443, 443 if default == 80 else 80])
    header = name if port in (None, default) else f"{name}:{port}"
    return f"{scheme}://{name}" + (f":{port}" if port else ""), header


def make_case(rng):
    origin, host_header = host(rng)
    body = rng.choice([b"", b"", b"Welcome to Amazon S3.", rng.randbytes(rng.randint(1, 300))])
    signs_payload = rng.random() < 0.7
    repeated = rng.random() < 0.5  # botocore's presigned form keeps only the first of repeated names
    return {
        "origin": origin,
        "body": body,
        "signs_payload": signs_payload,
        "presigns": not repeated,
        "request": {
            "method": rng.choice(METHODS),
            "host": host_header,
            "path": path(rng),
            "query": query(rng, repeated),
            "headers": headers(rng),
            "payload_hash": hashlib.sha256(body).hexdigest() if signs_payload else "UNSIGNED-PAYLOAD",
            "region": rng.choice(REGIONS),
            "access_key": "AKIA" + "".join(rng.choices("ABCDEFGHIJKLMNOP234567", k=16)),
            "secret_key": "".join(rng.choices("abcXYZ019/+=", k=rng.choice([1, 40, 59, 60, 61, 100]))),
            "token": "".join(rng.choices("abcXYZ019/+=", k=rng.choice([0, 0, 1, 400, 1200]))),
            "time": rng.randint(0, 4_102_444_799),  # to the end of 2099
            "expires": rng.randint(1, 7 * 24 * 3600),
        },
    }


def aws_request(case, context):
    request = case["request"]
    out = AWSRequest(
        method=request["method"],
        url=case["origin"] + percent_encode(request["path"], safe="/-._~"),
        data=case["body"],
        params=request["query"],
    )
    for name, value in request["headers"]:
        out.headers.add_header(name, value)
    out.context.update(context)
    return out


def expected(case):
    request = case["request"]
    now = datetime.datetime.fromtimestamp(request["time"], datetime.timezone.utc)
    botocore.auth.get_current_datetime = lambda *_, **__: now
    keys = Credentials(request["access_key"], request["secret_key"], request["token"] or None)
    signed = aws_request(
        case, {"client_config": Config(s3={"payload_signing_enabled": case["signs_payload"]})}
    )
    botocore.auth.S3SigV4Auth(keys, "s3", request["region"]).add_auth(signed)
    out = {
        "authorization": signed.headers["Authorization"],
        "date": signed.headers["X-Amz-Date"],
        "content_sha256": signed.headers["X-Amz-Content-SHA256"],
        "token": signed.headers.get("X-Amz-Security-Token", ""),
        "path": percent_encode(request["path"], safe="/-._~"),
    }
    if case["presigns"]:
        presigned = aws_request({**case, "body": b""}, {})
        presigned.params = dict(request["query"])
        botocore.auth.S3SigV4QueryAuth(keys, "s3", request["region"], request["expires"]).add_auth(presigned)
        out["query"] = presigned.url.partition("?")[2]
    return out


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("program")
    parser.add_argument("--count", type=int, default=6000)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    arguments = parser.parse_args()
    print(f"sigv4_oracle: seed {arguments.seed}, {arguments.count} requests, botocore {botocore.__version__}")

    rng = random.Random(arguments.seed)
    cases = [make_case(rng) for _ in range(arguments.count)]
    lines = "".join(json.dumps(case["request"]) + "\n" for case in cases)
    ours = subprocess.run(
        [arguments.program], input=lines, stdout=subprocess.PIPE, encoding="utf-8", check=True
    ).stdout.split("\n")[:-1]
    if len(ours) != len(cases):
        sys.exit(f"sigv4_oracle: {len(cases)} requests, {len(ours)} answers")

    compared = wrong = 0
    for number, (case, line) in enumerate(zip(cases, ours)):
        answer = json.loads(line)
        for what, value in expected(case).items():
            compared += 1
            if answer[what] == value:
                continue
            wrong += 1
            if wrong <= 3:
                print(f"request {number}: {what} differs\n  {json.dumps(case['request'])}")
                print(f"  botocore: {value}\n  ours:     {answer[what]}\n  canonical: {answer['canonical']!r}")
    print(f"sigv4_oracle: {compared} values compared, {wrong} differ")
    sys.exit(1 if wrong or not compared else 0)


if __name__ == "__main__":
    main()
