from __future__ import annotations

import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from sammix.errors import InputError
from sammix.io.readers.picture import read_picture

GRAY = np.arange(256, dtype=np.uint8).reshape(8, 32)


def test_gray_spans_the_range(tmp_path, write_picture):
    volume = read_picture(write_picture(tmp_path / "a.png", GRAY), hu_range=(-160, 240))
    assert volume.array.shape == (1, 8, 32)
    assert volume.array.dtype == np.float32
    np.testing.assert_allclose(volume.array[0], -160 + GRAY / 255 * 400, atol=1e-3)
    assert volume.warnings == ()
    assert not volume.trusted_geometry


def test_16_bit_gray_spans_the_range(tmp_path, write_picture):
    gray = np.array([[0, 65535], [32768, 1]], np.uint16)
    volume = read_picture(write_picture(tmp_path / "a.png", gray), hu_range=(0, 255))
    np.testing.assert_allclose(volume.array[0], gray / 65535 * 255, atol=1e-3)


def test_a_picture_is_already_upright(tmp_path, write_picture):
    volume = read_picture(write_picture(tmp_path / "a.png", GRAY), hu_range=(0, 255))
    axial = volume.axial()
    np.testing.assert_array_equal(axial.array, volume.array)
    np.testing.assert_array_equal(axial.affine, volume.affine)
    assert volume.axcodes == ("S", "P", "L")


def test_without_a_range_the_papers_window_is_taken_and_said(tmp_path, write_picture):
    volume = read_picture(write_picture(tmp_path / "a.png", GRAY))
    assert (volume.array.min(), volume.array.max()) == (-160, 240)
    assert volume.warnings == ("no HU range is given; black to white is taken as -160 to 240 HU",)


def test_jpeg(tmp_path, write_picture):
    path = write_picture(tmp_path / "a.jpg", np.full((16, 16), 100, np.uint8))
    volume = read_picture(path, hu_range=(0, 255))
    np.testing.assert_allclose(volume.array, 100, atol=2)


@pytest.mark.parametrize("mode", ["RGB", "RGBA", "LA", "P", "1"])
def test_gray_in_other_modes(tmp_path, mode):
    gray = np.where(GRAY > 99, 255, 0).astype(np.uint8)
    Image.fromarray(gray).convert(mode).save(tmp_path / "a.png")
    np.testing.assert_allclose(read_picture(tmp_path / "a.png", (0, 255)).array[0], gray, atol=1e-3)


def test_colours_are_refused(tmp_path, write_picture):
    colours = np.repeat(GRAY[..., None], 3, axis=2)
    colours[3, 4, 1] += 1
    with pytest.raises(InputError, match="colour picture"):
        read_picture(write_picture(tmp_path / "a.png", colours))


@pytest.mark.parametrize("share", [0.2, 0.6, 0.95])
@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_pictures_cut_short(tmp_path, write_picture, name, share):
    noise = np.random.default_rng(0).integers(0, 255, (64, 64)).astype(np.uint8)
    path = write_picture(tmp_path / name, noise)
    path.write_bytes(path.read_bytes()[: int(path.stat().st_size * share)])
    with pytest.raises(InputError, match=r"damaged|not a PNG"):
        read_picture(path)


@pytest.mark.parametrize("content", [b"", b"no picture at all", b"GIF89a" + bytes(99)])
def test_what_is_no_picture(tmp_path, content):
    (tmp_path / "a.png").write_bytes(content)
    with pytest.raises(InputError, match="is not a PNG or JPEG"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("side", [9000, 60000])
def test_a_decompression_bomb_is_refused_unopened(tmp_path, write_picture, side):
    raw = bytearray(write_picture(tmp_path / "a.png", GRAY).read_bytes())
    raw[16:24] = struct.pack(">2I", side, side)
    raw[29:33] = struct.pack(">I", zlib.crc32(raw[12:29]))
    (tmp_path / "a.png").write_bytes(raw)
    with pytest.raises(InputError, match=r"more than any slice|damaged"):
        read_picture(tmp_path / "a.png")


@pytest.mark.parametrize("name", ["a.png", "a.jpg"])
def test_a_picture_that_some_programs_turn_is_refused(tmp_path, name):
    """Pillow writes the tag, and would turn the picture itself if asked to."""
    exif = Image.Exif()
    exif[274] = 6
    Image.fromarray(GRAY).save(tmp_path / name, exif=exif)
    with pytest.raises(InputError, match=r"is to be turned before it is seen \(EXIF orientation 6\)"):
        read_picture(tmp_path / name)
    exif[274] = 1
    Image.fromarray(GRAY).save(tmp_path / name, exif=exif)
    assert read_picture(tmp_path / name).array.shape == (1, 8, 32)


@pytest.mark.parametrize("mode", ["RGBA", "LA"])
def test_a_transparent_scan_is_read_by_its_colours(tmp_path, mode):
    picture = Image.fromarray(GRAY).convert(mode)
    picture.putalpha(Image.fromarray(GRAY.T.reshape(GRAY.shape)))
    picture.save(tmp_path / "a.png")
    np.testing.assert_allclose(read_picture(tmp_path / "a.png", (0, 255)).array[0], GRAY, atol=1e-3)
