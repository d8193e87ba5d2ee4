"""Results → the tables, the figures, and one page with all of them."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import numpy as np
from markupsafe import Markup

from sammix import __version__
from sammix.data.display import Displayed
from sammix.data.store import open_store
from sammix.errors import SammixError
from sammix.files import atomic_path, write_json, write_text
from sammix.report.figures import Series, dice_boxes, dice_by_labels, standalone
from sammix.report.overlays import View, comparison
from sammix.report.templates import environment
from sammix.reproduce.grid import Grid
from sammix.reproduce.job import PAPER_GRID, find_row
from sammix.reproduce.methods import DOMAINS, METHODS, OURS, Domain
from sammix.reproduce.over_seeds import FEWEST_PATIENTS, Comparison, Summary, by_row, compare, over_seeds
from sammix.reproduce.result import Result, unpack
from sammix.reproduce.tables import Table, make_table, to_csv, to_latex, to_markdown

TITLES: dict[Domain, str] = {"in-domain": "Table 1: in-domain", "across": "Table 2: across domains"}
UNTUNED = "* SAM is not tuned. The oracle row is prompted with true boxes: a reference, not a result."
IN_ROW = 5  # methods beside each other on the page
HONESTY = (
    "Misses count: Dice 0 and the diagonal, 362.04 px. ± is the standard deviation over seeds.",
    "SAM-Mix and SAM-PP start from pretrained weights, all others from random ones; LiteMedSAM, the usual start, has "
    "probably seen public CT with masks of organs.",
)


@dataclass(frozen=True)
class Section:
    """One domain on the page."""

    title: str
    patients: int
    table: Table
    summaries: list[Summary]
    reference: str
    comparisons: list[Comparison]
    boxes: Markup
    pictures: list[str]


def write_page(grid: Grid) -> Path:
    """Write tables, figures and ``report.html`` from the jobs that are done; returns the page.

    Raises:
        SammixError: no job is done.
    """
    results = [result for result in map(grid.result, grid.jobs) if result is not None]
    if not results:
        raise SammixError(f"{grid.out}: none of {len(grid.jobs)} jobs is done; see {grid.out / 'progress.md'}")
    groups = by_row(results)
    sections = []
    for number, domain in enumerate(DOMAINS, start=1):
        if any(result.domains.get(domain) for result in results):
            sections.append(_section(grid, groups, domain))
            _write_table(grid.out / f"table{number}", sections[-1].table)
    curve = _label_curve(groups)
    write_text(grid.out / "figure2.svg", standalone(dice_boxes(_all_boxes(groups))))
    write_text(grid.out / "labels.svg", standalone(curve))
    page = (
        environment()
        .get_template("reproduce.html")
        .render(
            version=__version__,
            toy=_toy(grid),
            sections=sections,
            curve=Markup(curve),
            costs=[_cost(group) for group in groups],
            methods=METHODS,
            fewest_patients=FEWEST_PATIENTS,
            failures=[(job.name, error) for job in grid.jobs if (error := grid.error(job))],
            missing=[job.name for job in grid.jobs if grid.result(job) is None and not grid.error(job)],
            done=len(results),
            total=len(grid.jobs),
        )
    )
    write_text(grid.out / "report.html", page)
    write_json(grid.out / "statistics.json", [_plain(section) for section in sections])
    return grid.out / "report.html"


def _section(grid: Grid, groups: list[list[Result]], domain: Domain) -> Section:
    summaries = [over_seeds(group, domain) for group in groups]
    reference = _reference(summaries)
    others = [summary for summary in summaries if summary is not reference]
    table = make_table(summaries, domain, TITLES[domain], _notes(grid, groups, domain))
    boxes = [Series(METHODS[s.method].row(s.labels), s.slice_dice) for s in summaries]
    pictures = _pictures(grid, [group[0] for group in groups], domain)
    return Section(
        title=TITLES[domain],
        patients=len(reference.by_patient),
        table=table,
        summaries=summaries,
        reference=METHODS[reference.method].row(reference.labels),
        comparisons=compare(reference, others),
        boxes=Markup(dice_boxes(boxes)),
        pictures=pictures,
    )


def _reference(summaries: Sequence[Summary]) -> Summary:
    """Choose what all others are tested against: SAM-Mix with 50 labels, the paper's best, else with the most."""
    ours = [summary for summary in summaries if summary.method == OURS] or list(summaries)
    return next((summary for summary in ours if summary.labels == 50), ours[-1])


