"""``sammix predict``."""

from __future__ import annotations

from functools import partial
from glob import has_magic
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sammix.cli.options import (
    AllParts,
    AtOnce,
    BatchSize,
    DeviceName,
    EverySlice,
    Overwrite,
    Quiet,
    Scheduler,
    SeriesUid,
    Workers,
    engine_of,
    leave_cleanly_on_sigterm,
    smallest_part,
)

if TYPE_CHECKING:
    from sammix.networks.interface import Network


def _load_in_worker(model: Path, sha256: str, device: str) -> Network:
    from sammix.cluster.share import take_gpu
    from sammix.errors import WeightsError
    from sammix.models.devices import pick_device
    from sammix.models.saved import load_model, model_sha256

    if model_sha256(model) != sha256:
        raise WeightsError(f"{model}: a worker has another model there; all must see the same one")
    take_gpu(device)
    return load_model(model, pick_device(device))


def _model_and_inputs(paths: list[str], fast: bool) -> tuple[Path, list[Path | str]]:
    """Tell the model from the scans.

    Raises:
        BadParameter: no scan is named, or the model is named in the wrong place, or twice. InputError: the first path
            is neither a model nor anything that can be read.
    """
    from sammix.io.readers.formats import check_readable
    from sammix.io.remote import is_url
    from sammix.models.card import DEFAULT_MODEL, FAST_MODEL, close_to_shipped, is_model

    first, places = Path(paths[0]), [path if is_url(path) else Path(path) for path in paths]
    if is_model(first):
        if fast:
            raise typer.BadParameter(f"--fast takes the model {FAST_MODEL}; leave out {first}, or --fast")
        if not places[1:]:
            raise typer.BadParameter("name a scan, or several, after the model")
        return first, places[1:]
    if not (has_magic(paths[0]) or is_url(paths[0])):
        if later := next((path for path in paths[1:] if is_model(Path(path))), None):
            raise typer.BadParameter(f"the model comes first: sammix predict {later} {first} …")
        if not first.exists() and (meant := close_to_shipped(first)):
            raise typer.BadParameter(f"{first} is no file, no folder and no model; did you mean {meant}?")
        check_readable(first)  # it may be meant as a model: what is missing there is no input like others
    return Path(FAST_MODEL if fast else DEFAULT_MODEL), places


def predict(
    paths: Annotated[
        list[str],
        typer.Argument(
            help="A model, or none for liver-ct-lite, which comes with sammix; then scans: NIfTI files, "
            "DICOM folders, pictures, zip archives, folders of those, s3://… (extra s3).",
            metavar="[MODEL] INPUT",
        ),
    ],
    out: Annotated[str, typer.Option("--out", help="Where to write: a folder that is new or empty, or s3://…")],
    mask_format: Annotated[
        str, typer.Option("--format", help="nifti, dicom-seg or rtstruct; the latter two need scans in DICOM.")
    ] = "nifti",
    preview: Annotated[
        bool, typer.Option("--preview", help="Write a picture for each scan: the slices to look at, with map and mask.")
    ] = False,
    all_parts: AllParts = False,
    every_slice: EverySlice = False,
    fast: Annotated[
        bool, typer.Option("--fast", help="Take liver-ct-fast, a small student of liver-ct-lite, as the model.")
    ] = False,
    series: SeriesUid = None,
    skip_done: Annotated[
        bool,
        typer.Option(
            "--skip-done", help="Do only what failed or is missing in --out; several processes may do so at once."
        ),
    ] = False,
    overwrite: Overwrite = False,
    shard: Annotated[
        str | None,
        typer.Option(metavar="K/N", help="Do the K-th of N parts; other processes do the others into the same --out."),
    ] = None,
    workers: Workers = 0,
    scheduler: Scheduler = None,
    device: DeviceName = "auto",
    batch_size: BatchSize = 4,
    at_once: AtOnce = 1,
    quiet: Quiet = False,
) -> None:
    """Write a mask for each scan, and a page to look them over."""
    from sammix.inference.manifest import PAGE
    from sammix.inference.scans import OutputOptions, PredictOptions
    from sammix.inference.scans import predict as predict_scans
    from sammix.inference.shards import Shard
    from sammix.io.remote import is_url
    from sammix.io.writers.mask_format import check_format
    from sammix.log import say, show_on_terminal
    from sammix.models.card import read_card
    from sammix.models.devices import pick_device
    from sammix.models.saved import load_model, model_sha256
    from sammix.report.predictions import draw_index, draw_scan
    from sammix.report.preview import write_preview

    show_on_terminal(quiet)
    if skip_done and overwrite:
        raise typer.BadParameter("--skip-done keeps what --overwrite would replace; say one of them")
    if shard and overwrite:
        raise typer.BadParameter("--shard works beside other shards, whose masks --overwrite would not keep")
    if at_once > 1 and (workers or scheduler):
        raise typer.BadParameter("--at-once is for one process; workers, of --workers or --scheduler, do a scan each")
    part = None if shard is None else Shard.read(shard)
    leave_cleanly_on_sigterm()
    engine = engine_of(workers, scheduler)
    model, inputs = _model_and_inputs(paths, fast)
    card = read_card(model)
    say(f"model: {model}" + (f", version {card.version}" if card.version else ""))
    sha256 = model_sha256(model)
    if engine:  # other processes have other working directories
        load = partial(_load_in_worker, model.absolute() if model.exists() else model, sha256, device)
        inputs = [path.absolute() if isinstance(path, Path) else path for path in inputs]
    else:
        load = partial(load_model, model, pick_device(device))
    failed = predict_scans(
        load,
        inputs,
        out if is_url(out) else Path(out).absolute() if engine else Path(out),
        OutputOptions(
            organ=card.organ,
            mask_format=check_format(mask_format),
            preview=write_preview if preview else None,
            page=draw_scan,
            index=draw_index,
            smallest_part=smallest_part(all_parts),
            every_slice=every_slice,
            model=card.name if engine else None,
            model_sha256=sha256,
            quality=card.quality,
        ),
        PredictOptions(
            series=series,
            overwrite=overwrite,
            skip_done=skip_done,
            batch_size=batch_size,
            at_once=at_once,
            shard=part,
            engine=engine,
        ),
    )
    print(f"{out.rstrip('/')}/{PAGE}" if is_url(out) else Path(out) / PAGE)
    if failed:
        raise typer.Exit(1)
