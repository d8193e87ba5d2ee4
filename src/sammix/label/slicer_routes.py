"""MONAI Label's protocol, as 3D Slicer's module of that name speaks it (version 0.8.5).

What is refused is told as MONAI Label tells it: ``{"detail": why}``. The module follows no redirect, so every path is
as it writes it. ``slicer_training`` has the routes of the training.
"""

from __future__ import annotations

import json
import re
import secrets
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractContextManager, asynccontextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, Field, ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sammix import __version__
from sammix.errors import SammixError
from sammix.files import PLAIN_NAME
from sammix.label.brain import Brain
from sammix.label.brain_routes import BrainPage
from sammix.label.guard import TooMuchError
from sammix.label.service import Service
from sammix.label.slicer_masks import Segments, read_submitted
from sammix.label.slicer_scans import ONE_FILE, NoSuchScanError, SlicerScans
from sammix.label.slicer_training import SlicerTraining
from sammix.label.trainings import Trainings
from sammix.label.web import misfit, told

OPEN_PATHS = ("/auth/", "/info/", "/activelearning/", "/datastore/", "/infer/", "/train/")
"""What needs no token: 3D Slicer's module sends none."""

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")

MODEL, STRATEGY = "sammix", "most helpful"

SENT_BY_DEFAULT = "user-xyz"
"""How the module calls its user who has set no name: then the server's annotator counts."""

B = TypeVar("B", bound=BaseModel)


class LabelInfo(BaseModel):
    """A segment of a label map."""

    name: str = Field(max_length=200)
    idx: int = Field(ge=0, le=255)


class LabelParams(BaseModel):
    """What comes with a label. ``complete`` is for scripts: it says what the third segment says."""

    label_info: list[LabelInfo] = Field(default=[], max_length=255)
    client_id: str | None = Field(default=None, max_length=64)
    complete: bool = False


class InferParams(BaseModel):
    """What comes with a wish for a mask; whatever else is sent has no effect here."""

    result_extension: str = Field(default=".nii.gz", max_length=16)


class NextParams(BaseModel):
    """What comes with a wish for the next scan."""

    client_id: str | None = None


