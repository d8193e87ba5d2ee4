from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image

from sammix.errors import InputError
from sammix.io.readers.picture_mask import read_picture_labels

DRAWN = np.zeros((32, 24), np.uint8)
DRAWN[8:24, 4:20] = 1
WHITE = DRAWN * 255

VOC = [0, 0, 0, 128, 0, 0, 0, 128, 0]


def palette(indices: np.ndarray, colours: list[int]) -> Image.Image:
    picture = Image.fromarray(indices, "P")
    picture.putpalette(colours)
    return picture


def layers(mode: str, *channels: np.ndarray) -> Image.Image:
    return Image.fromarray(np.stack(channels, -1).astype(np.uint8), mode)


ONES, NONE = np.full_like(DRAWN, 255), np.zeros_like(DRAWN)

KINDS: dict[str, Callable[[], Image.Image]] = {
    "gray 0 and 1": lambda: Image.fromarray(DRAWN),
    "black and white": lambda: Image.fromarray(WHITE),
    "1 bit": lambda: Image.fromarray(WHITE).convert("1"),
    "16 bit": lambda: Image.fromarray(DRAWN.astype(np.uint16)),
    "16 bit white": lambda: Image.fromarray(DRAWN.astype(np.uint16) * 65535),
    "palette of VOC": lambda: palette(DRAWN, VOC),
    "black palette": lambda: palette(DRAWN, [0] * 768),
    "palette of grays": lambda: palette(DRAWN, [n for n in range(256) for _ in range(3)]),
    "palette with colours that do not begin with black": lambda: palette(DRAWN, [68, 1, 84, 253, 231, 37]),
    "palette that ends with black": lambda: palette(1 - DRAWN, [255, 255, 255, 0, 0, 0]),
    "one colour": lambda: layers("RGB", WHITE, NONE, DRAWN * 9),
    "gray in colours": lambda: layers("RGB", WHITE, WHITE, WHITE),
    "white, opaque where drawn": lambda: layers("RGBA", ONES, ONES, ONES, WHITE),
    "black, opaque where drawn": lambda: layers("RGBA", NONE, NONE, NONE, WHITE),
    "red on nothing": lambda: layers("RGBA", WHITE, NONE, NONE, DRAWN * 120),
    "opaque": lambda: layers("RGBA", WHITE, NONE, NONE, ONES),
    "gray, opaque": lambda: layers("LA", WHITE, ONES),
    "gray, opaque where drawn": lambda: layers("LA", ONES, WHITE),
}


@pytest.mark.parametrize("kind", KINDS)
def test_a_drawing_is_found_however_it_is_written(tmp_path, kind):
    KINDS[kind]().save(tmp_path / "m.png")
    volume = read_picture_labels(tmp_path / "m.png")
    np.testing.assert_array_equal(volume.array[0] > 0, DRAWN > 0)
    assert len(np.unique(volume.array)) == 2
    assert volume.warnings == ()


@pytest.mark.parametrize(
    "make",
    [
        lambda mask: layers("RGBA", ONES, ONES, ONES, mask * 0),
        lambda mask: palette(mask * 0, VOC),
        lambda mask: layers("RGB", mask * 0, mask * 0, mask * 0),
    ],
    ids=["transparent", "palette", "black"],
)
def test_nothing_drawn_is_an_empty_mask(tmp_path, make):
    make(DRAWN).save(tmp_path / "m.png")
    assert not read_picture_labels(tmp_path / "m.png").array.any()


def test_labels_keep_their_numbers(tmp_path):
    labels = DRAWN.copy()
    labels[20:24, 4:20] = 4
    labels[8, 4] = 255
    for name, picture in {"gray": Image.fromarray(labels), "palette": palette(labels, VOC + [7] * 759)}.items():
        picture.save(tmp_path / f"{name}.png")
        np.testing.assert_array_equal(read_picture_labels(tmp_path / f"{name}.png").array[0], labels)


def test_several_colours_are_refused(tmp_path):
    other = NONE.copy()
    other[10:12, 10:12] = 200
    ambiguous = {
        "RGB": layers("RGB", WHITE - other, other, NONE),
        "RGBA": layers("RGBA", WHITE, other, NONE, ONES),
        "on white": layers("RGB", ONES, 255 - WHITE, 255 - WHITE),
        "palette": palette(2 - DRAWN - (other > 0), [255, 0, 0, 0, 255, 0, 0, 0, 0]),
    }
    for name, picture in ambiguous.items():
        picture.save(tmp_path / f"{name}.png")
        with pytest.raises(InputError, match="is drawn in 2 colours, and nothing says which is the organ"):
            read_picture_labels(tmp_path / f"{name}.png")


def test_smooth_edges_are_cut_at_half(tmp_path):
    big = np.zeros((64, 64), np.uint8)
    big[16:48, 16:48] = 255
    smooth = Image.fromarray(big).resize((96, 96), Image.Resampling.BICUBIC)
    smooth.save(tmp_path / "m.png")
    volume = read_picture_labels(tmp_path / "m.png")
    np.testing.assert_array_equal(volume.array[0], np.asarray(smooth) > 127)
    assert "edges are smooth" in volume.warnings[0]


def test_what_looks_inverted_is_said(tmp_path):
    Image.fromarray(255 - WHITE).save(tmp_path / "m.png")
    (warning,) = read_picture_labels(tmp_path / "m.png").warnings
    assert warning == "the mask covers 67% of the picture and its border: is it inverted?"


def test_jpeg_smears_are_cut(tmp_path):
    Image.fromarray(WHITE).save(tmp_path / "m.jpg")
    np.testing.assert_array_equal(read_picture_labels(tmp_path / "m.jpg").array[0], DRAWN)
