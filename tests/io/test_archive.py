from __future__ import annotations

import zipfile
from pathlib import Path

import pytest

import sammix.io.archive
from sammix.errors import InputError
from sammix.io.archive import unpacked


def make(path: Path, files: dict[str, bytes], kind: int = zipfile.ZIP_DEFLATED) -> Path:
    with zipfile.ZipFile(path, "w", kind) as archive:
        for name, content in files.items():
            archive.writestr(zipfile.ZipInfo(name), content, kind)
    return path


def problem(path: Path) -> str:
    with pytest.raises(InputError) as error, unpacked(path):
        pytest.fail("was opened")
    assert error.value.path == path
    return error.value.problem


def test_what_is_asked_for_is_unpacked_and_removed_again(tmp_path):
    path = make(tmp_path / "a.zip", {"x/1": b"one", "x/2": b"two", "xy/3": b"3", ".ds": b"", "__MACOSX/x/1": b""})
    with unpacked(path) as root:
        assert root.name == "a"
        assert {f.relative_to(root).as_posix() for f in root.rglob("*") if f.is_file()} == {"x/1", "x/2", "xy/3"}
    assert not root.parent.exists()
    with unpacked(path, "x") as root:
        assert {f.name for f in root.rglob("*") if f.is_file()} == {"1", "2"}


def test_errors_name_the_archive(tmp_path):
    path = make(tmp_path / "a.zip", {"x/1": b"one"})
    with pytest.raises(InputError, match=rf"^{path}/x/1: is odd; mend it"), unpacked(path) as root:
        raise InputError(root / "x/1", "is odd", "mend it")


@pytest.mark.parametrize("name", ["../evil", "x/../../evil", "/etc/evil", "..\\evil", "C:\\evil"])
def test_nothing_is_written_outside(tmp_path, name):
    path = make(tmp_path / "a.zip", {"fine": b"", name: b"evil"})
    assert "outside its folder" in problem(path)


def test_links_are_refused(tmp_path):
    link = zipfile.ZipInfo("link")
    link.external_attr = 0o120777 << 16
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        archive.writestr(link, "/etc/passwd")
    assert problem(tmp_path / "a.zip") == "holds a link"


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path, monkeypatch):
    path = make(tmp_path / "a.zip", {"zeros": bytes(10**7)})
    monkeypatch.setattr(zipfile.ZipFile, "extract", lambda *args: pytest.fail("unpacked"))
    monkeypatch.setattr(sammix.io.archive, "MAX_BYTES", 10**7 - 1)
    assert "claims 10,000,000 bytes unpacked" in problem(path)
    monkeypatch.undo()
    content = bytearray(path.read_bytes())
    at = content.rindex(b"PK\1\2") + 24
    content[at : at + 4] = (2**32 - 2).to_bytes(4, "little")  # the directory claims more than deflate can hold
    path.write_bytes(content)
    assert "claims 4,294,967,294 bytes" in problem(path)


def test_a_list_of_a_million_files_is_not_even_read(tmp_path, monkeypatch):
    path = make(tmp_path / "a.zip", {f"file {n}": b"" for n in range(300)})
    monkeypatch.setattr(sammix.io.archive, "MAX_ENTRIES", 299)
    assert problem(path) == "holds 300 files"
    monkeypatch.setattr(sammix.io.archive, "MAX_DIRECTORY", 46 * 300)
    monkeypatch.setattr(zipfile, "ZipFile", lambda *args: pytest.fail("read"))
    assert "its list of files is longer" in problem(path)


def test_no_room(tmp_path, monkeypatch):
    monkeypatch.setattr(sammix.io.archive, "disk_usage", lambda path: type("Usage", (), {"free": 2}))
    assert problem(make(tmp_path / "a.zip", {"x": b"one"})) == "needs 3 bytes unpacked, where 2 are free"


def test_damage(tmp_path):
    whole = make(tmp_path / "a.zip", {"x": bytes(range(256)) * 9}).read_bytes()
    for content in (b"", b"no zip", whole[:300], whole.replace(whole[40:50], bytes(10))):
        (tmp_path / "b.zip").write_bytes(content)
        assert problem(tmp_path / "b.zip").startswith("cannot be unpacked")


def test_encrypted(tmp_path):
    content = bytearray(make(tmp_path / "a.zip", {"x": b"one"}).read_bytes())
    for signature, flags in ((b"PK\3\4", 6), (b"PK\1\2", 8)):
        content[content.index(signature) + flags] |= 1
    (tmp_path / "b.zip").write_bytes(content)
    assert "encrypted" in problem(tmp_path / "b.zip")
