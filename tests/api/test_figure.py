from __future__ import annotations

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from sammix.api.figure import WIDEST, Picture, new_file
from sammix.errors import ConfigError, OutputError


def picture(width: int = 40) -> Picture:
    return Picture.drawn_by(lambda path: Image.new("RGB", (width, 10), "red").save(path))


def test_a_notebook_gets_a_png_no_wider_than_itself() -> None:
    for width in (40, 3 * WIDEST):
        png = picture(width)._repr_png_()
        with Image.open(BytesIO(png)) as shown:
            assert (shown.format, shown.width) == ("PNG", min(width, WIDEST))
            assert shown.convert("RGB").getpixel((0, 0)) == (255, 0, 0)


def test_it_is_saved_once_and_replaced_when_asked_for(tmp_path: Path) -> None:
    target = picture().save(str(tmp_path / "new" / "a.png"))
    assert target.read_bytes() == picture().png
    with pytest.raises(OutputError, match="exists already; name another file, or say overwrite=True"):
        picture(20).save(target)
    assert target.read_bytes() == picture().png
    picture(20).save(target, overwrite=True)
    assert target.read_bytes() == picture(20).png


def test_another_format_is_refused(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"let it end in \.png"):
        picture().save(tmp_path / "a.jpg")
    with pytest.raises(OutputError, match=r"let it end in \.nii\.gz or \.nii"):
        new_file(tmp_path / "a.png", (".nii.gz", ".nii"), overwrite=True)
    with pytest.raises(ConfigError):
        picture().save(3)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []


def test_it_says_in_one_line_what_it_is() -> None:
    assert repr(picture()).startswith("Picture(")
    assert "\\x89PNG" not in repr(picture())
