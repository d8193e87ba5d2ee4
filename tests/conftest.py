"""Fixtures that every test may use."""

from __future__ import annotations

import contextlib
import importlib
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import highdicom as hd
import hypothesis
import numpy as np
import pydicom
import pytest
import torch
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from pydicom.dataset import FileDataset, FileMetaDataset
from pydicom.uid import CTImageStorage, ExplicitVRLittleEndian

from sammix.config import Config, load_preset
from sammix.data.preprocess import Preprocess
from sammix.demo.phantoms import NATIVE, PORTAL, make_phantom, write_lits, write_totalsegmentator
from sammix.errors import WeightsError
from sammix.evaluation.metrics import dice
from sammix.io.volume import Volume
from sammix.models import installing
from sammix.models.registry import kind_of
from sammix.networks.interface import MASK_THRESHOLD, Lesson, Network
from sammix.networks.objectives import weighted_sum
from sammix.training.batches import Batch
from sammix.training.fitting import FitRequest, Hardware, fit
from sammix.training.run_folder import RunFolder

REAL_DATA = Path(__file__).parents[2] / "shared" / "data"
BENCHMARKS = Path(__file__).parents[1] / "benchmarks"
SMALL = (72, 72, 12)  # voxels of a phantom: a liver one can still recognise

torch.set_num_threads(1)  # toy networks: two threads would only wait for each other

