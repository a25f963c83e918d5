# SPDX-License-Identifier: Apache-2.0
"""Lambda's Extensions API as a test wants it: answers what it is told to, and remembers every request in order."""
import http.client
import json
import threading
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REGISTER = "/2020-01-01/extension/register"
NEXT = "/2020-01-01/extension/event/next"
INIT_ERROR = "/2020-01-01/extension/init/error"
EXIT_ERROR = "/2020-01-01/extension/exit/error"
IDENTIFIER = "5bb3ad5c-4d33-4a3f-8b0b-0a3d7c8b2f10"
SHUTDOWN = json.dumps({"eventType": "SHUTDOWN", "shutdownReason": "spindown", "deadlineMs": 0}).encode()


@dataclass
class Request:
    method: str
    path: str
    headers: dict  # names in lower case
    body: bytes


@dataclass
class Answer:
    status: int = 200
    headers: tuple = ()
    body: bytes = b"{}"
    raw: bytes = None  # in place of all of it, then the connection is closed


REGISTERED = Answer(headers=(("Lambda-Extension-Identifier", IDENTIFIER),), body=b'{"functionName":"f"}')


class ExtensionsApi:
    """`on_register` runs before register is answered, `on_error` before an error that is reported is. /event/next waits
    until shut_down() or answer_next().
    """

    def __init__(self, register=REGISTERED, on_register=None, on_error=None):
        self.requests, self._changed = [], threading.Condition()
        self.told = []  # all requests that ever came
        self._register, self._on_register, self._on_error = register, on_register, on_error
        self._events, self._closing, self._era, self._open = [], False, 0, 0
        api = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def handle_one(self):
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                headers = {name.lower(): value for name, value in self.headers.items()}
                try:
                    api._say(self, api._answer(Request(self.command, self.path, headers, body)))
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the extension has ended

            do_GET = do_POST = handle_one

            def handle(self):
                api._count(1)
                try:
                    super().handle()
                except ConnectionResetError:
                    pass  # it was killed
                finally:
                    api._count(-1)

            def log_message(self, *_):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.address = f"127.0.0.1:{self.server.server_address[1]}"
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05})
        self.thread.start()

    def _answer(self, request):
        self.told.append(request)
        if request.path == REGISTER and self._on_register:
            self._on_register()
        if request.path in (INIT_ERROR, EXIT_ERROR) and self._on_error:
            self._on_error()
        with self._changed:
            if request.path == NEXT and self._is_of_another_era(request):
                return Answer(raw=b"")
            self.requests.append(request)
            self._changed.notify_all()
            if request.path == REGISTER:
                return self._register
            if request.path == NEXT:
                era = self._era
                self._changed.wait_for(lambda: self._events or self._closing or self._era != era)
                return self._events.pop(0) if self._events and self._era == era else Answer(raw=b"")
        return Answer(202, body=b'{"status":"OK"}')

    def _is_of_another_era(self, request):
        return self._era > 0 and request.headers.get("lambda-extension-identifier") != self._identifier()

    def _identifier(self):
        return f"{IDENTIFIER[:-4]}{self._era:04}"

    def start_over(self):
        """For the next extension, when the last one has ended: what it asked for is forgotten. What of it nobody has read yet is
        read now: it would pass for the next one's.
        """
        with self._changed:
            self._era += 1
            self._register = replace(REGISTERED, headers=(("Lambda-Extension-Identifier", self._identifier()),))
            self.requests.clear()
            self._events.clear()
            self._changed.notify_all()
        last = http.client.HTTPConnection(*self.server.server_address)
        last.request("GET", "/last")  # connections are accepted in their order: all of the dead are by now
        last.getresponse().read()
        last.close()
        with self._changed:
            if not self._changed.wait_for(lambda: self._open == 0, 60):
                raise AssertionError("the last extension still has a connection")
            self.requests.clear()

    def _count(self, more):
        with self._changed:
            self._open += more
            self._changed.notify_all()

    @staticmethod
    def _say(handler, answer):
        if answer.raw is not None:
            handler.wfile.write(answer.raw)
            handler.close_connection = True
            return
        handler.send_response(answer.status)
        for name, value in answer.headers:
            handler.send_header(name, value)
        handler.send_header("Content-Length", str(len(answer.body)))
        handler.end_headers()
        handler.wfile.write(answer.body)

    def answer_next(self, answer):
        with self._changed:
            self._events.append(answer)
            self._changed.notify_all()

    def shut_down(self):
        self.answer_next(Answer(body=SHUTDOWN))

    def wait_for(self, path, deadline_s=60, count=1):
        def come():
            return [request for request in self.requests if request.path == path]
        with self._changed:
            if not self._changed.wait_for(lambda: len(come()) >= count, deadline_s):
                raise AssertionError(f"no {path} within {deadline_s} s; there were {self.paths()}")
            return come()[count - 1]

    def paths(self):
        return [request.path for request in self.requests]

    def close(self):
        with self._changed:
            self._closing = True
            self._changed.notify_all()
        self.server.shutdown()
        self.server.server_close()
        self.thread.join()
