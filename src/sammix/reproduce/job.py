"""One job of the grid: fit, evaluate in-domain and across, and write the result last."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import torch
from torch import nn

from sammix.config import Config
from sammix.data.lineage import Lineage, lineage_of
from sammix.data.loading import load_table
from sammix.data.preprocess import Preprocess
from sammix.data.splits import TEST, VAL, choose_annotated
from sammix.data.store import open_store
from sammix.data.table import SliceTable
from sammix.evaluation.patients import UNSEEN
from sammix.evaluation.protocol import EvaluateOptions, evaluate
from sammix.evaluation.rows import SliceRow
from sammix.evaluation.schema import PROTOCOL_PX, Overlap
from sammix.files import write_text
from sammix.models.card import read_card
from sammix.models.devices import pick_device
from sammix.models.registry import kind_of
from sammix.models.saved import load_model
from sammix.networks.interface import MASK_THRESHOLD, Network, Segmenter
from sammix.report.evaluation import write_evaluation
from sammix.reproduce.methods import METHODS, Domain
from sammix.reproduce.nnunet_v2 import EPOCHS, Recorded, Workspace, export, find_programs, run
from sammix.reproduce.plan import Job
from sammix.reproduce.result import Oracle, Result, Scores, StoredMask, pack
from sammix.reproduce.stores import Stores
from sammix.training.fitting import FitRequest, Hardware, fit
from sammix.training.run_folder import CHECKPOINT, PREVIOUS, RunFolder

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
    if METHODS[job.method].preset is None:
        table = load_table(stores.in_domain, config.data)
        model = _Model(_real_nnunet(stores, folder / "nnunet", config, device), table.organ, config, lineage_of(table))
    else:
        network = _fitted(job, stores, folder, device)
        card = read_card(folder / "run")
        model = _Model(network, card.organ, config, card.lineage)
    seconds = time.monotonic() - start
    domains: dict[Domain, list[Scores]] = {
        "in-domain": [_evaluate(model, open_store(stores.in_domain), TEST, folder / "in-domain")],
        "across": [
            _evaluate(model, open_store(path), UNSEEN, folder / f"across-{number}")
            for number, path in enumerate(stores.across, start=1)
        ],
    }
    result = Result(
        method=job.method,
        labels=job.labels,
        seed=job.seed,
        settings=list(job.settings),
        epochs=EPOCHS if network is None else kind_of(config.model).epochs(config, job.labels),
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


def _fitted(job: Job, stores: Stores, folder: Path, device: str) -> Network:
    """Train a job's network, or what is left of it."""
    cache = stores.in_domain.parent / "features"  # the same for every job of SAM's family
    asked = FitRequest(job.config(), "all" if job.labels is None else job.labels, job.seed)
    resume = (folder / "run" / "config.json").is_file()
    fit(stores.in_domain, RunFolder(folder / "run", cache), asked, Hardware(device), resume=resume)
    return load_model(folder / "run", pick_device(device))


@dataclass(frozen=True)
class _Model:
    """What is evaluated, and the patients that it knows."""

    segmenter: Segmenter
    organ: str
    config: Config
    lineage: Lineage


def _evaluate(model: _Model, table: SliceTable, split: str, out: Path) -> Scores:
    options = EvaluateOptions(model.organ, split, model.config.data.middle_fraction, batch_size=BATCH)
    found = evaluate(model.segmenter, table, options, model.lineage)
    write_evaluation(out, found, overwrite=True)
    rows = [(row, row.automatic) for row in found.slices if row.automatic is not None]
    oracle = found.metrics.oracle_box
    return Scores(
        dataset=table.name,
        fingerprint=table.fingerprint,
        patient=[row.patient for row, _ in rows],
        case=[row.case for row, _ in rows],
        slice=[row.slice for row, _ in rows],
        dice=[round(score.dice, 6) for _, score in rows],
        hausdorff_px=[round(score.hausdorff_px, 6) for _, score in rows],
        missed=found.metrics.paper.missed,
        auc=found.metrics.presence.auc,
        oracle=_oracle(oracle),
        pictures=_pictures(model.segmenter, table, [row for row, _ in rows]),
    )


def _oracle(oracle: Overlap | None) -> Oracle | None:
    if oracle is None or oracle.dice.mean is None or oracle.hausdorff_px.mean is None:
        return None
    return Oracle(dice=oracle.dice.mean, hausdorff_px=oracle.hausdorff_px.mean)


def _pictures(segmenter: Segmenter, table: SliceTable, rows: list[SliceRow]) -> list[StoredMask]:
    """Segment a few slices, chosen by the truth's area alone: the same for every method."""
    by_area = sorted(rows, key=lambda row: (row.truth_px or 0, row.case, row.slice))
    quantiles = (np.arange(EXHIBITS) + 0.5) / EXHIBITS
    pictures = []
    for place in np.unique((quantiles * len(by_area)).astype(int)) if by_area else ():
        case, index = by_area[place].case, by_area[place].slice
        image = np.asarray(table.images[find_row(table, case, index)], np.float32)
        with torch.inference_mode():
            found = segmenter.segment(segmenter.encode(torch.from_numpy(image)[None, None])).probability
        on_grid = segmenter.preprocess.restore(found.float().cpu().numpy(), (PAPER_GRID.size, PAPER_GRID.size))[0]
        pictures.append(StoredMask(case=case, slice=index, mask=pack(on_grid >= MASK_THRESHOLD)))
    return pictures


def find_row(table: SliceTable, case: str, index: int) -> int:
    """Find the row of a case's slice."""
    return int(np.flatnonzero((table.case == case) & (table.index == index))[0])


def _real_nnunet(stores: Stores, root: Path, config: Config, device: str) -> Recorded:
    find_programs()  # before anything is written
    table = load_table(stores.in_domain, config.data)
    val = table.rows(VAL)
    known = val[table.has_mask[val] | (table.label[val] == 0)]
    others = [(other, np.arange(len(other))) for other in map(open_store, stores.across)]
    workspace = Workspace(root, table.organ)
    files = export(
        workspace,
        table,
        kind_of(config.model).rows(table, choose_annotated(table, None, 0)),
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
    """Estimate a resumed fit's seconds: its epochs times the median distance of their ends."""
    ends = [datetime.fromisoformat(json.loads(line)["time"]) for line in log.read_text().splitlines()]
    return len(ends) * median([(b - a).total_seconds() for a, b in pairwise(ends)] or [0.0])
