"""A stand-in for Kaggle's API on this machine, which the real Kaggle client can be pointed at.

The client has no setting for a server's address. It can be told to call `http://localhost` and
to use an HTTP proxy, though, so the stand-in is that proxy: whatever the client asks for over
HTTP comes here, whichever host it names, and nothing leaves the machine.
"""

import json
import threading
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, NamedTuple

REFERENCE = 4711

# Kaggle hands out addresses of a storage service for the files themselves. Names below
# `localhost` never leave the machine, even if a client should go around the proxy.
STORAGE = "http://storage.localhost"


class Request(NamedTuple):
    """What the client sent; `name` is the last part of the address: the method it called."""

    name: str
    headers: Message
    body: bytes


class Answer(NamedTuple):
    """What the stand-in sends back."""

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def json_answer(values: dict[str, Any], status: int = 200) -> Answer:
    return Answer(status, json.dumps(values).encode(), (("Content-Type", "application/json"),))


def refusal(status: int, reason: str) -> Answer:
    """Returns an error in the shape that Kaggle gives it."""
    return json_answer({"code": status, "message": reason}, status)


class KaggleServer(ThreadingHTTPServer):
    """Serves while its `with` block runs, and remembers every request.

    Attributes:
        requests: what came in, in order.
        answers: by a request's name; None accepts such a request and never answers it.
    """

    def __init__(self, archive: bytes):
        """Binds to a free port; by default the archive can be had, and any submission is taken."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self.answers: dict[str, Answer | None] = {
            "IntrospectToken": json_answer({"active": True, "username": "somebody"}),
            "DownloadDataFiles": Answer(302, headers=(("Location", f"{STORAGE}/archive.zip"),)),
            "archive.zip": Answer(200, archive, (("Content-Type", "application/zip"),)),
            "StartSubmissionUpload": json_answer(
                {"token": "blob", "createUrl": f"{STORAGE}/upload"}
            ),
            "upload": Answer(201),
            "CreateSubmission": json_answer({"message": "Taken", "ref": REFERENCE}),
        }

    def __enter__(self) -> "KaggleServer":
        threading.Thread(target=self.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *exception: object) -> None:
        self.closing.set()
        self.shutdown()
        self.server_close()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def received(self, name: str) -> Request:
        """Returns the one request of this name."""
        (request,) = [request for request in self.requests if request.name == name]
        return request


class _Handler(BaseHTTPRequestHandler):
    server: KaggleServer

    def _answer(self) -> None:
        # A proxy's request line has the whole address; what follows its last slash is enough.
        name = self.path.split("?")[0].rsplit("/", 1)[-1]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(Request(name, self.headers, body))
        answer = self.server.answers.get(name, refusal(501, f"no answer is set for {name}"))
        if answer is None:
            self.server.closing.wait()
        else:
            self._send(answer)

    do_GET = do_POST = do_PUT = _answer  # noqa: N815

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for header in answer.headers:
            self.send_header(*header)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def log_message(self, *_: object) -> None:
        """Says nothing: the tests look at `requests`."""