class SlicerPage:
    """The eleven routes.

    Args:
        service, brain, trainings: as the page has them.
        annotator: who labels where Slicer does not say it.
    """

    def __init__(self, service: Service, brain: Brain, trainings: Trainings, annotator: str) -> None:
        self.service, self.brain, self.annotator = service, brain, annotator
        self.scans, self.page = SlicerScans(service), BrainPage(service, brain, trainings)
        self.segments, self.training = Segments(service.project.organ), SlicerTraining(trainings)
        self._offered: Counter[int] = Counter()
        self._offering = threading.Lock()

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        routes: list[tuple[str, str, Callable[[Request], Any]]] = [
            ("GET", "/auth/", self.auth),
            ("GET", "/info/", self.info),
            ("POST", "/activelearning/{strategy}", self.next),
            ("GET", "/datastore/", self.datastore),
            ("PUT", "/datastore/", self.take),
            ("PUT", "/datastore/image", self.take),
            ("GET", "/datastore/image", self.image),
            ("GET", "/datastore/label", self.label),
            ("PUT", "/datastore/label", self.submit),
            ("POST", "/infer/{model}", self.infer),
        ]
        return [
            *(Route(path, _told(answer), methods=[method]) for method, path, answer in routes),
            *(Route(path, _told(answer), methods=[method]) for method, path, answer in self.training.routes()),
            *(Route(f"{path}{{rest:path}}", _unknown, methods=list(METHODS)) for path in OPEN_PATHS),
        ]

    async def auth(self, request: Request) -> Response:
        """Nobody logs in: whoever may use this machine may ask."""
        return JSONResponse({"enabled": False, "client_id": None, "realm": None})

    async def info(self, request: Request) -> Response:
        """What there is. A model is named once one has learned."""
        organ, names = self.service.project.organ, list(self.segments.names)
        model = self.brain.model
        described = {
            "type": "segmentation",
            "labels": {organ: 1},
            "dimension": 3,
            "description": f"{organ}: {model.name}" if model else "",
        }
        return JSONResponse(
            {
                "name": f"sammix {organ}",
                "description": f"Labels the {organ}. One stroke of “{names[1]}” says no for its slice.",
                "version": __version__,
                "labels": names,
                "models": {MODEL: described} if model else {},
                "trainers": self.training.trainers,
                "strategies": {STRATEGY: {"description": "the scan that helps most, as in the page's list"}},
                "scoring": {},
                "train_stats": self.training.stats(),
                "datastore": await run_in_threadpool(self._status),
            }
        )

    async def next(self, request: Request) -> Response:
        """Offer a scan, ``{}`` where none is left. What was offered comes again when all others were."""
        await body_of(request, NextParams)
        return JSONResponse(await run_in_threadpool(self._next))

    async def datastore(self, request: Request) -> Response:
        """Say which scans there are, and which are labelled."""
        output = request.query_params.get("output") or "stats"
        if output not in ("stats", "all"):
            raise HTTPException(422, "output is “stats” or “all”")
        return JSONResponse(await run_in_threadpool(self._status if output == "stats" else self._objects))

    async def image(self, request: Request) -> Response:
        """Send a scan as a file."""
        number = self.scans.number_of(_asked(request, "image"))
        return await sent(self.scans.written(number), self.scans.file_name(number))

    async def label(self, request: Request) -> Response:
        """Send what is drawn of a scan now, whichever tag is asked for."""
        id_ = _asked(request, "label")
        return await sent(self.scans.label_file(self.scans.number_of(id_)), f"{_plain(id_)}.nii.gz")

    async def take(self, request: Request) -> Response:
        """Keep a scan of Slicer's own."""
        async with received(request, "file") as (_, file):
            name = request.query_params.get("image") or re.split(r"[/\\]", file.name)[-1].partition(".")[0]
            id_ = await run_in_threadpool(self.scans.take, name, file)
        self.brain.look_anew()
        return JSONResponse({"image": id_})

    async def submit(self, request: Request) -> Response:
        """Keep what was drawn in Slicer."""
        id_ = _asked(request, "image")
        number = self.scans.number_of(id_)
        async with received(request, "label") as (told, file):
            params = parsed(LabelParams, told)
            done = await run_in_threadpool(self._submit, number, file, params)
        return JSONResponse({"image": id_, "label": id_, "sammix": done})

    async def infer(self, request: Request) -> Response:
        """Let the model in use segment a scan."""
        if request.path_params["model"] != MODEL:
            raise HTTPException(404, "there is no such model")
        number = self.scans.number_of(_asked(request, "image"))
        async with received(request, None) as (told, _):
            params = parsed(InferParams, told)
        boundary, body = await run_in_threadpool(self._segmented, number, params.result_extension)
        return Response(body, media_type=f"multipart/form-data; boundary={boundary}")

    def _segmented(self, number: int, suffix: str) -> tuple[str, bytes]:
        case = self.service.opened(number).stack.cases[0]
        found = self.brain.segment(case)
        told = {"label_names": {self.service.project.organ: 1}, "model": found.model}
        with self.scans.proposal_file(number, found, suffix) as path:
            name = f"{_plain(self.scans.id_of(number))}{''.join(path.suffixes)}"
            return multipart(told, name, path.read_bytes())

    def _submit(self, number: int, file: Path, params: LabelParams) -> dict[str, Any]:
        who = params.client_id or ""
        if who == SENT_BY_DEFAULT or not re.fullmatch(PLAIN_NAME, who):
            who = self.annotator
        numbers = {one.name: one.idx for one in params.label_info}
        drawn = read_submitted(file, self.scans.volume(number), self.segments, numbers, params.complete)
        counts = self.service.submit(who, number, drawn, self.scans.basis(number))
        return {"slices": counts, "annotator": who, "remarks": list(drawn.remarks)}

    def _next(self) -> dict[str, Any]:
        whole = dict(self.scans.whole())
        with self._offering:
            there = [one for one in self.page.order_now() if one.stack in whole and one.rank > 0]
            if not there:
                return {}
            best = min(there, key=lambda one: self._offered[one.stack])  # the first of those offered least
            self._offered[best.stack] += 1
        path, name = self.scans.own_file(best.stack), self.scans.file_name(best.stack)
        told = {"id": self.scans.id_of(best.stack), "name": name, "why": best.why}
        return told if path is None else {**told, "path": str(path)}

    def _status(self) -> dict[str, Any]:
        labelled = set(self.service.project.record.scans())
        whole = self.scans.whole()
        done = sum(stack.cases[0].name in labelled for _, stack in whole)
        return {"total": len(whole), "completed": done, "label_tags": {"final": done}}

    def _objects(self) -> dict[str, Any]:
        objects = {}
        organ, record = self.service.project.organ, self.service.project.record
        for number, stack in self.scans.whole():
            case, name = stack.cases[0], self.scans.file_name(number)
            drawn = case.mask is not None or any(one.mask for one in record.current(case.name).values())
            label = {"ext": ".nii.gz", "info": {"params": {"label_names": {organ: 1}}}}
            objects[self.scans.id_of(number)] = {
                "image": {"ext": name[name.index(".") :], "info": {"name": name}},
                "labels": {"original": label, "final": label} if drawn else {},
            }
        return {"name": self.service.collection.dataset.name, "description": "", "objects": objects}


