"""Names are planted wherever DICOM can hold one, and looked for in all that is printed and written."""

from __future__ import annotations

import gzip
import json
import shutil
import sys
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pydicom
import pytest
from PIL import Image
from pydicom.datadict import DicomDictionary

from sammix.cli import main
from sammix.demo.phantoms import PORTAL, make_phantom
from sammix.io.readers.dicom import read_dicom, source_images
from sammix.io.volume import Volume
from sammix.io.writers.nifti_mask import write_mask
from sammix.io.writers.segmentation import write_dicom_seg

NAME = "Q7PLANTED"
DESCRIPTION = "Q8DESCRIBED"
TEXT = {"PN", "LO", "SH", "LT", "ST", "UT", "UC", "AE", "UR"}
TAGS = [tag for tag, (kind, *_) in DicomDictionary.items() if kind in TEXT and tag > 0x00080000]
USUAL = ("PatientName", "PatientID", "PatientComments", "ReferringPhysicianName", "OperatorsName", "AccessionNumber")
FILES = 36


def plant(file: Path, n: int) -> None:
    """A name in the usual tags, in a nested and in a private one; over all files, in every tag that can hold text."""
    data = pydicom.dcmread(file)
    for tag in TAGS[n::FILES]:
        data.add_new(tag, DicomDictionary[tag][0], NAME)
    for keyword in USUAL:
        setattr(data, keyword, NAME)
    other = pydicom.Dataset()
    other.PatientID, other.PatientName = NAME, NAME
    data.OtherPatientIDsSequence = [other]
    data.private_block(0x0011, NAME, create=True).add_new(1, "LO", NAME)
    data.PatientBirthDate = "19010203"
    data.SeriesDescription = DESCRIPTION
    data.ImageType = ["ORIGINAL", "PRIMARY", NAME]
    data.save_as(file)


@pytest.fixture(scope="module")
def patients(tmp_path_factory: pytest.TempPathFactory, write_dicom: Callable[..., Path]) -> Path:
    """Six phantoms as DICOM with masks of the liver: one in two is a DICOM-SEG."""
    root = tmp_path_factory.mktemp("patients")
    for n in range(6):
        phantom = make_phantom(n, PORTAL.at((48, 48, 6)))
        folder, lps = root / f"p{n}", np.diag([-1, -1, 1, 1]) @ phantom.affine
        spacing = np.linalg.norm(lps[:3, :3], axis=0)
        for k in range(phantom.hu.shape[2]):
            tags = {
                "ImageOrientationPatient": (lps[:3, :2] / spacing[:2]).T.ravel().round(6).tolist(),
                "ImagePositionPatient": (lps[:3, 3] + k * lps[:3, 2]).round(4).tolist(),
                "PixelSpacing": [spacing[1].round(5), spacing[0].round(5)],
                "StudyInstanceUID": f"1.5.{n}",
                "SeriesInstanceUID": f"1.5.{n}.1",
                "SOPInstanceUID": f"1.5.{n}.1.{k}",
            }
            stored = np.ascontiguousarray((phantom.hu[..., k].T + 1024).clip(0, 4000).astype(np.uint16))
            plant(write_dicom(folder / f"dicom/{k}.dcm", stored, **tags), 6 * n + k)
        scan = read_dicom(folder / "dicom")
        mask = Volume(phantom.mask, phantom.affine).resample_to(scan)
        if n % 2:
            write_dicom_seg(folder / "liver.dcm", mask.array, source_images(folder / "dicom"), "liver", "by hand")
        else:
            write_mask(folder / "liver.nii.gz", mask.array, scan)
    return root


