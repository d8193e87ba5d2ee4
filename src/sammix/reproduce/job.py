"""One job of the grid: fit, evaluate in-domain and across, and write the result last."""

from __future__ import annotations

import csv
import json
import time
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn

from sammix.config import Config
from sammix.data.preprocess import Preprocess
from sammix.data.splits import TEST, VAL, choose_annotated
from sammix.data.store import open_store
from sammix.data.table import SliceTable
from sammix.evaluation.protocol import evaluate
from sammix.evaluation.schema import PROTOCOL_PX
from sammix.files import write_text
from sammix.models.devices import pick_device
from sammix.models.learning import total_epochs, training_rows
from sammix.models.saved import load_model
from sammix.networks.interface import MASK_THRESHOLD, Segmenter
from sammix.reproduce.methods import METHODS, Domain
from sammix.reproduce.nnunet_v2 import EPOCHS, Recorded, Workspace, export, find_programs, run
from sammix.reproduce.plan import Job
from sammix.reproduce.result import Oracle, Result, Scores, StoredMask, pack
from sammix.reproduce.stores import Stores
from sammix.training.fitting import fit
from sammix.training.run_folder import CHECKPOINT, PREVIOUS

EXHIBITS = 4  # slices of each domain that are shown, for all methods the same
BATCH = 8  # slices at a time in evaluation
PAPER_GRID = Preprocess(size=PROTOCOL_PX)


def run_job(job: Job, stores: Stores, folder: Path, device: str) -> Result:
    """Do a job, or what is left of it, and leave ``result.json`` in ``folder``.

    Raises:
        SammixError: it cannot be done.
    """
    start, config = time.monotonic(), job.config()
    resumed = (folder / "run" / "config.json").is_file()
    network: nn.Module | None = None
    segmenter: Segmenter
    if METHODS[job.method].preset is None:
        segmenter = _real_nnunet(stores, folder / "nnunet", config, device)
    else:
        fit(
            stores.in_domain,
            config,
            folder / "run",
            labels=job.labels,
            seed=job.seed,
            resume=resumed,
            cache=stores.in_domain.parent / "features",  # the same for every job of SAM's family
            device=device,
        )
        segmenter = network = load_model(folder / "run", pick_device(device))
    seconds = time.monotonic() - start
    domains: dict[Domain, list[Scores]] = {
        "in-domain": [_evaluate(segmenter, open_store(stores.in_domain), TEST, folder / "in-domain")],
        "across": [
            _evaluate(segmenter, open_store(path), "all", folder / f"across-{number}")
            for number, path in enumerate(stores.across, start=1)
        ],
    }
    result = Result(
        method=job.method,
        labels=job.labels,
        seed=job.seed,
        settings=list(job.settings),
        epochs=EPOCHS if network is None else total_epochs(config, job.labels),
        parameters=_count(network),
        trained=_count(network, trained=True),
        fit_seconds=round(_seconds(folder / "run" / "log.jsonl") if resumed else seconds, 1),
        device=str(pick_device(device)),
        domains=domains,
    )
    write_text(folder / "result.json", result.model_dump_json() + "\n")
    for name in (CHECKPOINT, PREVIOUS):  # of no use any more, and the largest files
        (folder / "run" / name).unlink(missing_ok=True)
    return result


def _evaluate(segmenter: Segmenter, table: SliceTable, split: str, out: Path) -> Scores:
    metrics = evaluate(segmenter, table, out, split, batch_size=BATCH, overwrite=True)
    with (out / "slices.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["automatic_dice"]]
    oracle = metrics["oracle_box"]
    return Scores(
        dataset=table.name,
        fingerprint=table.fingerprint,
        patient=[row["patient"] for row in rows],
        case=[row["case"] for row in rows],
        slice=[int(row["slice"]) for row in rows],
        dice=[float(row["automatic_dice"]) for row in rows],
        hausdorff_px=[float(row["automatic_hausdorff_px"]) for row in rows],
        missed=metrics["paper"]["missed"],
        auc=metrics["presence"]["auc"],
        oracle=None
        if oracle is None
        else Oracle(dice=oracle["dice"]["mean"], hausdorff_px=oracle["hausdorff_px"]["mean"]),
        pictures=_pictures(segmenter, table, rows),
    )


def _pictures(segmenter: Segmenter, table: SliceTable, rows: list[dict[str, str]]) -> list[StoredMask]:
    """Masks of a few slices, chosen by the truth's area alone: the same whoever drew the masks."""
    by_area = sorted(rows, key=lambda row: (int(row["truth_px"]), row["case"], int(row["slice"])))
    quantiles = (np.arange(EXHIBITS) + 0.5) / EXHIBITS
    pictures = []
    for place in np.unique((quantiles * len(by_area)).astype(int)) if by_area else ():
        case, index = by_area[place]["case"], int(by_area[place]["slice"])
        image = np.asarray(table.images[find_row(table, case, index)], np.float32)
        with torch.inference_mode():
            found = segmenter.segment(segmenter.encode(torch.from_numpy(image)[None, None])).probability
        on_grid = segmenter.preprocess.restore(found.float().cpu().numpy(), (PAPER_GRID.size, PAPER_GRID.size))[0]
        pictures.append(StoredMask(case=case, slice=index, mask=pack(on_grid >= MASK_THRESHOLD)))
    return pictures


def find_row(table: SliceTable, case: str, index: int) -> int:
    """The row of a case's slice."""
    return int(np.flatnonzero((table.case == case) & (table.index == index))[0])


def _real_nnunet(stores: Stores, root: Path, config: Config, device: str) -> Recorded:
    find_programs()  # before anything is written
    table = open_store(stores.in_domain)
    val = table.rows(VAL)
    known = val[table.has_mask[val] | (table.label[val] == 0)]
    others = [(other, np.arange(len(other))) for other in map(open_store, stores.across)]
    workspace = Workspace(root, table.organ)
    files = export(
        workspace,
        table,
        training_rows(table, choose_annotated(table, None, 0), config),
        known,
        [(table, np.flatnonzero(table.split == TEST)), *others],
    )
    run(workspace, pick_device(device).type)
    return Recorded(files, workspace.predictions, table.preprocess)


def _count(network: nn.Module | None, trained: bool = False) -> int:
    if network is None:
        return 0
    return sum(p.numel() for p in network.parameters() if p.requires_grad or not trained)


def _seconds(log: Path) -> float:
    """A resumed fit's time: its epochs times the median distance of their ends."""
    ends = [datetime.fromisoformat(json.loads(line)["time"]) for line in log.read_text().splitlines()]
    return len(ends) * median([(b - a).total_seconds() for a, b in pairwise(ends)] or [0.0])
