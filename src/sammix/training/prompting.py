"""A teacher whose student takes its classifier's place: the student's mask is then the map that prompts SAM."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file

from sammix.errors import InputError
from sammix.log import track
from sammix.models.card import find_model, read_card
from sammix.models.registry import build_model
from sammix.models.saved import load_model, load_trained_state, save_model, trained_state
from sammix.networks.interface import Network, Promptable
from sammix.networks.quality import calibrate
from sammix.training.batches import Batch, LiveSlices, as_they_are, at_hand, loader
from sammix.training.sources import FitData
from sammix.training.validation import VALIDATION_BATCH, validate

CLASSIFIER = "classifier."


def write_prompted_teacher(teacher: Path, student: Path, data: FitData, out: Path, device: torch.device) -> bool:
    """Put a student in the place of its teacher's classifier, measure that on the validation slices, and save it.

    SAM stays as the teacher has it. Its mask needs no further pass with its own mask as the map, since a student's map
    is as fine as a mask. Where this was done before, it is not done again.

    Args:
        teacher, student: folders of saved models.
        data: whose validation slices tell how good a mask is to be expected.
        out: the folder to write.

    Returns:
        Whether there is such a model: a teacher without prompts has no place for a student.
    """
    taught, own = read_card(student), read_card(teacher)
    model = own.config.model.model_copy(
        update={
            "classifier": "student",
            "classifier_width": taught.config.model.width,
            "refinements": 0,
        }
    )
    config = own.config.model_copy(update={"model": model})
    network, base = build_model(config, own.preprocess, name=f"{own.name}-prompted")
    if not isinstance(network, Promptable):
        return False
    of_teacher, of_student = (load_file(find_model(folder) / "model.safetensors") for folder in (teacher, student))
    state = {name: value for name, value in of_teacher.items() if not name.startswith(CLASSIFIER)}
    load_trained_state(network, state | {CLASSIFIER + name: value for name, value in of_student.items()}, student)
    if _made_before(out, network):
        return True
    card = taught.model_copy(update={"name": network.name, "config": config, "base_sha256": base})
    save_model(out, network, card.model_copy(update={"metrics": {}, "quality": None}))
    used, patients = load_model(out, device), np.asarray(data.table.patient[data.val])
    found = validate(used, _batches(used, data, device), patients)
    save_model(out, network, card.model_copy(update={"metrics": found.metrics, "quality": calibrate(found.measured)}))
    return True


def _made_before(out: Path, network: Network) -> bool:
    """Whether a folder holds just this model, measured: metrics are the last that is written."""
    try:
        measured, written = bool(read_card(out).metrics), load_file(out / "model.safetensors")
    except (InputError, SafetensorError, OSError):
        return False
    own = trained_state(network)
    return measured and own.keys() == written.keys() and all(torch.equal(own[name], written[name]) for name in own)


def _batches(network: Network, data: FitData, device: torch.device) -> Iterator[Batch]:
    """Make batches of the validation slices, as they are, with their features."""
    slices = LiveSlices(data.table, data.usable_masks, None)
    batches = loader(slices, as_they_are(data.val, VALIDATION_BATCH), workers=0, device=device)
    for batch in track(batches, "the teacher, prompted by its student"):
        with torch.inference_mode():
            yield at_hand(batch, network, device)
