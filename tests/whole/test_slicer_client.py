"""``sammix label --slicer``, driven by MONAI Label's own client, as 3D Slicer's module drives it.

The client is in an environment of its own, ``build/monailabel``, which ``.ci/run`` makes: its package asks for other
versions than sammix. It is a process of its own, which takes a call a line.
"""

from __future__ import annotations

import json
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
import SimpleITK as sitk
from tests.patience import until

from sammix.demo.phantoms import PORTAL, write_lits
from sammix.io import read_volume
from sammix.io.volume import Volume
from sammix.label.gestures import Record

PYTHON = Path(__file__).parents[2] / "build/monailabel/bin/python"

PROGRAM = """
import json, sys
from monailabel.client import MONAILabelClient
client = MONAILabelClient(*sys.argv[1:])
for line in sys.stdin:
    name, given = json.loads(line)
    try:
        told = {"told": getattr(client, name)(**given)}
    except Exception as error:
        told = {"error": getattr(error, "msg", repr(error))}
    print(json.dumps(told), flush=True)
"""

Call = Callable[..., Any]


class Refused(Exception):
    """What the client says of an answer that is no 200."""


@pytest.fixture
def slicer(start_sammix: Callable[..., subprocess.Popen[str]], tmp_path: Path) -> Iterator[Call]:
    """``slicer("info")`` → what MONAI Label's client gives, of a server of three phantoms with masks of two slices."""
    if not PYTHON.is_file() or subprocess.run([PYTHON, "-c", "import monailabel.client"], check=False).returncode:
        pytest.skip("no MONAI Label: its client is not in build/monailabel (see .ci/run)")
    write_lits(tmp_path / "study", 3, 0, PORTAL.at((72, 72, 12)))
    for mask in (tmp_path / "study").glob("segmentation-*"):
        mask.rename(tmp_path / mask.name)
    options = ("--store", tmp_path / "labels", "--port", "0", "--preset", "tiny", "--no-open", "--quiet", "--slicer")
    program = start_sammix("label", tmp_path / "study", *options)
    assert program.stdout is not None
    address = program.stdout.readline().partition("?")[0].rstrip("/")
    (tmp_path / "slicer").mkdir()
    client = subprocess.Popen(
        [PYTHON, "-c", PROGRAM, address, tmp_path / "slicer", "ada"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )

    def call(name: str, **given: Any) -> Any:
        assert client.stdin is not None
        assert client.stdout is not None
        client.stdin.write(json.dumps([name, given]) + "\n")
        client.stdin.flush()
        told = json.loads(client.stdout.readline())
        if "error" in told:
            raise Refused(told["error"])
        return told["told"]

    yield call
    client.stdin.close()
    client.wait(60)
    client.stdout.close()


def save(path: Path, array: np.ndarray, scan: Volume) -> str:
    nib.save(nib.Nifti1Image(array, scan.affine), path)
    return str(path)


def test_from_the_first_scan_to_a_models_proposal_and_back(slicer: Call, tmp_path: Path) -> None:
    """One way through all that the module does, because a server and a training cost seconds."""
    # connect, as the module does when the server's address is given
    assert slicer("auth_enabled") is False
    info = slicer("info")
    organ = info["labels"][0]
    assert (info["models"], info["datastore"]["completed"]) == ({}, 0)
    assert slicer("train_status", check_if_running=True) is False
    with pytest.raises(Refused, match="Status: 404"):
        slicer("train_status")

    # next sample, its drawing, submit; twice
    names = [{"name": name, "idx": n} for n, name in enumerate(info["labels"], 1)]
    ids = []
    for _ in range(3):
        sample = slicer("next_sample", strategy="most helpful", params={})
        ids.append(sample["id"])
        scan = read_volume(sample["path"])
        truth = read_volume(tmp_path / Path(sample["path"]).name.replace("volume", "segmentation"))
        drawn = (truth.array > 0).astype(np.uint8)
        shown = np.flatnonzero(drawn.any(axis=(0, 1)))
        drawn[..., shown[2:]] = 0  # two slices are drawn
        others = [k for k in range(12) if k not in shown]
        drawn[0, 0, others] = 2  # one stroke in each that shows nothing
        label = save(tmp_path / "label.nii.gz", drawn, scan)
        told = slicer("save_label", image_id=sample["id"], label_in=label, params={"label_info": names})
        assert told["image"] == sample["id"]
        assert told["sammix"]["slices"] == {"drawn": 2, "no": len(others), "unchanged": 0}
    assert len(set(ids)) == 3
    assert slicer("info")["datastore"]["completed"] == 3
    assert slicer("datastore")["objects"][ids[0]]["labels"]["original"]["info"]["params"]["label_names"] == {organ: 1}
    back = nib.load(slicer("download_label", label_id=ids[2], tag="original"))
    np.testing.assert_array_equal(back.get_fdata(), drawn == 1)

    # train: one at a time, stop, and again until it is done
    task = slicer("train_start", model="quick", params={})
    assert task["status"] == "RUNNING"
    assert slicer("train_status", check_if_running=True) is True
    with pytest.raises(Refused, match="Status: 429"):
        slicer("train_start", model="quick", params={})
    stopped = slicer("train_stop")
    assert (stopped["id"], stopped["status"], len(stopped["details"])) == (task["id"], "STOPPED", 1)
    assert slicer("train_stop") is None
    assert slicer("train_start", model=None, params={})["quick"]["result"]["status"] == "RUNNING"
    until(lambda: slicer("train_status")["status"] != "RUNNING", 300)
    assert slicer("train_status")["status"] == "DONE"
    info = slicer("info")
    stats = info["train_stats"]["quick"]
    assert stats["epoch"] == stats["total_epochs"] > 0
    (model,) = info["models"].values()
    assert (model["type"], model["labels"]) == ("segmentation", {organ: 1})

    # segment
    wanted = {"result_extension": ".nrrd", "result_dtype": "uint8"}
    path, params = slicer("infer", model="sammix", image_id=ids[0], params=wanted)
    assert params["label_names"] == {organ: 1}
    assert path.endswith(".nrrd")
    proposed = sitk.GetArrayFromImage(sitk.ReadImage(path)).transpose(2, 1, 0)
    scan = read_volume(tmp_path / "study/volume-0.nii")
    assert proposed.shape == scan.array.shape

    # submitted as it was, a proposal is on record as one; corrected, as corrected
    record, own = Record(tmp_path / "labels/answers.sqlite"), proposed.copy()
    yes = [k for k in range(12) if proposed[..., k].any() and record.current("volume-0")[k].label != 0]
    own[5:9, 5:9, 11] = 1
    (changed,) = yes[:1] or [None]
    if changed is not None:  # the toy network may see nothing
        own[:4, :4, changed] = 1
    label = save(tmp_path / "label.nii.gz", own, scan)
    slicer("save_label", image_id=ids[0], label_in=label, params={"label_info": names})
    how = {k: record.current("volume-0")[k].mask_how for k in [*yes, 11]}
    assert how[11] == ("corrected" if proposed[..., 11].any() else "slicer")
    if changed is not None:
        assert how.pop(changed) == "corrected"
    how.pop(11)
    assert set(how.values()) <= {"accepted"}

    # a scan of Slicer's own
    sent = save(tmp_path / "own.nii.gz", scan.array[::-1].copy(), scan)
    assert slicer("upload_image", image_in=sent, image_id="Own scan 1") == {"image": "Own scan 1"}
    assert slicer("info")["datastore"]["total"] == 4
    label = save(tmp_path / "label.nii.gz", drawn, scan)
    slicer("save_label", image_id="Own scan 1", label_in=label, params={"label_info": names})
    assert [one.mask_how for one in record.current("Own scan 1").values() if one.label == 1] == ["slicer"] * 2
    record.close()
    with pytest.raises(Refused, match="detail"):
        slicer("save_label", image_id="Own scan 2", label_in=label, params={})
    between = scan.affine.copy()
    between[:, 3] += 0.5 * between[:, 0]  # half a pixel aside
    label = save(tmp_path / "label.nii.gz", drawn, Volume(scan.array, between))
    with pytest.raises(Refused, match="do not lie on those of the scan"):
        slicer("save_label", image_id=ids[0], label_in=label, params={})
