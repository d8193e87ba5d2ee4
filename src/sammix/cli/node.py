"""``sammix node``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from sammix.cli.options import AllParts, DeviceName, Quiet, leave_cleanly_on_sigterm, smallest_part


def node(
    aet: Annotated[str, typer.Option("--aet", help="This node's AE title.")],
    queue: Annotated[Path, typer.Option("--queue", help="Where series and results lie until they have arrived.")],
    send_to: Annotated[
        str | None, typer.Option("--send-to", metavar="AET@HOST:PORT", help="Send results there by C-STORE.")
    ] = None,
    stow: Annotated[str | None, typer.Option("--stow", metavar="URL", help="Send results there by STOW-RS.")] = None,
    model: Annotated[Path, typer.Option("--model", help="A run's or a model's folder, or a shipped model.")] = Path(
        "liver-ct-lite"
    ),
    mask_format: Annotated[str, typer.Option("--format", help="dicom-seg or rtstruct.")] = "dicom-seg",
    port: Annotated[int, typer.Option(min=0, max=65535, help="To listen on; 0: any that is free.")] = 11112,
    host: Annotated[str, typer.Option(help="The address to listen on.")] = "127.0.0.1",
    allow: Annotated[list[str] | None, typer.Option("--allow", help="An AE title that may send; repeatable.")] = None,
    wait: Annotated[float, typer.Option(min=0.1, help="Seconds of quiet after which a series is complete.")] = 30.0,
    keep: Annotated[float, typer.Option(min=0, help="Hours for which a finished series is kept.")] = 48.0,
    largest_object: Annotated[int, typer.Option(min=1, help="MB; a larger object is refused.")] = 2000,
    largest_series: Annotated[int, typer.Option(min=1, help="MB; what a series has beyond that is refused.")] = 8000,
    all_parts: AllParts = False,
    device: DeviceName = "auto",
    quiet: Quiet = False,
) -> None:
    """A DICOM node: CT series in, their segmentations back.

    Not for clinical use.
    """
    from sammix.errors import ConfigError
    from sammix.files import check_folder, sole_writer
    from sammix.inference.scans import OutputOptions
    from sammix.io.writers.mask_format import check_format
    from sammix.log import say, show_on_terminal
    from sammix.models.card import read_card
    from sammix.models.devices import pick_device
    from sammix.models.saved import load_model, model_sha256
    from sammix.node.receiver import Listening, listening
    from sammix.node.segmenting import Service
    from sammix.node.sender import Peer, Stow
    from sammix.node.series_queue import SeriesQueue

    show_on_terminal(quiet)
    leave_cleanly_on_sigterm()
    how = Listening(aet, port, host, allow or [], largest_object, largest_series)
    if (send_to is None) == (stow is None):
        raise typer.BadParameter("name --send-to or --stow, one of them")
    chosen = check_format(mask_format)
    if chosen == "nifti":
        raise ConfigError("a DICOM node sends DICOM: --format dicom-seg or rtstruct")
    send = Stow(stow).send if stow else Peer.read(str(send_to), aet).send

    with sole_writer(queue, lambda: check_folder(queue)):
        wanted = OutputOptions(
            organ=read_card(model).organ,
            mask_format=chosen,
            smallest_part=smallest_part(all_parts),
            model_sha256=model_sha256(model),
        )
        place = SeriesQueue(queue)
        service = Service(place, load_model(model, pick_device(device)), wanted, send, wait, keep)
        with listening(how, place) as open_port:
            say(f"{aet} listens on {host}:{open_port}")
            service.run(ended=lambda: False)
