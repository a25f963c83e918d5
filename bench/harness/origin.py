# SPDX-License-Identifier: Apache-2.0
"""A MinIO server on loopback as the S3 origin. The bucket is public to read: peers that cannot sign use plain URLs."""
import datetime
import hashlib
import hmac
import http.client
import json
import os
import shutil
import socket
import subprocess
import threading

REGION = "us-east-1"
ACCESS_KEY, SECRET_KEY = "benchmark", "benchmark-secret"
BUCKET = "tmpdumps"


class Origin:
    """`with Origin(minio, folder) as origin:`; folder keeps the objects from one server to the next."""

    def __init__(self, minio, folder):
        self.minio, self.folder = minio, folder
        self.folder.mkdir(parents=True, exist_ok=True)

    def __enter__(self):
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            self.port = probe.getsockname()[1]
        environment = {
            "PATH": os.environ["PATH"], "HOME": str(self.folder.parent), "MINIO_ROOT_USER": ACCESS_KEY,
            "MINIO_ROOT_PASSWORD": SECRET_KEY, "MINIO_BROWSER": "off", "MINIO_UPDATE": "off",
        }
        self.process = subprocess.Popen(
            [self.minio, "server", "--address", f"127.0.0.1:{self.port}", str(self.folder)], env=environment,
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        # MinIO names its endpoints once it serves; the rest of its output is read so that it never blocks.
        said = []
        for line in self.process.stdout:
            said.append(line)
            if line.startswith("API:"):
                break
        else:
            self.process.wait()
            raise RuntimeError(f"{self.minio} did not start: {''.join(said).strip()}")
        self.drain = threading.Thread(target=lambda: [None for _ in self.process.stdout], daemon=True)
        self.drain.start()
        return self

    def __exit__(self, *_):
        self.process.terminate()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.drain.join()
        self.process.stdout.close()

    @property
    def endpoint(self):
        return f"http://127.0.0.1:{self.port}"

    def url(self, key):
        return f"{self.endpoint}/{BUCKET}/{key}"

    def create_bucket(self):
        self._request("PUT", f"/{BUCKET}", "", b"")
        policy = {"Version": "2012-10-17", "Statement": [{
            "Effect": "Allow", "Principal": {"AWS": ["*"]}, "Action": ["s3:GetObject"],
            "Resource": [f"arn:aws:s3:::{BUCKET}/*"]}]}
        self._request("PUT", f"/{BUCKET}", "policy=", json.dumps(policy).encode())

    def put(self, key, path):
        with open(path, "rb") as file:
            self._request("PUT", f"/{BUCKET}/{key}", "", file, os.path.getsize(path))

    def _request(self, method, path, query, body, length=None):
        """SigV4 with an unsigned payload: loopback needs no more."""
        now = datetime.datetime.now(datetime.timezone.utc).strftime("%Y%m%dT%H%M%SZ")
        day, host = now[:8], f"127.0.0.1:{self.port}"
        payload = "UNSIGNED-PAYLOAD"
        names = "host;x-amz-content-sha256;x-amz-date"
        canonical = f"{method}\n{path}\n{query}\nhost:{host}\nx-amz-content-sha256:{payload}\nx-amz-date:{now}\n\n{names}\n{payload}"
        scope = f"{day}/{REGION}/s3/aws4_request"
        to_sign = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{hashlib.sha256(canonical.encode()).hexdigest()}"
        key = f"AWS4{SECRET_KEY}".encode()
        for part in (day, REGION, "s3", "aws4_request", to_sign):
            key = hmac.new(key, part.encode(), hashlib.sha256).digest()
        headers = {
            "Host": host, "x-amz-date": now, "x-amz-content-sha256": payload,
            "Content-Length": str(len(body) if length is None else length),
            "Authorization": f"AWS4-HMAC-SHA256 Credential={ACCESS_KEY}/{scope}, SignedHeaders={names}, Signature={key.hex()}",
        }
        connection = http.client.HTTPConnection("127.0.0.1", self.port, blocksize=1 << 20)
        try:
            connection.request(method, path + (f"?{query}" if query else ""), body, headers)
            response = connection.getresponse()
            answer = response.read()
            if response.status not in (200, 204) and b"BucketAlreadyOwnedByYou" not in answer:
                raise RuntimeError(f"{method} {path}: {response.status} {answer[:300]!r}")
        finally:
            connection.close()


def remove(folder):
    shutil.rmtree(folder, ignore_errors=True)
