"""The command line: a thin function a verb. Nothing heavy is imported before a verb needs it."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated

import typer

from sammix import __version__

INTERRUPTED = 130
"""The exit code that typer makes of Ctrl-C, as shells do."""

app = typer.Typer(
    help="Organ masks in CT from yes/no labels and a handful of annotated slices. Not for clinical use.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)
weights_app = typer.Typer(help="Pretrained weights: list, fetch, import, verify.", no_args_is_help=True)
app.add_typer(weights_app, name="weights", rich_help_panel=None)

Data = Annotated[Path, typer.Argument(help="A prepared store (.h5) or a folder in a supported layout.", metavar="DATA")]
Model = Annotated[
    Path, typer.Argument(help="A run's folder, a saved model's folder or a shipped model's name.", metavar="MODEL")
]
Out = Annotated[Path, typer.Option("--out", help="Where to write; must not exist yet, or be empty.")]
Settings = Annotated[
    list[str] | None, typer.Option("--set", metavar="SECTION.KEY=VALUE", help="Change a setting; may be repeated.")
]
Preset = Annotated[str, typer.Option(help="lite, paper, tiny, or a baseline's: `sammix info models` lists them.")]
DeviceName = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or mps.")]
BatchSize = Annotated[int, typer.Option(min=1, help="Slices at a time.")]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Show warnings and errors only.")]
SeriesUid = Annotated[
    str | None, typer.Option("--series", metavar="UID", help="The SeriesInstanceUID of a DICOM series to take alone.")
]
AllParts = Annotated[
    bool, typer.Option("--all-parts", help="Keep parts of a scan's mask below a tenth of its largest, too.")
]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Write into a folder that holds something already.")]


@app.callback(invoke_without_command=True)
def _root(version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False) -> None:
    if version:
        print(f"sammix {__version__}")
        raise typer.Exit


@app.command()
def demo(
    out: Annotated[Path, typer.Option("--out", help="Where to work.")] = Path("demo"),
    seed: Annotated[int, typer.Option(help="Other patients, another draw.")] = 0,
    quiet: Quiet = False,
) -> None:
    """Make synthetic patients, fit on a few annotated slices, predict, evaluate in two hospitals, report."""
    from sammix.demo.tour import run_demo
    from sammix.log import be_quiet

    be_quiet(quiet)
    run_demo(out, seed)


@app.command()
def prepare(
    source: Annotated[Path, typer.Argument(help="A folder in any supported layout.", metavar="SOURCE")],
    out: Annotated[Path, typer.Option("--out", help="The store to write (.h5).")],
    preset: Preset = "lite",
    settings: Settings = None,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Window, resize and store all slices of a data set once, in one HDF5 file."""
    from sammix.config import load_preset
    from sammix.data.loading import prepare as prepare_store
    from sammix.log import be_quiet

    be_quiet(quiet)
    count = prepare_store(source, out, load_preset(preset, settings or []).data, overwrite=overwrite)
    print(f"{count} slices in {out}")


@app.command()
def fit(
    data: Data,
    out: Out,
    labels: Annotated[
        str, typer.Option(help="How many annotated slices to use, or 'all' for full supervision.")
    ] = "50",
    preset: Preset = "lite",
    seed: Annotated[int, typer.Option(help="Decides the draw of slices and all chance.")] = 0,
    resume: Annotated[bool, typer.Option("--resume", help="Continue an interrupted run.")] = False,
    settings: Settings = None,
    start: Annotated[
        Path | None, typer.Option("--from", help="Go on from a trained model: a folder, or liver-ct-lite.")
    ] = None,
    cache: Annotated[
        Path | None, typer.Option(help="Keep the frozen stages' features here, for other runs on the same data.")
    ] = None,
    device: DeviceName = "auto",
    devices: Annotated[int, typer.Option(min=1, help="How many GPUs.")] = 1,
    quiet: Quiet = False,
) -> None:
    """Train on yes/no labels for all slices and masks for a few."""
    from sammix.config import load_preset
    from sammix.log import be_quiet
    from sammix.training.fitting import fit as fit_model

    be_quiet(quiet)
    if resume and settings:
        raise typer.BadParameter("a resumed run keeps its settings; --set does not go with --resume")
    model = fit_model(
        data,
        load_preset(preset, settings or []),
        out,
        labels=_label_count(labels),
        seed=seed,
        resume=resume,
        start=start,
        cache=cache,
        device=device,
        devices=devices,
    )
    print(model)


