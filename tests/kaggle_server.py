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
PIECE = 65_536

# Kaggle hands out addresses of a storage service for the files themselves. Names below
# `localhost` never leave the machine, even if a client should go around the proxy.
STORAGE = "http://storage.localhost"


class Request(NamedTuple):
    """What the client sent; `name` is the last part of the address: the method it called."""

    name: str
    headers: Message
    body: bytes


class Answer(NamedTuple):
    """What the stand-in sends back.

    `cut` is how many bytes of the body it sends before it hangs up; `pause` comes before each
    `PIECE` of the body, seconds.
    """

    status: int
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()
    cut: int | None = None
    pause: float = 0.0


def json_answer(values: dict[str, Any], status: int = 200) -> Answer:
    return Answer(status, json.dumps(values).encode(), (("Content-Type", "application/json"),))


def refusal(status: int, reason: str) -> Answer:
    """Returns an error in the shape that Kaggle gives it."""
    return json_answer({"code": status, "message": reason}, status)


def wait(when: str) -> Answer:
    """Returns a refusal because of too many requests; `when` is in seconds or a date."""
    return Answer(429, headers=(("Retry-After", when),))


def stored(body: bytes, **more: Any) -> Answer:
    """Returns a file as the storage service sends it: named by its content, to be continued."""
    headers = (("Accept-Ranges", "bytes"), ("ETag", f'"{hash(body):x}"'))
    return Answer(200, body, headers, **more)


def redirect(name: str) -> Answer:
    """Returns the way to a file of the storage service, which a signature opens."""
    return Answer(302, headers=(("Location", f"{STORAGE}/{name}?signature=opens-everything"),))


def listing(status: str, **more: str) -> Answer:
    """Returns the account's submissions: the one that was just sent, after an older one."""
    latest = {"ref": REFERENCE, "status": status, **more}
    older = {"ref": 1, "status": "COMPLETE", "publicScore": "0.10000"}
    return json_answer({"submissions": [latest, older]})


class KaggleServer(ThreadingHTTPServer):
    """Serves while its `with` block runs, and remembers every request.

    Attributes:
        requests: what came in, in order.
        answers: by a request's name, one answer or a list of them, of which the last one stays;
            None accepts a request and never answers it.
    """

    def __init__(self, archive: bytes):
        """Binds to a free port; by default the archive can be had, and any submission is taken."""
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: list[Request] = []
        self.closing = threading.Event()
        self.answers: dict[str, Answer | list[Answer | None] | None] = {
            "IntrospectToken": json_answer({"active": True, "username": "somebody"}),
            "DownloadDataFiles": redirect("archive.zip"),
            "archive.zip": stored(archive),
            "DownloadDataFile": redirect("sample_submission.csv"),
            "sample_submission.csv": stored(b"ImageId,Label\n"),
            "StartSubmissionUpload": json_answer(
                {"token": "blob", "createUrl": f"{STORAGE}/upload"}
            ),
            "upload": Answer(201),
            "CreateSubmission": json_answer({"message": "Taken", "ref": REFERENCE}),
            "ListSubmissions": listing("COMPLETE", publicScore="0.99000"),
            "GetSubmissionLimits": json_answer({"numToday": 1, "numAllowedNow": 4}),
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

    def count(self, name: str) -> int:
        """Returns how often this was asked for."""
        return sum(request.name == name for request in self.requests)

    def next_answer(self, name: str) -> Answer | None:
        answer = self.answers.get(name, refusal(501, f"no answer is set for {name}"))
        if isinstance(answer, list):
            return answer.pop(0) if len(answer) > 1 else answer[0]
        return answer


class _Handler(BaseHTTPRequestHandler):
    server: KaggleServer

    def _answer(self) -> None:
        # A proxy's request line has the whole address; what follows its last slash is enough.
        name = self.path.split("?")[0].rsplit("/", 1)[-1]
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.server.requests.append(Request(name, self.headers, body))
        answer = self.server.next_answer(name)
        if answer is None:
            self.server.closing.wait()
        else:
            self._send(self._continued(answer))

    do_GET = do_POST = do_PUT = do_CONNECT = _answer  # noqa: N815

    def _continued(self, answer: Answer) -> Answer:
        """Returns the rest of a stored file if only that was asked for."""
        wanted = self.headers.get("Range")
        if wanted is None or ("Accept-Ranges", "bytes") not in answer.headers:
            return answer
        start = int(wanted.removeprefix("bytes=").removesuffix("-"))
        cut = None if answer.cut is None else max(0, answer.cut - start)
        return answer._replace(status=206, body=answer.body[start:], cut=cut)

    def _send(self, answer: Answer) -> None:
        self.send_response(answer.status)
        for header in answer.headers:
            self.send_header(*header)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        body = answer.body[: answer.cut]
        try:
            for start in range(0, len(body), PIECE):
                self.server.closing.wait(answer.pause)
                self.wfile.write(body[start : start + PIECE])
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True  # the client has heard enough, or is gone

    def log_message(self, *_: object) -> None:
        """Says nothing: the tests look at `requests`."""
