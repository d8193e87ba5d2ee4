from __future__ import annotations

import re
from collections.abc import Callable
from html.parser import HTMLParser
from typing import Any

import numpy as np
import pytest

from sammix.data.display import Displayed
from sammix.evaluation.gallery import Exhibit, Kind
from sammix.evaluation.rows import Shown, SliceRow, VolumeRow
from sammix.evaluation.schema import Failure, Metrics
from sammix.report.html import OverlayPicture, render_report

Rows = Callable[..., SliceRow]
MetricsOf = Callable[..., Metrics]
EMPTY = np.zeros((2, 2), bool)
SHOWN = Shown(Displayed(EMPTY.astype(np.uint8), 40, 400, None, "slice 0"), EMPTY, EMPTY, EMPTY, None, None)
VOID = {"meta", "img", "br", "link"}


class Page(HTMLParser):
    """Checks that tags close in order, and gathers what a test asks for."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []
        self.words: list[str] = []
        self.feed(text)
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.attributes += attrs
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        if not {"style", "svg"} & set(self.open):
            self.words.append(data)

    @property
    def text(self) -> str:
        return re.sub(r"\s+", " ", " ".join(self.words))


def picture(row: SliceRow, kind: Kind = "worst") -> OverlayPicture:
    return OverlayPicture("a.png", b"\x89PNG", Exhibit(kind, row, SHOWN), row.case)


@pytest.fixture
def full(row: Rows, metrics_of: MetricsOf) -> str:
    rows = [
        row(0.0),
        row(0.75, slice=4),
        row(0.9, slice=5),
        row(None, label=0, slice=6, presence=0.1, source="site B"),
    ]
    volumes = [VolumeRow("scan", "p", "site A", 4, 1500.0, 1400.0, 0.87, 6.5, 0.71, False, 1, 1)]
    found = metrics_of(rows, volumes, [Failure(case="bad", problem="bad.nii: truncated; copy it again")], ["odd HU"])
    return render_report(found, rows, volumes, [picture(rows[0]), picture(rows[2], "best")])


def test_the_page_stands_alone(full: str) -> None:
    page = Page(full)
    for name, value in page.attributes:
        if name in {"src", "href", "xlink:href"} and value:
            assert value.startswith(("data:", "#")), value
    assert "<script" not in full
    assert "@import" not in full
    assert not re.search(r"url\((?!#)", full)


def test_the_page_says_what_the_file_says(full: str) -> None:
    text = Page(full).text
    assert "1 of 3 slices with liver were left empty" in text
    assert "0.550 ± 0.482" in text
    for figure in ("0.87", "6.5", "0.71", "1,500", "bad.nii: truncated", "odd HU", "lite-50", "site A"):
        assert figure in text, figure


def test_the_oracle_is_never_passed_off_as_a_result(full: str) -> None:
    text = Page(full).text
    assert "oracle: the box is taken from the truth" in text
    assert '"True box" is no result' in text
    row = re.search(r'<tr class="oracle">.*?</tr>', full, re.DOTALL)
    assert row is not None
    assert "True box" in row.group()


def test_caveats_are_on_the_page(full: str) -> None:
    text = Page(full).text
    for caveat in (
        "not for clinical use",
        "362.04 px",
        "LiteMedSAM",
        "activation map",
        "not a confidence interval",
    ):
        assert caveat in text, caveat


def test_pictures_are_inline_with_case_slice_and_dice(full: str) -> None:
    sources = [value for name, value in Page(full).attributes if name == "src"]
    assert sources == ["data:image/png;base64,iVBORw=="] * 2
    assert "Worst" in Page(full).text
    assert "Dice 0.900" in Page(full).text


def test_names_from_files_cannot_break_the_page(row: Rows, metrics_of: MetricsOf) -> None:
    rows = [row(0.5, case="<img src=http://x>", source='"><script>alert(1)</script>')]
    page = render_report(metrics_of(rows, warnings=["<b>bold"], dataset="<i>"), rows, [], [picture(rows[0])])
    Page(page)
    assert "<script" not in page
    assert "<img src=http" not in page


def test_labels_alone_make_a_page(row: Rows, metrics_of: MetricsOf) -> None:
    rows = [row(None, box_iou=None, cam_dice=None)]
    text = Page(render_report(metrics_of(rows), rows, [], [])).text
    assert "only the yes/no answers are measured" in text
    assert "nan" not in text.lower().split()


def test_networks_without_prompts_show_no_such_rows(row: Rows, metrics_of: MetricsOf) -> None:
    bare: dict[str, Any] = {"no_prompt": None, "oracle_box": None, "box_iou": None, "cam_dice": None, "doubt": None}
    rows = [row(0.5, **bare)]
    text = Page(render_report(metrics_of(rows), rows, [], [])).text
    assert "this network takes no prompt" in text
    assert "True box" not in text
    assert "The automatic prompts" not in text
    assert "Where map and mask" not in text


def test_doubtful_slices_have_a_row_of_their_own(row: Rows, metrics_of: MetricsOf) -> None:
    rows = [row(0.9), row(0.95), row(0.3, doubt=0.4)]
    text = Page(render_report(metrics_of(rows), rows, [], [])).text
    assert re.search(r"agree\s+2\s+0\.925.*contradict each other\s+1\s+0\.300", text, re.DOTALL)


def test_the_page_says_who_was_measured(row: Rows, metrics_of: MetricsOf) -> None:
    rows = [row(0.5)]
    unseen, tested = (Page(render_report(metrics_of(rows, split=s), rows, [], [])).text for s in ("unseen", "test"))
    assert "is left out unless" in unseen
    assert "is left out unless" in tested
    assert "everyone else" in unseen
    assert "everyone else" not in tested


def test_another_organ_is_named_wherever_the_liver_was(row: Rows, metrics_of: MetricsOf) -> None:
    rows = [row(0.5), row(None, label=0)]
    page = render_report(metrics_of(rows, organ="spleen"), rows, [], [picture(rows[0])])
    assert "spleen in the slice (px at 256²)" in page
    assert set(re.findall(r".{12}[Ll]iver.?", Page(page).text)) == {"gans, LiTS (liver)"}
