"""The routes of the page that need a network, or write something to take away."""

from __future__ import annotations

from collections import Counter
from typing import Any, Literal

from pydantic import Field
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from sammix.data.scan_slices import in_plane
from sammix.label.brain import Brain
from sammix.label.helpfulness import StackState, Suggested, in_order, states_of
from sammix.label.service import RefusedError, Service
from sammix.label.trainings import Trainings
from sammix.label.web import Body, body_of, place_of


class Prompt(Body):
    """What prompts a proposal, in px of the slice."""

    kind: Literal["box", "points", "auto"]
    box: list[float] = Field(default=[], max_length=4)
    points: list[list[float]] = Field(default=[], max_length=100)


class Learned(Body):
    """What is to be learned, and how: as :meth:`sammix.label.trainings.Trainings.learn` has it."""

    kind: Literal["quick", "full"]
    own_only: bool = False
    behind: bool = False
    unasked: bool = False


class Used(Body):
    """A model to use."""

    model: str = Field(max_length=64)


class TakenAway(Body):
    """What is to be written."""

    kind: Literal["dataset", "dicom-seg"]
    own_only: bool = False


class BrainPage:
    """The routes of the page that need more than the store."""

    def __init__(self, service: Service, brain: Brain, trainings: Trainings) -> None:
        self.service, self.brain, self.trainings = service, brain, trainings

    def routes(self) -> list[BaseRoute]:
        """All of them."""
        slice_ = "/api/stacks/{stack:int}/slices/{slice:int}"
        return [
            Route("/api/brain", self.state),
            Route("/api/order", self.order),
            Route("/api/stacks/{stack:int}/looks", self.looks),
            Route(f"{slice_}/proposal", self.proposal, methods=["POST"]),
            Route(f"{slice_}/map", self.map),
            Route("/api/proposals/{name}", self.proposed),
            Route("/api/learn", self.learn, methods=["POST"]),
            Route("/api/learn/stop", self.stop, methods=["POST"]),
            Route("/api/models/use", self.use, methods=["POST"]),
            Route("/api/export", self.export, methods=["POST"]),
        ]

    async def state(self, request: Request) -> Response:
        """What the network is about, and what the last training is."""

        def state() -> dict[str, Any]:
            trained = self.trainings.state()
            return {**self.brain.state(self.trainings.under_way), **trained}

        return JSONResponse(await run_in_threadpool(state))

    async def order(self, request: Request) -> Response:
        """Stacks in the order in which they help, and how far each is."""
        return JSONResponse(await run_in_threadpool(self._order))

    async def looks(self, request: Request) -> Response:
        """What the model says of each slice of a stack."""
        stack = await run_in_threadpool(self.service.opened, request.path_params["stack"])
        said = {name: self.brain.said_of(name) for name in {place[0] for place in stack.places}}
        found = [said[name].get(z, (None, None)) for name, z in stack.places]
        return JSONResponse({"presence": [p for p, _ in found], "doubt": [d for _, d in found]})

    async def proposal(self, request: Request) -> Response:
        """Ask for a proposal; it is fetched by its name."""
        prompt = await body_of(request, Prompt)
        return JSONResponse(await run_in_threadpool(self._propose, *place_of(request), prompt))

    async def proposed(self, request: Request) -> Response:
        """A proposed mask: a byte a pixel, 0 or 1."""
        mask = await run_in_threadpool(self.service.project.masks.read, request.path_params["name"])
        return Response(mask.tobytes(), media_type="application/octet-stream")

    async def map(self, request: Request) -> Response:
        """The map of a slice that was asked for lately: a byte a pixel, in 255ths."""
        cam = self.brain.maps.get(place_of(request))
        if cam is None:
            return Response(status_code=204)
        return Response(cam.tobytes(), media_type="application/octet-stream")

    async def learn(self, request: Request) -> Response:
        """Begin to learn."""
        asked = await body_of(request, Learned)
        wishes = asked.model_dump(include={"own_only", "behind", "unasked"})
        run = await run_in_threadpool(lambda: self.trainings.learn(asked.kind == "quick", **wishes))
        return JSONResponse({"run": run.name})

    async def stop(self, request: Request) -> Response:
        """Stop learning."""
        await run_in_threadpool(self.trainings.stop)
        return JSONResponse({})

    async def use(self, request: Request) -> Response:
        """Take another model into use."""
        used = await body_of(request, Used)
        await run_in_threadpool(self.brain.use, used.model or None)
        return JSONResponse({})

    async def export(self, request: Request) -> Response:
        """Write what was labelled into a new folder within the labelling's own."""
        from sammix.label.exporting import export_dataset, export_segmentations, new_folder

        asked = await body_of(request, TakenAway)

        def write() -> Any:
            folder = new_folder(self.service.project.places.exports)
            try:
                if asked.kind == "dataset":
                    return export_dataset(self.service, folder, asked.own_only)
                return export_segmentations(self.service, folder)
            except Exception:
                if not any(folder.iterdir()):
                    folder.rmdir()
                raise

        done = await run_in_threadpool(write)
        counts = {"scans": done.scans, "slices": done.slices, "masks": done.masks}
        return JSONResponse({"folder": str(done.folder), **counts, "remarks": list(done.remarks)})

    def _propose(self, number: int, slice_: int, prompt: Prompt) -> dict[str, Any]:
        from sammix.label.proposals import Asked

        stack = self.service.slice_of(number, slice_)
        scan, _ = stack.scan_of(slice_)
        if prompt.kind == "box" and len(prompt.box) != 4:
            raise RefusedError("a box has four numbers: x1, y1, x2, y2")
        points = tuple((x, y, int(on)) for x, y, on in (p for p in prompt.points if len(p) == 3))
        if prompt.kind == "points" and (not points or not any(on == 1 for _, _, on in points)):
            raise RefusedError("click on the organ first; a Shift-click says where it is not")
        row, column = in_plane(scan.axial)
        model = self.brain.model
        asked = Asked(stack.hu(slice_), (float(row), float(column)), prompt.kind, tuple(prompt.box), points)
        found = self.brain.propose(asked)
        if found.cam is not None:
            self.brain.keep_map((number, slice_), found.cam)
        name = self.service.issue(found.mask, "accepted", model.name if model else "sam")
        told = {"presence": found.presence, "doubt": found.doubt, "box": found.box, "map": found.cam is not None}
        return {"name": name, **told}

    def order_now(self) -> list[Suggested]:
        """Stacks in the order in which they help."""
        return self._in_order(states_of(self.service, self.brain.said_of))

    def _in_order(self, states: list[StackState]) -> list[Suggested]:
        return in_order(states, taught=self.brain.means.model is not None)

    def _order(self) -> dict[str, Any]:
        states = states_of(self.service, self.brain.said_of)
        order = [{"stack": one.stack, "slice": one.slice, "why": one.why} for one in self._in_order(states)]
        return {"order": order, "progress": {one.number: _progress(one) for one in states if len(one.labels)}}


def _progress(state: StackState) -> dict[str, int]:
    """How far a stack is."""
    counts = Counter(state.labels)
    told = {"count": len(state.labels), "yes": counts[1], "no": counts[0], "open": counts[-1]}
    return {**told, "drawn": sum(state.drawn)}
