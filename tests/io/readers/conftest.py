"""How a reader refuses a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sammix.errors import InputError
from sammix.io.readers.dicom import read_dicom


@pytest.fixture
def refused() -> Callable[[Path], str]:
    """``refused(folder)`` → what is wrong with it, as ``read_dicom`` says in one line."""

    def read(folder: Path) -> str:
        with pytest.raises(InputError) as error:
            read_dicom(folder)
        assert "\n" not in str(error.value)
        return error.value.problem

    return read