def _notes(grid: Grid, groups: list[list[Result]], domain: Domain) -> list[str]:
    scores = groups[0][0].domains[domain]
    parts = [f"{s.dataset} ({len(s.dice)} slices, patients: {len(set(s.patient))})" for s in scores]
    notes = [f"Data: {', '.join(parts)}.", *HONESTY]
    done = {group[0].method for group in groups}
    cuts = list(dict.fromkeys(job.cut for job in grid.jobs if job.cut and job.method in done))
    if any(group[0].labels == 0 for group in groups):
        notes.append(UNTUNED)
    if any(group[0].method == "multimix" for group in groups):
        notes.append("The paper does not say with how many annotated slices its MultiMix was trained.")
    if _toy(grid):
        notes.append("Toy networks: these figures mean nothing.")
    return notes + ([f"Training was cut: {'; '.join(cuts)}."] if cuts else [])


def _toy(grid: Grid) -> bool:
    """Whether the networks are too small to learn anything."""
    return any(job.config().model.encoder == "tiny" for job in grid.jobs)


def _write_table(path: Path, table: Table) -> None:
    for suffix, text in ((".md", to_markdown(table)), (".csv", to_csv(table)), (".tex", to_latex(table))):
        write_text(path.with_suffix(suffix), text)


def _pictures(grid: Grid, results: list[Result], domain: Domain) -> list[str]:
    """Draw figure 3 or 4: the same few slices by every method's first seed.

    The file has a column for each method. On the page they are in groups, so that each slice can be read.

    Returns:
        A data URI for each group; none where no slices were kept.
    """
    views, masks = _shown(grid, results, domain)
    if not views:
        return []
    with atomic_path(grid.out / ("figure3.png" if domain == "in-domain" else "figure4.png")) as temporary:
        temporary.write_bytes(comparison(views, masks))
    groups = (masks[at : at + IN_ROW] for at in range(0, len(masks), IN_ROW))
    return ["data:image/png;base64," + b64encode(comparison(views, group)).decode() for group in groups]


def _shown(
    grid: Grid, results: list[Result], domain: Domain
) -> tuple[list[View], list[tuple[str, list[np.ndarray | None]]]]:
    """Gather the slices of which masks were kept, in the window of their store, and each method's masks of them."""
    paths = [grid.stores.in_domain] if domain == "in-domain" else list(grid.stores.across)
    views = []
    masks: dict[str, list[np.ndarray | None]] = {METHODS[r.method].row(r.labels): [] for r in results}
    for place, path in enumerate(paths):
        table = open_store(path)
        for number, shown in enumerate(results[0].domains[domain][place].pictures):
            row = find_row(table, shown.case, shown.slice)
            ct = Displayed.of_network(table.images[row], table.preprocess, f"slice {shown.slice}")
            truth = PAPER_GRID.masks(np.asarray(table.masks[row])[None])[0]
            views.append(View.of(ct, f"{shown.case}, {ct.place}", truth=truth))
            for result in results:
                packed = result.domains[domain][place].pictures[number].mask
                masks[METHODS[result.method].row(result.labels)].append(unpack(packed))
    return views, list(masks.items())


def _all_boxes(groups: list[list[Result]]) -> list[Series]:
    """List the series of figure 2: both domains, a method's two boxes together."""
    return [
        Series(f"{METHODS[group[0].method].row(group[0].labels)}, {domain}", over_seeds(group, domain).slice_dice)
        for group in groups
        for domain in DOMAINS
        if any(result.domains.get(domain) for result in group)
    ]


def _label_curve(groups: list[list[Result]]) -> str:
    curves: dict[str, list[tuple[int, float, float | None]]] = {}
    levels: dict[str, float] = {}
    for group in groups:
        method, stat = METHODS[group[0].method], over_seeds(group, "in-domain").dice
        if stat.mean is None:
            continue
        if group[0].labels is None:
            levels[method.row(None)] = stat.mean
        else:
            curves.setdefault(method.title, []).append((group[0].labels, stat.mean, stat.std))
    return dice_by_labels(curves, levels)


def _cost(group: list[Result]) -> dict[str, object]:
    return {
        "name": METHODS[group[0].method].row(group[0].labels),
        "parameters": group[0].parameters / 1e6,
        "trained": group[0].trained / 1e6,
        "epochs": group[0].epochs,
        "minutes": mean(result.fit_seconds for result in group) / 60,
        "device": ", ".join(sorted({result.device for result in group})),
    }


def _plain(section: Section) -> dict[str, object]:
    """Collect figures by data set, intervals and tests, for programs."""
    return {
        "title": section.title,
        "reference": section.reference,
        "dice_by_dataset": {METHODS[s.method].row(s.labels): s.by_dataset for s in section.summaries},
        "intervals_95": {METHODS[s.method].row(s.labels): s.interval for s in section.summaries},
        "wilcoxon_holm": {
            METHODS[c.method].row(c.labels): {"patients": c.patients, "difference": c.difference, "p": c.p}
            for c in section.comparisons
        },
    }
