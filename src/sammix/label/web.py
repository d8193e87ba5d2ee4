"""The routes of the page. Each reads a request, asks the :class:`Service`, and writes what it says.

Starlette, and not FastAPI: bodies here are mostly bytes (pixels, masks), and the few JSON ones are checked by pydantic
all the same.
"""

from __future__ import annotations

import re
from importlib import resources
from typing import Any, TypeVar
from urllib.parse import unquote

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import BaseRoute, Route

from sammix import __version__
from sammix.errors import SammixError
from sammix.files import PLAIN_NAME
from sammix.label.described import described
from sammix.label.guard import TooMuchError
from sammix.label.service import RefusedError, Service, as_mask

KINDS = {".html": "text/html; charset=utf-8", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

B = TypeVar("B", bound=BaseModel)


class Body(BaseModel):
    """A JSON body: nothing in it is unknown or of another type."""

    model_config = ConfigDict(extra="forbid", allow_inf_nan=False, strict=True)


class Said(Body):
    """An answer to a slice: 1 yes, 0 no, -1 left open."""

    label: int = Field(ge=-1, le=1)


class Marked(Body):
    """An end of the organ, or both."""

    first: int | None = Field(default=None, ge=0)
    last: int | None = Field(default=None, ge=0)


class Page:
    """The routes of the page.

    Args:
        service: what they ask.
        annotator: who labels where the browser does not say it.
    """

    def __init__(self, service: Service, annotator: str) -> None:
        self.service, self.annotator = service, annotator
        folder = resources.files("sammix.label") / "page"
        self.files = {entry.name: entry for entry in folder.iterdir() if entry.is_file()}

    def routes(self) -> list[BaseRoute]:
        """All routes."""
        slice_ = "/api/stacks/{stack:int}/slices/{slice:int}"
        return [
            Route("/", self.index),
            Route("/page/{name}", self.file),
            Route("/api/session", self.session),
            Route("/api/events", self.events),
            Route("/api/stacks/{stack:int}", self.stack),
            Route("/api/stacks/{stack:int}/mark", self.mark, methods=["POST"]),
            Route(f"{slice_}/pixels", self.pixels),
            Route(f"{slice_}/mask", self.mask),
            Route(f"{slice_}/mask", self.draw, methods=["PUT"]),
            Route(f"{slice_}/answer", self.answer, methods=["POST"]),
            Route(f"{slice_}/interpolation", self.interpolation, methods=["POST"]),
            Route("/api/undo", self.undo, methods=["POST"]),
            Route("/api/redo", self.redo, methods=["POST"]),
        ]

    async def index(self, request: Request) -> Response:
        """The page itself."""
        return self._file("index.html")

    async def file(self, request: Request) -> Response:
        """A part of the page: one of the files that come with the package, and nothing else."""
        return self._file(request.path_params["name"])

    async def session(self, request: Request) -> Response:
        """What is labelled, and by whom."""
        collection = self.service.collection
        return JSONResponse(
            {
                "version": __version__,
                "name": collection.dataset.name,
                "organ": self.service.project.organ,
                "window": [collection.dataset.window_level, collection.dataset.window_width],
                "stacks": [
                    {"name": stack.name, "patient": stack.patient, "whole": stack.whole} for stack in collection.stacks
                ],
                "remarks": list(collection.remarks),
                "annotator": self.annotator,
                "store": str(self.service.project.folder.resolve()),
            }
        )

    async def events(self, request: Request) -> Response:
        """What happens, as it happens."""
        return StreamingResponse(self.service.events.listen(), media_type="text/event-stream")

    async def stack(self, request: Request) -> Response:
        """What is known of a stack."""
        return JSONResponse(
            await run_in_threadpool(described, self.service, request.path_params["stack"], self.who(request))
        )

    async def pixels(self, request: Request) -> Response:
        """HU of a slice: int16, little-endian, row by row."""
        number, slice_ = place_of(request)
        stack = await run_in_threadpool(self.service.slice_of, number, slice_)
        hu = stack.hu(slice_)
        return Response(hu.tobytes(), media_type="application/octet-stream", headers=_shape(hu.shape))

    async def mask(self, request: Request) -> Response:
        """The mask of a slice: a byte a pixel, 0 or 1; 204 where there is none."""
        mask = await run_in_threadpool(self.service.mask, *place_of(request))
        if mask is None:
            return Response(status_code=204)
        return Response(mask.tobytes(), media_type="application/octet-stream", headers=_shape(mask.shape))

    async def draw(self, request: Request) -> Response:
        """Keep a mask: the body as :func:`as_mask` reads it; ``?basis=`` names the proposal that it began from."""
        number, slice_ = place_of(request)
        stack = await run_in_threadpool(self.service.slice_of, number, slice_)
        rows, columns = stack.hu(slice_).shape
        mask = as_mask(await request.body(), (rows, columns))
        basis = request.query_params.get("basis") or None
        answer = await run_in_threadpool(self.service.draw, self.who(request), number, slice_, mask, basis)
        return JSONResponse({"mask": answer.mask, "mask_how": answer.mask_how, "label": answer.label})

    async def answer(self, request: Request) -> Response:
        """Answer a slice."""
        said = await body_of(request, Said)
        await run_in_threadpool(self.service.say, self.who(request), *place_of(request), said.label)
        return JSONResponse({})

    async def mark(self, request: Request) -> Response:
        """Mark the first or last slice of the organ."""
        marked, number = await body_of(request, Marked), request.path_params["stack"]
        ends = await run_in_threadpool(self.service.mark, self.who(request), number, marked.first, marked.last)
        return JSONResponse({"marks": list(ends)})

    async def interpolation(self, request: Request) -> Response:
        """Propose the masks between two drawn slices (``?accept=0``), or keep them."""
        number, slice_ = place_of(request)
        lower, upper, masks = await run_in_threadpool(self.service.interpolated, number, slice_)
        if request.query_params.get("accept") == "1":
            await run_in_threadpool(self.service.accept, self.who(request), number, masks, "interpolated")
            return JSONResponse({"lower": lower, "upper": upper, "slices": sorted(masks)})
        mask = masks.get(slice_)
        if mask is None:
            raise RefusedError("nothing is left between the two drawings at this slice")
        headers = {**_shape(mask.shape), "x-between": f"{lower},{upper}"}
        return Response(mask.tobytes(), media_type="application/octet-stream", headers=headers)

    async def undo(self, request: Request) -> Response:
        """Take back the annotator's last gesture."""
        return await self._back(request, redo=False)

    async def redo(self, request: Request) -> Response:
        """Say again what was taken back last."""
        return await self._back(request, redo=True)

    def who(self, request: Request) -> str:
        """Who asks: a header of the page's, or whom the command line named.

        Raises:
            HTTPException: it is no name.
        """
        who = unquote(request.headers.get("x-annotator", "")) or self.annotator
        if not re.fullmatch(PLAIN_NAME, who):
            raise HTTPException(400, "an annotator's name has up to 64 characters, no slashes, and begins with no dot")
        return who

    async def _back(self, request: Request, redo: bool) -> Response:
        place = await run_in_threadpool(self.service.undo, self.who(request), redo)
        return JSONResponse({"place": None if place is None else list(place)})

    def _file(self, name: str) -> Response:
        entry = self.files.get(name)
        suffix = name[name.rfind(".") :]
        if entry is None or suffix not in KINDS:
            raise HTTPException(404, "there is no such file")
        return Response(entry.read_bytes(), media_type=KINDS[suffix])


def place_of(request: Request) -> tuple[int, int]:
    """The stack and the slice in a request's path."""
    return request.path_params["stack"], request.path_params["slice"]


async def body_of(request: Request, kind: type[B]) -> B:
    """Read a JSON body. Raises HTTPException: it does not fit."""
    try:
        return kind.model_validate_json(await request.body())
    except ValidationError as error:
        raise HTTPException(400, misfit(error)) from None


def misfit(error: ValidationError) -> str:
    """Say what of a body does not fit, without its values."""
    first = error.errors(include_url=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"]) or "the body"
    return f"{where}: {first['msg']}"


def status_of(error: Exception) -> int:
    """The status that tells what went wrong: too much was sent, it does not fit what is known, or it cannot be done."""
    return 413 if isinstance(error, TooMuchError) else 409 if isinstance(error, RefusedError) else 422


def told(name: str, error: Exception) -> Response:
    """Tell what went wrong in one line, under a name."""
    headers = {"connection": "close"} if isinstance(error, TooMuchError) else None
    return JSONResponse({name: str(error)}, status_of(error), headers)


def application(routes: list[BaseRoute]) -> Starlette:
    """Put routes together. What goes wrong and can be mended is said in one line, as JSON ``{"error": …}``."""
    handlers: dict[Any, Any] = {
        HTTPException: _http_error,
        TooMuchError: _refused,
        ClientDisconnect: _gone,
        SammixError: _refused,
        Exception: _broken,
    }
    return Starlette(routes=routes, exception_handlers=handlers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _gone(request: Request, error: Exception) -> Response:
    """Nobody hears it: whoever asked went away within the request."""
    return Response(status_code=400)


async def _refused(request: Request, error: Exception) -> Response:
    return told("error", error)


async def _broken(request: Request, error: Exception) -> Response:
    return JSONResponse({"error": "this went wrong in the server; its terminal says more"}, 500)


def _shape(shape: tuple[int, ...]) -> dict[str, str]:
    return {"x-shape": ",".join(map(str, shape))}
