"""A real server: pictures in, digits out, bad requests refused, and a clean end."""

import http.client
import os
import shutil
import signal
import subprocess
import sys
import threading
import time
from contextlib import contextmanager
from pathlib import Path

import cv2
import httpx
import numpy as np
import pytest
from conftest import environment, make_project, paper, run_main

from competition.deployment.server import MOST_BYTES, MOST_PICTURES


@contextmanager
def running(folder: Path, *more: str):
    """Yields the address of a server of its own process, and the process."""
    command = [sys.executable, "-m", "competition", "serve", "--config", "configs/tiny.yaml"]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    server = subprocess.Popen(
        [*command, "--port", "0", *more], cwd=folder, env=environment(), **pipes
    )
    try:
        line = server.stdout.readline()
        address = next((word for word in line.split() if word.startswith("http://")), None)
        assert address, server.stderr.read()
        yield address.removesuffix("/"), server
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
        server.stderr.close()


@pytest.fixture(scope="module")
def place(tiny_files, export, tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("served")
    make_project(folder, tiny_files)
    shutil.copytree(export, folder / "output/tiny/export")
    return folder


@pytest.fixture(scope="module")
def address(place):
    with running(place) as (address, _):
        yield address


@pytest.fixture(scope="module")
def picture(tiny) -> bytes:
    return png(paper(*tiny.train.images[:2]))


def png(pixels: np.ndarray) -> bytes:
    return cv2.imencode(".png", pixels)[1].tobytes()


def sent(address: str, *contents: bytes, field: str = "pictures") -> httpx.Response:
    files = [(field, (f"{number}.png", each)) for number, each in enumerate(contents)]
    return httpx.post(f"{address}/predict", files=files, timeout=120)


def test_digits_of_each_picture_come_back(address, picture, tiny):
    answer = sent(address, picture, png(np.full((90, 90), 255, np.uint8)))
    assert answer.status_code == 200
    first, second = answer.json()["pictures"]
    assert [digit["digit"] for digit in first["digits"]] == tiny.train.labels[:2].tolist()
    assert first["name"] == "0.png"
    for digit in first["digits"]:
        assert sum(digit["probabilities"]) == pytest.approx(1, abs=1e-4)
        assert digit["probability"] == max(digit["probabilities"])
    assert second == {"name": "1.png", "digits": [], "note": "no digit"}


BAD = {
    "no picture": ([b"text"], 400, "'0.png': the picture cannot be read as a picture"),
    "empty file": ([b""], 400, "cannot be read as a picture"),
    "too many": ([b"x"] * (MOST_PICTURES + 1), 413, f"send {MOST_PICTURES} at most"),
    "too large": ([b"x" * (MOST_BYTES + 1)], 413, "send fewer pictures"),
}


@pytest.mark.parametrize(("contents", "status", "message"), BAD.values(), ids=BAD.keys())
def test_bad_pictures_are_refused_with_a_reason(address, contents, status, message):
    answer = sent(address, *contents)
    assert answer.status_code == status
    assert message in answer.json()["detail"]


WRONG = {
    "another field": {"files": [("images", ("a.png", b"x"))]},
    "text for a file": {"data": {"pictures": "x"}},
    "JSON": {"json": {"pictures": ["x"]}},
    "nothing": {},
    "bare bytes": {"content": b"\x89PNG"},
    "a form without its boundary": {
        "content": b"x", "headers": {"content-type": "multipart/form-data"}
    },
}  # fmt: skip


@pytest.mark.parametrize("request_", WRONG.values(), ids=WRONG.keys())
def test_another_form_is_refused_with_a_reason(address, request_):
    answer = httpx.post(f"{address}/predict", timeout=60, **request_)
    assert answer.status_code in (400, 422)
    assert isinstance(answer.json()["detail"], str)


def test_a_body_without_a_length_is_limited_too(address):
    host = httpx.URL(address)
    connection = http.client.HTTPConnection(host.host, host.port, timeout=60)
    head = b'--b\r\nContent-Disposition: form-data; name="pictures"; filename="a"\r\n\r\n'
    chunks = [head, *[b"x" * 1_000_000] * (MOST_BYTES // 1_000_000 + 1), b"\r\n--b--\r\n"]
    headers = {"Content-Type": "multipart/form-data; boundary=b"}
    connection.request("POST", "/predict", iter(chunks), headers, encode_chunked=True)
    assert connection.getresponse().status == 413
    connection.close()


def test_it_says_how_it_is_and_what_it_offers(address):
    assert httpx.get(f"{address}/healthz").json() == {"status": "ok", "model": "digits.tflite"}
    assert httpx.get(f"{address}/predict").status_code == 405
    offered = httpx.get(f"{address}/openapi.json").json()["paths"]
    assert set(offered) == {"/predict", "/healthz", "/"}
    assert {"200", "400", "413", "422"} == set(offered["/predict"]["post"]["responses"])


def test_the_drawing_page_is_the_users_own_or_that_of_the_repository(address, place):
    missing = httpx.get(address)
    assert (missing.status_code, missing.json()["detail"][:24]) == (404, "there is no drawing page")
    for file, text in (("docs/draw.html", "<p>shipped"), ("output/tiny/draw.html", "<p>own")):
        (place / file).parent.mkdir(exist_ok=True)
        (place / file).write_text(text)
        shown = httpx.get(address)
        assert (shown.text, shown.headers["content-type"].split(";")[0]) == (text, "text/html")


def test_only_this_machine_can_reach_it_and_a_port_in_use_is_named(address, place):
    host = httpx.URL(address)
    assert host.host == "127.0.0.1"
    command = ("serve", "--config", "configs/tiny.yaml", "--port", str(host.port))
    done = run_main(*command, folder=place)
    assert done.returncode == 1
    assert done.stderr.splitlines()[-1] == (
        f"error: cannot listen at 127.0.0.1, port {host.port}: Address already in use; "
        "another server may run there, PORT= chooses another one"
    )


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_it_ends_cleanly_and_answers_what_it_was_asked(place, picture, number):
    with running(place) as (address, server):
        httpx.get(f"{address}/healthz", timeout=60)
        answers = []
        asking = threading.Thread(target=lambda: answers.append(sent(address, *[picture] * 10)))
        asking.start()
        time.sleep(1)
        os.kill(server.pid, number)
        asking.join()
        assert server.wait(timeout=60) == (0 if number == signal.SIGINT else 143)
        assert "Traceback" not in server.stderr.read()
    assert [answer.status_code for answer in answers] == [200]
    with pytest.raises(httpx.ConnectError):
        httpx.get(address)


def test_the_server_loads_no_tensorflow(place):
    with running(place) as (address, server):
        httpx.get(f"{address}/healthz")
        maps = Path(f"/proc/{server.pid}/maps").read_text()
    assert "_pywrap_tensorflow" not in maps
    assert "libtensorflow" not in maps


def resident(pid: int) -> int:
    """Returns the memory of a process in kB."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


@pytest.mark.long
def test_fifty_at_a_time_for_half_a_minute(place, picture):
    with running(place) as (address, server):
        until, statuses, used = time.monotonic() + 30, [], []

        def ask():
            with httpx.Client(timeout=120) as client:
                while time.monotonic() < until:
                    files = {"pictures": ("a.png", picture)}
                    statuses.append(client.post(f"{address}/predict", files=files).status_code)

        asking = [threading.Thread(target=ask) for _ in range(50)]
        for each in asking:
            each.start()
        while time.monotonic() < until:
            time.sleep(1)
            used.append(resident(server.pid))
        for each in asking:
            each.join()
    assert set(statuses) == {200}
    assert len(statuses) > 50
    assert max(used[20:]) < 1.1 * max(used[5:10])
