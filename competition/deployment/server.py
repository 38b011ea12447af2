"""The web server: pictures in, digits out, and the drawing page."""

import socket
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from pydantic import BaseModel, Field

from competition.deployment.predictor import PROBABILITIES, Predictor
from competition.errors import UserError

if TYPE_CHECKING:
    from fastapi import FastAPI

# Of one request: all bytes, and the number of pictures.
MOST_BYTES = 20_000_000
MOST_PICTURES = 50

SHUTDOWN_SECONDS = 10
BACKLOG = 2048  # uvicorn's own default


class Digit(BaseModel):
    """A digit that was found in a picture."""

    digit: int = Field(ge=0, le=9)
    probability: float
    probabilities: list[float] = Field(description="of the classes 0 to 9")


class Picture(BaseModel):
    """What a picture holds; a blank one has no digits."""

    name: str
    digits: list[Digit] = Field(description="in reading order")
    note: str = Field(description="what a person should look at; empty if nothing")


class Answer(BaseModel):
    """All pictures of a request, in its order."""

    pictures: list[Picture]


class Trouble(BaseModel):
    """What is wrong with a request."""

    detail: str


class Health(BaseModel):
    """What the server runs."""

    status: str
    model: str


def make_app(predictor: Predictor, pages: list[Path]) -> "FastAPI":
    """Returns the web application.

    Args:
        predictor: predicts one request at a time.
        pages: the drawing page is the first of these files that exists.
    """
    from fastapi import FastAPI, File, HTTPException, Request, UploadFile
    from fastapi.exceptions import RequestValidationError
    from fastapi.responses import FileResponse, JSONResponse

    app = FastAPI(title="Digit Recognizer", version="1", redoc_url=None)
    app.add_middleware(LimitedBody)
    one_at_a_time = threading.Lock()
    troubles: dict[int | str, dict[str, Any]] = {
        status: {"model": Trouble} for status in (400, 413, 422)
    }

    @app.post("/predict", responses=troubles)
    def predict(
        pictures: Annotated[list[UploadFile], File(description=f"1 to {MOST_PICTURES} pictures")],
    ) -> Answer:
        """Predicts the digits in pictures: PNG, JPEG, WebP, BMP or TIFF."""
        if len(pictures) > MOST_PICTURES:
            raise HTTPException(413, f"{len(pictures)} pictures; send {MOST_PICTURES} at most")
        answers = []
        for picture in pictures:
            name = picture.filename or ""
            try:
                with one_at_a_time:  # so memory stays small, whatever is asked at the same time
                    frame = predictor.predict(picture.file.read())
            except UserError as error:
                raise HTTPException(400, f"'{name}': {error}") from None
            answers.append(_as_answer(name, frame))
        return Answer(pictures=answers)

    @app.get("/healthz")
    def healthz() -> Health:
        """Says that the server runs, and with which net."""
        return Health(status="ok", model=predictor.file.name)

    @app.get("/", responses={404: {"model": Trouble}}, response_class=FileResponse)
    def page():
        """Returns the drawing page."""
        for file in pages:
            if file.exists():
                return FileResponse(file, media_type="text/html")
        raise HTTPException(404, "there is no drawing page; `make draw` makes it")

    @app.exception_handler(RequestValidationError)
    def refuse(request: Request, error: RequestValidationError):
        return JSONResponse(
            {"detail": "expected a form (multipart/form-data) with files in the field 'pictures'"},
            422,
        )

    return app


def _as_answer(name: str, frame) -> Picture:
    found = frame[frame["position"] > 0]
    digits = [
        Digit(
            digit=row["digit"],
            probability=row["probability"],
            probabilities=[row[each] for each in PROBABILITIES],
        )
        for row in found.to_dict("records")
    ]
    return Picture(name=name, digits=digits, note=frame["note"].iloc[0])


class LimitedBody:
    """Refuses a request's body as soon as more than `MOST_BYTES` of it have come."""

    def __init__(self, app):
        self._app = app

    async def __call__(self, scope, receive, send):
        from fastapi import HTTPException

        received = 0

        async def counted():
            nonlocal received
            message = await receive()
            received += len(message.get("body", b""))
            if received > MOST_BYTES:
                raise HTTPException(413, f"more than {MOST_BYTES:,} bytes; send fewer pictures")
            return message

        await self._app(scope, counted, send)


def listening(host: str, port: int) -> socket.socket:
    """Returns a socket that is bound; port 0 takes a free one.

    Raises:
        UserError: when the port is in use, or the host is none of this machine.
    """
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        bound = socket.socket(family)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind((host, port))
        bound.listen(BACKLOG)  # whoever reads the address may ask at once
    except OSError as error:
        raise UserError(
            f"cannot listen at {host}, port {port}: {error.strerror}; another server may run "
            "there, PORT= chooses another one"
        ) from None
    return bound


def serve(app: "FastAPI", bound: socket.socket) -> None:
    """Serves until Ctrl-C or TERM; requests that are being answered get their answer."""
    import uvicorn

    config = uvicorn.Config(
        app, log_level="warning", timeout_graceful_shutdown=SHUTDOWN_SECONDS, lifespan="off"
    )
    uvicorn.Server(config).run([bound])