@asynccontextmanager
async def received(request: Request, field: str | None) -> AsyncIterator[tuple[str, Path]]:
    """Read a form: its ``params``, and one file, which is gone afterwards.

    Of the file's name, which is a whole path on the other side, the suffix alone is used.

    Args:
        field: the file's; None: there is none.

    Raises:
        HTTPException: something is missing, or the disk is full.
    """
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        raise HTTPException(422, "send a form: multipart/form-data")
    try:
        async with request.form(max_files=2, max_fields=8) as form:
            told = form.get("params") or "{}"
            file = None if field is None else form.get(field)
            if not isinstance(told, str) or (field is not None and not isinstance(file, UploadFile)):
                raise HTTPException(422, f"the form lacks its field {field or 'params'}")
            with TemporaryDirectory(prefix="sammix-") as folder:
                path = Path(folder) / "none"
                if isinstance(file, UploadFile):
                    path = Path(folder) / _safe_file_name(file.filename or "")
                    await run_in_threadpool(_copy, file, path)
                yield told, path
    except OSError as error:
        raise HTTPException(507, f"this cannot be received ({error.strerror})") from error


async def sent(file: AbstractContextManager[Path | None], name: str) -> Response:
    """Answer with a file. Raises HTTPException: there is none."""
    path = await run_in_threadpool(file.__enter__)
    if path is None:
        file.__exit__(None, None, None)
        raise HTTPException(404, "nothing is drawn of this scan")

    class Sent(FileResponse):
        async def __call__(self, *given: Any) -> None:
            try:
                await super().__call__(*given)
            finally:
                file.__exit__(None, None, None)

    return Sent(path, filename=name, media_type="application/octet-stream")


def multipart(told: dict[str, Any], name: str, content: bytes) -> tuple[str, bytes]:
    """Make a body of ``params`` and ``image``; return its boundary and its bytes."""
    boundary = f"sammix-{secrets.token_hex(16)}"
    head = "Content-Disposition: form-data; name="
    parts = (
        f'--{boundary}\r\n{head}"params"\r\nContent-Type: application/json\r\n\r\n{json.dumps(told)}\r\n'
        f'--{boundary}\r\n{head}"image"; filename="{name}"\r\nContent-Type: application/octet-stream\r\n\r\n'
    )
    return boundary, parts.encode() + content + f"\r\n--{boundary}--\r\n".encode()


def parsed(kind: type[B], text: str | bytes) -> B:
    """Read JSON. Raises HTTPException: it does not fit."""
    try:
        return kind.model_validate_json(text or b"{}")
    except ValidationError as error:
        raise HTTPException(422, misfit(error)) from None


async def body_of(request: Request, kind: type[B]) -> B:
    """Read a JSON body, which may be missing or null."""
    text = await request.body()
    return parsed(kind, b"{}" if text.strip() in (b"", b"null") else text)


def _asked(request: Request, name: Literal["image", "label"]) -> str:
    value = request.query_params.get(name)
    if not value:
        raise HTTPException(422, f"say which: ?{name}=")
    return value


def _safe_file_name(name: str) -> str:
    """A name of our own with the suffix of the one that was sent."""
    known = (".seg.nrrd", ".nii.gz", *ONE_FILE)
    suffix = next((end for end in known if name.lower().endswith(end)), None)
    if suffix is None:
        raise HTTPException(422, f"send a file of one of these kinds: {', '.join(known)}")
    return f"sent{suffix}"


def _plain(name: str) -> str:
    return re.sub(r"[^A-Za-z0-9.-]", "_", name)


def _copy(file: UploadFile, path: Path) -> None:
    with path.open("wb") as target:
        while piece := file.file.read(2**20):
            target.write(piece)


async def _unknown(request: Request) -> Response:
    return JSONResponse({"detail": "Not Found"}, 404)


def _told(answer: Callable[[Request], Any]) -> Callable[[Request], Any]:
    """Let a route tell what goes wrong as MONAI Label does."""

    async def answered(request: Request) -> Response:
        try:
            response: Response = await answer(request)
            return response
        except HTTPException as error:
            return JSONResponse({"detail": error.detail}, error.status_code)
        except NoSuchScanError as error:
            return JSONResponse({"detail": str(error)}, 404)
        except (TooMuchError, SammixError) as error:
            return told("detail", error)

    return answered