@app.command()
def predict(
    paths: Annotated[
        list[Path],
        typer.Argument(
            help="A model (liver-ct-lite, which comes with sammix, where none is named), then NIfTI files, "
            "DICOM folders, pictures, zip archives, folders of those.",
            metavar="[MODEL] INPUT…",
        ),
    ],
    out: Out,
    mask_format: Annotated[
        str, typer.Option("--format", help="nifti, dicom-seg or rtstruct; the latter need DICOM.")
    ] = "nifti",
    preview: Annotated[bool, typer.Option("--preview", help="A picture for each scan: CT, map, box, mask.")] = False,
    all_parts: AllParts = False,
    series: SeriesUid = None,
    skip_done: Annotated[bool, typer.Option("--skip-done", help="Do only what failed or is missing in --out.")] = False,
    overwrite: Overwrite = False,
    device: DeviceName = "auto",
    batch_size: BatchSize = 4,
    quiet: Quiet = False,
) -> None:
    """Write a mask for each scan, on the scan's own grid, and statistics of them all."""
    from sammix.inference.scans import OutputOptions
    from sammix.inference.scans import predict as predict_scans
    from sammix.io.writers.mask_format import check_format
    from sammix.log import be_quiet, say
    from sammix.models.devices import pick_device
    from sammix.models.saved import DEFAULT_MODEL, is_model, load_model, read_card

    be_quiet(quiet)
    if skip_done and overwrite:
        raise typer.BadParameter("--skip-done keeps what --overwrite would replace; say one of them")
    model, *inputs = paths if is_model(paths[0]) else [Path(DEFAULT_MODEL), *paths]
    say(f"model: {model}")
    if not inputs:
        raise typer.BadParameter("name a scan, or several, after the model")
    card = read_card(model)
    failed = predict_scans(
        lambda: load_model(model, pick_device(device)),
        inputs,
        out,
        OutputOptions(card.organ, check_format(mask_format), preview, _smallest_part(all_parts)),
        series=series,
        overwrite=overwrite,
        skip_done=skip_done,
        batch_size=batch_size,
    )
    print(out)
    if failed:
        raise typer.Exit(1)


@app.command()
def evaluate(
    model: Model,
    data: Data,
    out: Out,
    split: Annotated[
        str | None, typer.Option(help="train, val, test or all; the default is test where there are splits.")
    ] = None,
    middle_fraction: Annotated[
        float | None,
        typer.Option(min=0.01, max=1, help="Central share of each scan's slices; the model's own by default."),
    ] = None,
    all_parts: AllParts = False,
    overwrite: Overwrite = False,
    device: DeviceName = "auto",
    batch_size: BatchSize = 4,
    quiet: Quiet = False,
) -> None:
    """Measure a model on data with masks: metrics.json, a row a slice, pictures, report.html."""
    from sammix.data.loading import open_for_evaluation
    from sammix.evaluation.protocol import evaluate as evaluate_model
    from sammix.files import check_output
    from sammix.log import be_quiet
    from sammix.models.devices import pick_device
    from sammix.models.saved import load_model, read_card

    be_quiet(quiet)
    card = read_card(model)
    found = open_for_evaluation(data, card)
    check_output(out, overwrite)
    metrics = evaluate_model(
        load_model(model, pick_device(device)),
        found,
        out,
        split,
        middle_fraction=middle_fraction or card.config.data.middle_fraction,
        batch_size=batch_size,
        smallest_part=_smallest_part(all_parts),
        overwrite=overwrite,
    )
    print(out / "report.html")
    if metrics["failures"]:
        raise typer.Exit(1)


@app.command()
def suggest(
    data: Data,
    model: Annotated[Path, typer.Option("--model", help="Whose doubt counts: a run or a model.")],
    out: Out,
    count: Annotated[int, typer.Option("-n", min=1, help="How many slices.")] = 10,
    device: DeviceName = "auto",
    batch_size: BatchSize = 4,
    quiet: Quiet = False,
) -> None:
    """Name the unannotated slices that a model doubts most, with a picture of each."""
    from sammix.data.loading import load_table
    from sammix.inference.suggestions import suggest as suggest_slices
    from sammix.log import be_quiet
    from sammix.models.devices import pick_device
    from sammix.models.saved import load_model, read_card

    be_quiet(quiet)
    table = load_table(data, read_card(model).data_config())
    for one in suggest_slices(load_model(model, pick_device(device)), table, count, out, batch_size=batch_size):
        print(f"{one.doubt:.2f}  {one.case}  slice {one.slice}")
    print(out / "suggestions.png")


