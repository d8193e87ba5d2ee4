from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

import sammix
from sammix.errors import SammixError

HEAVY = {"torch", "numpy", "nibabel", "SimpleITK", "matplotlib", "pydantic", "yaml", "rich"}


def test_importing_it_imports_nothing_heavy() -> None:
    code = f"import sys, sammix; dir(sammix); print(sorted({HEAVY!r} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


def test_every_public_name_is_there() -> None:
    assert set(sammix.__all__) <= set(dir(sammix))
    for name in sammix.__all__:
        assert getattr(sammix, name) is not None
    assert sammix.SammixError is SammixError


def test_what_type_checkers_see_is_what_there_is() -> None:
    """The names under TYPE_CHECKING, those of ``__getattr__`` and those of ``__all__``."""
    source = Path(sammix.__file__).read_text(encoding="utf-8")
    seen = set(re.findall(r"^    from [\w.]+ import (\w+) as \1$", source, flags=re.MULTILINE))
    assert seen == set(sammix._MODULES) == set(sammix.__all__) - {"__version__"}


def test_another_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'sammix' has no attribute 'train'"):
        _ = sammix.train
