from __future__ import annotations

import pytest
from jinja2 import UndefinedError

from sammix.evaluation.schema import Stat
from sammix.report.templates import environment, spread


def test_what_a_page_says_is_escaped() -> None:
    page = environment().from_string("{{ name }}: {{ share|percent }}, {{ volume|number(1) }}")
    assert page.render(name="<b>", share=0.5, volume=1234.56) == "&lt;b&gt;: 50 %, 1,234.6"


def test_nothing_is_silently_missing() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ forgotten }}").render()


@pytest.mark.parametrize(
    ("mean", "std", "words"), [(0.9, 0.01, "0.900 ± 0.010"), (0.9, None, "0.900"), (None, None, "–")]
)
def test_a_spread_says_what_is_known(mean: float | None, std: float | None, words: str) -> None:
    assert spread(Stat(mean=mean, std=std, n=3)) == words