@app.command()
def reproduce(
    out: Annotated[Path, typer.Option("--out", help="The grid's folder; an earlier grid in it is continued.")],
    data: Annotated[
        Path | None, typer.Argument(help="In-domain data, as for fit; without it, synthetic patients.", metavar="DATA")
    ] = None,
    across: Annotated[
        list[Path] | None, typer.Option("--cross", help="Data of other hospitals; may be repeated.")
    ] = None,
    methods: Annotated[str, typer.Option(help="Separated by commas; all the usual ones by default.")] = "",
    labels: Annotated[
        str, typer.Option(help="Numbers of annotated slices or 'all', separated by commas [5,50,100].")
    ] = "",
    seeds: Annotated[int | None, typer.Option(min=1, help="How many seeds, from 0 on [5; with --small 1].")] = None,
    small: Annotated[bool, typer.Option("--small", help="Fewer epochs: for a night on two CPU cores.")] = False,
    smoke: Annotated[bool, typer.Option("--smoke", help="Toy networks, a minute in all: shows that it runs.")] = False,
    split: Annotated[str | None, typer.Option(help="A named split of a public data set: paper-v1.")] = None,
    settings: Settings = None,
    jobs: Annotated[int, typer.Option("--jobs", min=1, help="How many jobs at a time.")] = 1,
    device: DeviceName = "auto",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Prepare data and list the jobs; train nothing.")] = False,
    quiet: Quiet = False,
) -> None:
    """Train and compare the paper's methods: its two tables and its figures, from one resumable grid."""
    from sammix.log import be_quiet
    from sammix.models.devices import pick_device
    from sammix.reproduce.paper import reproduce as run_reproduction
    from sammix.reproduce.plan import FULL, SMALL, SMOKE

    be_quiet(quiet)
    pick_device(device)
    if small and smoke:
        raise typer.BadParameter("--small and --smoke do not go together")
    failed = run_reproduction(
        data,
        out,
        across=across or [],
        methods=[name.strip() for name in methods.split(",") if name.strip()],
        labels=_label_counts(labels),
        seeds=seeds,
        size=SMOKE if smoke else SMALL if small else FULL,
        settings=settings or [],
        split=split,
        workers=jobs,
        device=device,
        dry_run=dry_run,
    )
    if failed:
        raise typer.Exit(1)


@app.command()
def report(
    runs: Annotated[list[Path], typer.Argument(help="Folders that `sammix evaluate` wrote.", metavar="RUN…")],
    out: Annotated[Path, typer.Option("--out", help="The page to write (.html).")],
) -> None:
    """Compare several evaluations on one page."""
    from sammix.report.compare import compare_report

    compare_report(runs, out)
    print(out)


@app.command()
def info(
    what: Annotated[
        str, typer.Argument(help="A file or folder, or `models` for parameter counts.", metavar="PATH|models")
    ],
    series: SeriesUid = None,
) -> None:
    """Tell what a scan or a data set is and what would be done with it, or how large the networks are."""
    if what == "models":
        from sammix.networks.counts import describe_models

        print(describe_models())
    else:
        from sammix.data.description import describe_path

        print(describe_path(Path(what), series))


@weights_app.command("list")
def weights_list() -> None:
    """Show the known weights and whether they are installed."""
    from sammix.models import pretrained

    for item in pretrained.listing():
        entry = item.weights
        print(f"{entry.name:14}{item.path or 'not here: sammix weights fetch ' + entry.name}")
        print(f"{'':14}{entry.description}; {entry.licence}")


@weights_app.command("fetch")
def weights_fetch(name: Annotated[str, typer.Argument(help="Such as lite-medsam.")], quiet: Quiet = False) -> None:
    """Download weights, resume a broken download, check the SHA-256."""
    from sammix.models import pretrained

    print(pretrained.fetch(name, progress=not quiet))


@weights_app.command("import")
def weights_import(
    name: Annotated[str, typer.Argument(help="Such as sam-vit-b.")],
    file: Annotated[Path, typer.Argument(help="A file you have.")],
) -> None:
    """Install weights from a file you bring."""
    from sammix.models import pretrained

    print(pretrained.import_file(name, file))


@weights_app.command("verify")
def weights_verify() -> None:
    """Check installed weights against their SHA-256."""
    from sammix.models import pretrained

    states = pretrained.verify()
    for name, state in states:
        print(f"{name}: {state}")
    if "damaged" in {state for _, state in states}:
        raise typer.Exit(1)


def main() -> None:
    """Run the command line: one clear line and exit code 2 for whatever the user can mend."""
    from sammix.errors import SammixError
    from sammix.log import on_terminal

    # OpenMP's threads spin while they wait for each other. On a machine that is busy with something else as well
    # that costs ten times the work itself; sleeping costs nothing measurable on an idle one.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    try:
        with on_terminal():
            app()
    except SammixError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except OSError as error:  # a disk that is full, a folder without permission
        print(f"error: {error.filename or 'a file'}: {error.strerror or error}", file=sys.stderr)
        sys.exit(2)
    except SystemExit as leave:
        if leave.code == INTERRUPTED:
            print("interrupted; what was finished is whole", file=sys.stderr)
        raise


def _smallest_part(all_parts: bool) -> float:
    """What ``--all-parts`` means."""
    from sammix.inference.assemble import SMALLEST_PART

    return 0 if all_parts else SMALLEST_PART


def _label_counts(text: str) -> list[int | None]:
    words = [word.strip() for word in text.split(",") if word.strip()]
    if not all(word == "all" or (word.isdigit() and int(word) > 0) for word in words):
        raise typer.BadParameter(f"--labels takes numbers above 0 or 'all', separated by commas, not '{text}'")
    return [_label_count(word) for word in words]


def _label_count(text: str) -> int | None:
    if text == "all":
        return None
    if not text.isdigit():
        raise typer.BadParameter(f"--labels takes a number or 'all', not '{text}'")
    return int(text)