def break_them(patients: Path, folder: Path) -> None:
    """Copies of a patient's series that fail in several ways, each with the name close to what is wrong."""
    for name in ("gap", "cut", "garbled", "twice", "emptied", "charset"):
        shutil.copytree(patients / "p0/dicom", folder / name)
        series = f"1.6.{len(list(folder.iterdir()))}"
        for file in (folder / name).iterdir():  # each a series of its own: one over several folders is one scan
            data = pydicom.dcmread(file)
            data.SeriesInstanceUID, data.SOPInstanceUID = series, f"{series}.{file.stem}"
            data.file_meta.MediaStorageSOPInstanceUID = data.SOPInstanceUID
            data.save_as(file)
    (folder / "gap/3.dcm").unlink()
    content = (folder / "cut/2.dcm").read_bytes()
    at = content.index(NAME.encode())
    (folder / "cut/2.dcm").write_bytes(content[: at + len(NAME)])
    length = content.index(b"\x10\x00\x10\x00PN") + 6  # of the patient's name: now it reaches over all that follows
    (folder / "garbled/2.dcm").write_bytes(content[:length] + b"\xff\xff" + content[length + 2 :])
    for file in (patients / "p1/dicom").iterdir():
        shutil.copy(file, folder / "twice" / f"other {file.name}")
    for file in [*(folder / "emptied").iterdir(), *(folder / "charset").iterdir()]:
        data = pydicom.dcmread(file)
        if file.parent.name == "emptied":
            data.StudyInstanceUID = data.SOPInstanceUID = data.file_meta.MediaStorageSOPInstanceUID = ""
        data.SpecificCharacterSet = NAME[:16]
        data.add_new("PatientBirthDate", "DA", NAME)
        data.save_as(file, enforce_file_format=False)


def holds(path: Path, words: tuple[str, ...]) -> list[str]:
    """Which words are in a file, also where it is compressed."""
    content = path.read_bytes()
    if path.suffix == ".gz":
        content = gzip.decompress(content)
    if path.suffix == ".png":
        image = Image.open(path)
        content += repr(image.info).encode()
    return [word for word in words if word.encode() in content or word.encode("utf-16-le") in content]


def run(arguments: list[object], monkeypatch: pytest.MonkeyPatch) -> int:
    """The exit code; Python's warnings go to standard error, as outside of pytest."""
    monkeypatch.setattr(sys, "argv", ["sammix", *map(str, arguments)])
    with warnings.catch_warnings(record=True) as heard:
        warnings.simplefilter("always")
        try:
            main()
        except SystemExit as leave:
            return int(leave.code or 0)
        finally:
            print(*(warning.message for warning in heard), sep="\n", file=sys.stderr)
    return 0


def test_no_name_reaches_what_is_printed_or_written(
    patients: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    scans, out = tmp_path / "scans", tmp_path / "out"
    scans.mkdir()
    break_them(patients, scans / "bad")
    shutil.make_archive(str(scans / "archive"), "zip", patients, "p2")
    work = [
        (0, ["prepare", patients, "--out", out / "store.h5", "--preset", "tiny"]),
        (0, ["fit", patients, "--preset", "tiny", "--labels", "4", "--set", "fit.epochs=1", "--out", out / "run"]),
        (1, ["predict", out / "run", scans / "bad", scans / "archive.zip", "--preview", "--out", out / "masks"]),
        (1, ["predict", out / "run", scans / "bad", scans / "archive.zip", "--skip-done", "--out", out / "masks"]),
        (0, ["evaluate", out / "run", patients, "--split", "test", "--out", out / "evaluation"]),
        (0, ["report", out / "evaluation", "--out", out / "report.html"]),
    ]
    codes = [run(arguments, monkeypatch) for _, arguments in work]
    printed = "".join(capfd.readouterr())
    assert codes == [code for code, _ in work], printed
    assert all(word not in printed for word in (NAME, DESCRIPTION, "19010203"))
    written = [path for path in out.rglob("*") if path.is_file()]
    assert {".json", ".jsonl", ".csv", ".html", ".png", ".gz", ".h5"} <= {path.suffix for path in written}
    assert [path for path in written if holds(path, (NAME, DESCRIPTION, "19010203"))] == []
    manifest = json.loads((out / "masks/manifest.json").read_text())["scans"]
    assert {scan["name"] for scan in manifest if scan["status"] == "failed"} == {"cut", "garbled", "gap"}

    # In DICOM the patient goes along, into the segmentation and nowhere else.
    assert run(["predict", out / "run", scans / "bad", "--format", "dicom-seg", "--out", out / "seg"], monkeypatch) == 1
    printed = "".join(capfd.readouterr())
    assert all(word not in printed for word in (NAME, DESCRIPTION, "19010203"))
    named = {path.suffix for path in (out / "seg").rglob("*") if path.is_file() and holds(path, (NAME, DESCRIPTION))}
    assert named == {".dcm"}

    # A series' description is shown to whoever asks for it.
    assert run(["info", scans / "bad/twice"], monkeypatch) == 0
    printed = "".join(capfd.readouterr())
    assert DESCRIPTION in printed
    assert NAME not in printed
