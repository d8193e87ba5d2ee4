"""How a reader refuses a file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from sammix.errors import InputError
from sammix.io.readers.dicom import read_dicom
from sammix.io.readers.dicom_headers import ACQUISITION, CT_IMAGE, IDENTITY, SliceHeader


@pytest.fixture
def refused() -> Callable[[Path], str]:
    """``refused(folder)`` → what is wrong with it, as ``read_dicom`` says in one line."""

    def read(folder: Path) -> str:
        with pytest.raises(InputError) as error:
            read_dicom(folder)
        assert "\n" not in str(error.value)
        return error.value.problem

    return read


@pytest.fixture(scope="session")
def header() -> Callable[..., SliceHeader]:
    """``header(position, orientation, spacing, **values)`` → the header of a CT slice, with some values replaced."""

    def make(position, orientation=(1, 0, 0, 0, 1, 0), spacing=(0.9, 0.7), **values) -> SliceHeader:
        usual = {
            "path": Path(f"{position}.dcm"), "frame": 0, "instance": "", "identity": ("",) * len(IDENTITY),
            "acquisition": ("",) * len(ACQUISITION), "series": "1.1", "number": 1, "description": "",
            "instance_number": None, "images_in_acquisition": None, "modality": "CT", "localizer": False,
            "sop_class": CT_IMAGE, "frames": 1, "samples": 1, "shape": (6, 4), "orientation": tuple(orientation),
            "position": tuple(position), "spacing": spacing, "thickness": 3.0, "slope": 1.0, "intercept": -1024.0,
            "padding": None,
        }  # fmt: skip
        return SliceHeader(**{**usual, **values})

    return make
