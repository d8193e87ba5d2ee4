"""The training, as MONAI Label's protocol tells of it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from sammix.label.service import RefusedError
from sammix.label.trainings import Trainings

TRAINERS = {"quick": "a quick pass on what is labelled", "full": "the whole of sammix fit"}

ENDED_WITHIN = 30.0
"""Seconds within which a training that is stopped has ended: the next one is often asked for at once."""


class SlicerTraining:
    """Starts, stops and tells of trainings.

    Args:
        trainings: of the page; one runs at a time.
    """

    def __init__(self, trainings: Trainings) -> None:
        self.trainings = trainings
        self.trainers = {name: {"description": words} for name, words in TRAINERS.items()}

    def routes(self) -> list[tuple[str, str, Callable[[Request], Any]]]:
        """Method, path, and who answers."""
        return [
            ("GET", "/train/", self.status),
            ("POST", "/train/", self.start_all),
            ("POST", "/train/{model}", self.start),
            ("DELETE", "/train/", self.stop),
        ]

    async def status(self, request: Request) -> Response:
        """The last training; 404 before any, and where one is asked for that runs and none does."""
        task = self.task()
        running = request.query_params.get("check_if_running", "false").lower() in ("true", "1")
        if task is None or (running and task["status"] != "RUNNING"):
            raise HTTPException(404, "No Train Tasks are currently Running" if running else "No Train Tasks Found")
        return JSONResponse(task)

    async def start(self, request: Request) -> Response:
        """Begin to train; 429 while one runs."""
        name = request.path_params["model"]
        if name not in TRAINERS:
            raise HTTPException(404, f"there is no such trainer; there are {', '.join(TRAINERS)}")
        return JSONResponse(await run_in_threadpool(self._start, name))

    async def start_all(self, request: Request) -> Response:
        """Begin a quick pass. There is one model, and so one training at a time."""
        task = await run_in_threadpool(self._start, "quick")
        told = {"result": task, "detail": None}
        return JSONResponse({"quick": told, "full": {"result": None, "detail": "one training at a time"}})

    async def stop(self, request: Request) -> Response:
        """Stop a training, and wait until it has ended; null where none runs."""
        return JSONResponse(await run_in_threadpool(self._stop))

    def task(self) -> dict[str, Any] | None:
        """The last training; None before any."""
        training = self.trainings.last
        if training is None:
            return None
        status = "DONE" if training.report else "STOPPED" if training.stopped else "ERROR"
        says = training.words if training.running else self.trainings.says
        task = {
            "id": training.run,
            "status": "RUNNING" if training.running else status,
            "request": {"model": "quick" if training.quick else "full"},
            "start_ts": training.began,
            "details": [says or training.run],
        }
        return task if training.running else {**task, "end_ts": training.ended}

    def stats(self) -> dict[str, dict[str, Any]]:
        """How far the last training is, and the best that it had on held-out answers."""
        training = self.trainings.last
        if training is None:
            return {}
        scores = [one["val_dice"] for one in training.epochs if one["val_dice"] is not None]
        told = {"best_metric": max(scores, default=0.0), "epoch": len(training.epochs)}
        told["total_epochs"] = max(training.total, len(training.epochs), 1)
        return {"quick" if training.quick else "full": told}

    def _start(self, name: str) -> dict[str, Any]:
        try:
            self.trainings.learn(quick=name == "quick")
        except RefusedError as error:
            raise HTTPException(429, str(error)) from error
        task = self.task()
        assert task is not None
        return task

    def _stop(self) -> dict[str, Any] | None:
        try:
            self.trainings.stop()
        except RefusedError:
            return None
        patience = time.monotonic() + ENDED_WITHIN
        while self.trainings.last and self.trainings.last.running and time.monotonic() < patience:
            time.sleep(0.05)
        return self.task()
