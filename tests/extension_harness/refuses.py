# SPDX-License-Identifier: Apache-2.0
"""A server that is not up yet."""
import shutil
import socket
import threading
from urllib.parse import urlsplit


class RefusesAtFirst:
    """Stands before `endpoint`: the first `count` connections are closed as they come, all others reach it."""

    def __init__(self, endpoint, count):
        address = urlsplit(endpoint)
        self.behind = (address.hostname, address.port)
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.endpoint = f"{address.scheme}://{address.hostname}:{self.listener.getsockname()[1]}"
        self.refusals = count
        threading.Thread(target=self.serve, daemon=True).start()

    def serve(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return  # closed
            if self.refusals > 0:
                self.refusals -= 1
                client.close()
                continue
            server = socket.create_connection(self.behind)
            for source, sink in ((client, server), (server, client)):
                threading.Thread(target=self.pass_on, args=(source, sink), daemon=True).start()

    @staticmethod
    def pass_on(source, sink):
        try:
            with source.makefile("rb", buffering=0) as read, sink.makefile("wb", buffering=0) as write:
                shutil.copyfileobj(read, write)
            sink.shutdown(socket.SHUT_WR)
        except OSError:
            pass  # one of the two has ended

    def close(self):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
