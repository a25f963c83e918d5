# SPDX-License-Identifier: Apache-2.0
"""The S3 origin: tmpdump-origin over a folder, on loopback."""
import subprocess

from emulator.log import Log

BUCKET, REGION = "tmpdumps", "us-east-1"
ACCESS_KEY, SECRET_KEY = "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"
START_S = 20


class Origin:
    """Serves `folder`/BUCKET/KEY; without a folder what is uploaded. signed=False: to everyone. `shape`: options of tmpdump-origin, e.g. total_mbps=600, tls=True."""

    def __init__(self, program, folder=None, signed=True, **shape):
        command = [program, *(["--root", str(folder)] if folder else []), "--region", REGION]
        if signed:
            command += ["--access-key", ACCESS_KEY, "--secret-key", SECRET_KEY]
        for name, value in shape.items():
            command += ["--" + name.replace("_", "-"), *([] if value is True else [str(value)])]
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                        stderr=subprocess.STDOUT)
        self.log = Log(self.process.stdout)
        try:
            self.endpoint = self.log.wait_for(r"^listening ", START_S).text.split()[1]
        except BaseException:
            self.close()
            raise

    def close(self):
        self.process.kill()
        self.process.wait()
        self.log.reader.join()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