# One profile for all properties: the same examples every time, and no clock, which a busy machine would fail by.
hypothesis.settings.register_profile(
    "sammix", deadline=None, derandomize=True, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("sammix")


@pytest.fixture(scope="session")
def real_data() -> Path:
    """The folder of real CT beside the checkout; tests that need it are skipped where it is absent."""
    if not REAL_DATA.is_dir():
        pytest.skip(f"no real CT beside the checkout ({REAL_DATA.name} is absent)")
    return REAL_DATA


@pytest.fixture(scope="session")
def lite_medsam() -> None:
    """LiteMedSAM's weights, on which the shipped model stands; a test is skipped, with the reason, without them."""
    try:
        installing.ensure("lite-medsam")
    except WeightsError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def browser() -> Iterator[Browser]:
    """The Chromium that the system has; a test is skipped, with the reason, where there is none."""
    program = shutil.which("chromium")
    if program is None:
        pytest.skip("no chromium is installed")
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture(scope="session")
def serious_faults() -> Callable[[Page], dict[str, list[Any]]]:
    """``serious_faults(tab)``: what bars people from a page, by axe-core: rule → the first places."""

    def find(tab: Page) -> dict[str, list[Any]]:
        found = Axe().run(tab).response["violations"]
        serious = [one for one in found if one["impact"] in ("serious", "critical")]
        return {one["id"]: [node["target"] for node in one["nodes"]][:3] for one in serious}

    return find


def _heed_ctrl_c() -> None:
    """Undo that a shell lets what it starts in the background ignore Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@pytest.fixture
def start_sammix() -> Iterator[Callable[..., subprocess.Popen[str]]]:
    """``start_sammix("label", data)`` → it runs as a program. It and all that it started are gone after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(*arguments: object) -> subprocess.Popen[str]:
        command = [sys.executable, "-m", "sammix", *map(str, arguments)]
        pipe = subprocess.PIPE
        # A session of its own is a process group of its own, which can be ended as a whole.
        program = subprocess.Popen(
            command, stdout=pipe, stderr=pipe, text=True, start_new_session=True, preexec_fn=_heed_ctrl_c
        )
        started.append(program)
        return program

    yield start
    for program in started:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(program.pid, signal.SIGKILL)
        program.wait()
        for stream in (program.stdout, program.stderr):
            assert stream is not None
            stream.close()


@pytest.fixture
def benchmark(monkeypatch: pytest.MonkeyPatch) -> Callable[[str], ModuleType]:
    """``benchmark(name)`` → the script of that name, as a module; it finds its neighbours as when it is run."""
    monkeypatch.syspath_prepend(BENCHMARKS)
    return importlib.import_module


@pytest.fixture(scope="session")
def hospital_a(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six small phantoms in LiTS's layout."""
    folder = tmp_path_factory.mktemp("data") / "hospital-a"
    write_lits(folder, 6, 0, PORTAL.at(SMALL))
    return folder


@pytest.fixture(scope="session")
def hospital_b(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two small phantoms of another hospital in TotalSegmentator's layout."""
    folder = tmp_path_factory.mktemp("data") / "hospital-b"
    write_totalsegmentator(folder, 2, 1, NATIVE.at(SMALL))
    return folder


@pytest.fixture(scope="session")
def tiny_run(hospital_a: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a finished run of the toy network on :func:`hospital_a`."""
    run = tmp_path_factory.mktemp("runs") / "tiny"
    fit(hospital_a, RunFolder(run), FitRequest(load_preset("tiny"), labels=4, seed=0), Hardware("cpu"))
    return run


@pytest.fixture(scope="session")
def small_grid() -> Preprocess:
    """Slices small enough to be learned by heart."""
    return Preprocess(size=32)


def phantom_slices(seed: int, grid: Preprocess) -> Batch:
    """All 24 slices of a phantom, those with the organ drawn; a teacher knows them, softly."""
    phantom = make_phantom(seed, PORTAL.at((72, 72, 24)))
    hu, truth = (Volume(array, phantom.affine).axial().array for array in (phantom.hu, phantom.mask))
    images = torch.from_numpy(grid.images(hu))[:, None]
    masks = torch.from_numpy(grid.masks(truth))
    labels = masks.amax(dim=(1, 2)).long()
    soft = 0.05 + 0.9 * masks.float()
    lesson = Lesson(soft, soft, 0.1 + 0.8 * labels.float(), torch.ones(len(labels)))
    return Batch(images, labels, masks, labels == 1, features=images, lesson=lesson)


@pytest.fixture(scope="session")
def phantom_a(small_grid: Preprocess) -> Batch:
    return phantom_slices(0, small_grid)


@pytest.fixture(scope="session")
def phantom_b(small_grid: Preprocess) -> Batch:
    return phantom_slices(1, small_grid)


@pytest.fixture(scope="session")
def four(phantom_a: Batch) -> Batch:
    """The four slices that show most of the organ."""
    rows = phantom_a.masks.sum(dim=(1, 2)).argsort()[-4:]
    some = {name: value[rows] for name, value in vars(phantom_a).items() if isinstance(value, torch.Tensor)}
    assert phantom_a.lesson is not None
    return Batch(**some, lesson=Lesson(**{name: value[rows] for name, value in vars(phantom_a.lesson).items()}))


@pytest.fixture(scope="session")
def learn() -> Callable[..., None]:
    """Some steps on one batch, from which every network learns in its own way."""

    def steps(network: Network, config: Config, batch: Batch, count: int, learning_rate: float) -> None:
        trained = [p for p in network.parameters() if p.requires_grad]
        optimizer = torch.optim.AdamW(trained, lr=learning_rate)
        falling = torch.optim.lr_scheduler.LinearLR(optimizer, 1.0, 0.05, count)
        rng = np.random.default_rng(0)
        network.train()
        for _ in range(count):
            loss = weighted_sum(kind_of(config.model).objective(config.fit, 1)(network, batch, config, 0.5, rng))
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            falling.step()
        network.eval()

    return steps


@pytest.fixture(scope="session")
def mean_dice() -> Callable[..., float]:
    """``mean_dice(network, batch)``: of the masks that a network makes without help."""

    def of(network: Network, batch: Batch) -> float:
        found = network.segment(network.encode(batch.images)).probability >= MASK_THRESHOLD
        each = [dice(a, b) for a, b in zip(found.numpy(), batch.masks.numpy(), strict=True)]
        return float(np.mean([value for value in each if value is not None]))

    return of


class Evil:
    """Would leave a file where it is unpickled."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        """What unpickling calls."""
        return Path.touch, (self.trace,)


@pytest.fixture
def evil(tmp_path_factory: pytest.TempPathFactory) -> Iterator[object]:
    """To be pickled. The test fails if what it was pickled into is unpickled: its code would run."""
    trace = tmp_path_factory.mktemp("evil") / "trace"
    yield Evil(trace)
    assert not trace.exists()


@pytest.fixture(scope="session")
def write_dicom() -> Callable[..., Path]:
    """``write(path, stored, **tags)`` → path: one CT slice, axial, with tags replaced (None: removed)."""

    def write(path: Path, stored: np.ndarray, **tags: object) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        meta = FileMetaDataset()
        meta.TransferSyntaxUID = ExplicitVRLittleEndian
        meta.MediaStorageSOPClassUID = tags.get("SOPClassUID") or CTImageStorage
        meta.MediaStorageSOPInstanceUID = tags.get("SOPInstanceUID") or "1.2.3.4"
        data = FileDataset(path, {}, file_meta=meta, preamble=b"\0" * 128)
        values = {
            "SOPClassUID": CTImageStorage,
            "SOPInstanceUID": "1.2.3.4",
            "StudyInstanceUID": "1.2",
            "SeriesInstanceUID": "1.2.3",
            "FrameOfReferenceUID": "1.2.9",
            "SeriesDescription": "portal venous",
            "PatientName": "Secret^Name",
            "PatientID": "SECRET-7",
            "Modality": "CT",
            "SamplesPerPixel": 1,
            "PhotometricInterpretation": "MONOCHROME2",
            "Rows": stored.shape[0],
            "Columns": stored.shape[1],
            "BitsAllocated": 16,
            "BitsStored": 16,
            "HighBit": 15,
            "PixelRepresentation": int(stored.dtype.kind == "i"),
            "PixelSpacing": [0.9, 0.7],
            "ImageOrientationPatient": [1, 0, 0, 0, 1, 0],
            "ImagePositionPatient": [-10, -20, 30],
            "SliceThickness": 3,
            "RescaleSlope": 1,
            "RescaleIntercept": -1024,
            "PixelData": stored.tobytes(),
        }
        for tag, value in {**values, **tags}.items():
            if value is not None:
                setattr(data, tag, value)
        data.save_as(path)
        return path

    return write


@pytest.fixture(scope="session")
def write_series(write_dicom) -> Callable[..., Path]:
    """``write(folder, n=5, step=2.0, **tags)`` → folder: named backwards, slice k marked by 1000 + k."""

    def write(folder: Path, n: int = 5, step: float = 2.0, **tags: object) -> Path:
        for k in range(n):
            stored = np.random.default_rng(k).integers(0, 1200, (6, 4)).astype(np.uint16)
            stored[0, 0] = 1000 + k
            instance = f"{tags.get('SeriesInstanceUID') or '1.2.3'}.{k}"
            place = {"ImagePositionPatient": [-10, -20, 30 + step * k], "SOPInstanceUID": instance}
            write_dicom(folder / f"{n - k:03}.dcm", stored, **{**place, **tags})
        return folder

    return write


@pytest.fixture(scope="session")
def write_enhanced() -> Callable[[Path, Path], Path]:
    """``write(folder, path)`` → path: the series in ``folder`` as one enhanced CT, by highdicom."""

    def write(folder: Path, path: Path) -> Path:
        images = [pydicom.dcmread(file) for file in sorted(folder.iterdir())]
        for image in images:
            image.PatientBirthDate = image.PatientSex = image.AccessionNumber = image.StudyID = None
            image.StudyDate = image.StudyTime = image.Manufacturer = None
            image.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL"]
            image.InstanceNumber = 1
        new = [hd.UID(), 5, hd.UID(), 1]
        hd.legacy.LegacyConvertedEnhancedCTImage(images, *new).save_as(path)
        return path

    return write
