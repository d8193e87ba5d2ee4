"""Tables 1 and 2 in the paper's form, with the paper's own values beside ours: Markdown, CSV, LaTeX."""

from __future__ import annotations

import csv
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import StringIO
from typing import Literal

from sammix.evaluation.schema import Stat
from sammix.reproduce.methods import METHODS, Domain, published
from sammix.reproduce.over_seeds import Summary

Rank = Literal["best", "second", ""]
ORACLE = "SAM, true box (oracle)"


@dataclass(frozen=True)
class Cell:
    """A figure of ours, its rank in its column, and the paper's figure."""

    stat: Stat
    digits: int
    rank: Rank
    paper: tuple[float, float] | None

    @property
    def ours(self) -> str:
        """``0.948 ± 0.002``; without ± of one seed; a dash where there is nothing."""
        if self.stat.mean is None:
            return "–"
        mean = f"{self.stat.mean:.{self.digits}f}"
        return mean if self.stat.std is None else f"{mean} ± {self.stat.std:.{self.digits}f}"

    @property
    def theirs(self) -> str:
        """As printed in the paper, rounded as ours."""
        return "–" if self.paper is None else f"{self.paper[0]:.{self.digits}f} ± {self.paper[1]:.{self.digits}f}"


@dataclass(frozen=True)
class TableRow:
    """A method's row."""

    name: str
    supervision: str
    seeds: int
    dice: Cell
    hausdorff: Cell


@dataclass(frozen=True)
class Table:
    """A whole table; ``oracle`` is no method: nothing that has a true box may be compared with what has none."""

    title: str
    notes: tuple[str, ...]
    rows: tuple[TableRow, ...]
    oracle: TableRow | None


def make_table(summaries: Sequence[Summary], domain: Domain, title: str, notes: Sequence[str]) -> Table:
    """Rank and lay out the summaries of one domain."""
    dice = _ranks([s.dice.mean for s in summaries], best=max)
    hausdorff = _ranks([s.hausdorff.mean for s in summaries], best=min)
    rows = []
    for i, summary in enumerate(summaries):
        method = METHODS[summary.method]
        paper = published(domain, method, summary.labels)
        rows.append(
            TableRow(
                name=method.row(summary.labels) + ("*" if summary.labels == 0 else ""),
                supervision="full" if summary.labels is None else "limited",
                seeds=summary.dice.n,
                dice=Cell(summary.dice, 3, dice[i], paper.dice if paper else None),
                hausdorff=Cell(summary.hausdorff, 2, hausdorff[i], paper.hausdorff if paper else None),
            )
        )
    return Table(title, tuple(notes), tuple(rows), _oracle(summaries))


def to_markdown(table: Table) -> str:
    """Write GitHub's Markdown: best bold, second best underlined."""
    lines = [
        f"**{table.title}**",
        "",
        "| method | supervision | Dice | Dice (paper) | HD (px) | HD (paper) | seeds |",
        "|---|---|---|---|---|---|---|",
    ]
    marks: dict[Rank, str] = {"best": "**{}**", "second": "<u>{}</u>", "": "{}"}
    for row in _all_rows(table):
        dice, hausdorff = (marks[cell.rank].format(cell.ours) for cell in (row.dice, row.hausdorff))
        cells = [row.name, row.supervision, dice, row.dice.theirs, hausdorff, row.hausdorff.theirs, str(row.seeds)]
        lines.append(f"| {' | '.join(cells)} |")
    notes = [note.replace("*", r"\*") for note in table.notes]
    return "\n".join(lines) + "\n\n" + "\n\n".join(notes) + "\n"


def to_latex(table: Table) -> str:
    """Write a LaTeX ``table`` for a paper: ``booktabs`` is all that it needs."""
    marks: dict[Rank, str] = {"best": r"\textbf{{{}}}", "second": r"\underline{{{}}}", "": "{}"}

    def cell(value: str) -> str:
        return _escape(value).replace("±", r"$\pm$").replace("–", "--")

    lines = [r"\begin{table}", r"\centering", rf"\caption{{{_escape(' '.join([table.title + '.', *table.notes]))}}}"]
    lines += [r"\begin{tabular}{llrrrr}", r"\toprule"]
    lines += [r"Method & Supervision & Dice & Dice (paper) & HD (px) & HD (paper) \\", r"\midrule"]
    for row in _all_rows(table):
        dice, hausdorff = (marks[c.rank].format(cell(c.ours)) for c in (row.dice, row.hausdorff))
        cells = [cell(row.name), row.supervision, dice, cell(row.dice.theirs), hausdorff, cell(row.hausdorff.theirs)]
        lines.append(" & ".join(cells) + r" \\")
    return "\n".join([*lines, r"\bottomrule", r"\end{tabular}", r"\end{table}"]) + "\n"


def to_csv(table: Table) -> str:
    """Write plain numbers as CSV, an empty cell where there is none."""
    buffer = StringIO()
    columns = ("dice_mean", "dice_std", "dice_paper", "hausdorff_px_mean", "hausdorff_px_std", "hausdorff_px_paper")
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(["method", "supervision", "seeds", *columns])
    for row in _all_rows(table):
        cells = [
            value
            for cell in (row.dice, row.hausdorff)
            for value in (cell.stat.mean, cell.stat.std, cell.paper[0] if cell.paper else None)
        ]
        known = ["" if value is None else f"{value:.6g}" for value in cells]
        writer.writerow([row.name, row.supervision, row.seeds, *known])
    return buffer.getvalue()


def _all_rows(table: Table) -> list[TableRow]:
    return [*table.rows, *([table.oracle] if table.oracle else [])]


def _ranks(values: Sequence[float | None], best: Callable[[Sequence[float]], float]) -> list[Rank]:
    """Rank figures; those that are printed alike share a rank."""
    known = sorted({round(value, 6) for value in values if value is not None}, reverse=best is max)
    names: dict[float, Rank] = dict(zip(known, ("best", "second"), strict=False))
    return ["" if value is None else names.get(round(value, 6), "") for value in values]


def _oracle(summaries: Sequence[Summary]) -> TableRow | None:
    """Find SAM as it came, prompted with true boxes: SAM-PP without an annotated slice."""
    untuned = [s for s in summaries if s.labels == 0 and s.oracle is not None]
    if not untuned or untuned[0].oracle is None:
        return None
    oracle = untuned[0].oracle
    dice, hausdorff = (Stat(mean=v, std=None, n=untuned[0].dice.n) for v in (oracle.dice, oracle.hausdorff_px))
    return TableRow(ORACLE, "true boxes", untuned[0].dice.n, Cell(dice, 3, "", None), Cell(hausdorff, 2, "", None))


def _escape(text: str) -> str:
    for character in "&%_#":
        text = text.replace(character, rf"\{character}")
    return text
