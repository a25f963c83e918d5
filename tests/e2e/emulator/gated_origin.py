# SPDX-License-Identifier: Apache-2.0
"""An origin that holds some bytes of its one object back until a test lets them go, so that who waits for what is decided
by events, never by rates. What it answers to a GET with a range is S3's; signatures it leaves to tmpdump-origin.
"""
import re
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

CHUNK = 64 << 10
TRICKLE_S = 0.25  # who gets nothing for a second gives the connection up; a byte now and then completes no file


class Server(ThreadingHTTPServer):
    def handle_error(self, *_):
        pass  # the extension hedges and gives up connections: that is no error of a test


class GatedOrigin:
    def __init__(self, content):
        self.content, self.gates = content, []
        self.closing = threading.Event()
        origin = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self):
                origin.answer(self)

            def log_message(self, *_):
                pass

        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = "http://127.0.0.1:{}".format(self.server.server_address[1])
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def hold(self, begin, end):
        """Bytes [begin, end) are not sent until the event that this returns is set."""
        gate = threading.Event()
        self.gates.append((begin, end, gate))
        return gate

    def answer(self, request):
        first, last = re.fullmatch(r"bytes=(\d*)-(\d*)", request.headers.get("Range", "bytes=0-")).groups()
        size = len(self.content)
        begin = int(first) if first else max(0, size - int(last))
        end = min(int(last) + 1, size) if first and last else size
        request.send_response(206)
        request.send_header("Content-Range", f"bytes {begin}-{end - 1}/{size}")
        request.send_header("Content-Length", str(end - begin))
        request.send_header("ETag", '"gated"')
        request.end_headers()
        try:
            while begin < end and not self.closing.is_set():
                begin = self.send_some(request.wfile, begin, end, whole=not first)
        except OSError:
            request.close_connection = True  # the other side went away: it asks again, or has ended

    def send_some(self, out, begin, end, whole):
        """Returns where to go on. `whole`: the tail, which has the directory; it is never held."""
        to = min(begin + CHUNK, end)
        for held, until, gate in [] if whole else self.gates:
            if held <= begin < until and not gate.wait(TRICKLE_S):
                to = begin + 1  # a sign of life
            elif begin < held < to:
                to = held
        out.write(self.content[begin:to])
        return to

    def close(self):
        self.closing.set()
        for _, _, gate in self.gates:
            gate.set()
        self.server.shutdown()
        self.server.server_close()
