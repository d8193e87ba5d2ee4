"""Make the models that come with the package of a student and its teacher, and measure all three side by side.

    python benchmarks/shipped_student.py ../shared/data --out runs/student

``DATA`` is as for ``shipped_model.py``. The student of ``liver-ct-lite-2`` learns from the same slices as its teacher.
By itself it is ``liver-ct-fast``. In the place of its teacher's classifier it makes ``liver-ct-lite``, version 3. The
epoch is chosen on validation patients; the rest is measured on those that none of the three has learned from.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import torch
from real_ct import OTHERS, print_table, sammix
from shipped_model import OF_SERIES, SERIES, SOURCES, copy_licensed

from sammix.models.card import read_card
from sammix.models.registry import build_model
from sammix.models.saved import load_weights, save_model

TEACHER = "liver-ct-lite-2"
SHIPPED = {"model": ("liver-ct-fast", "1"), "prompted": ("liver-ct-lite", "3")}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    table, run = arguments.out / "licensed-slices", arguments.out / "run"
    copy_licensed(arguments.data / "liver-slices", table)
    sammix("distill", TEACHER, table, arguments.data / SERIES, "--seed", arguments.seed, "--out", run)
    shipped = [ship(run / part, arguments.out, *named) for part, named in SHIPPED.items()]
    for model in (*shipped, Path(TEACHER)):
        reports = arguments.out / "reports" / model.name
        for name in ("liver-slices", *OTHERS):
            sammix("evaluate", model, arguments.data / name, "--out", reports / name)
        print_table(reports, ("liver-slices", *OTHERS))
    for folder in shipped:
        print(f"{folder}: {sum(file.stat().st_size for file in folder.iterdir()) / 1e6:.1f} MB")


def ship(model: Path, out: Path, name: str, version: str) -> Path:
    """Save a model in half precision, with what the card has to say and without the list of every slice."""
    card = read_card(model)
    facts = {key: card.data[key] for key in ("fingerprint", "seed", "labels", "teacher", "teacher_sha256")}
    shipped = card.model_copy(
        update={
            "name": name,
            "version": version,
            "data": {"name": f"liver-slices, licensed sources, and {SERIES}", **facts, "sources": SOURCES | OF_SERIES},
            "licence": "CC BY-SA 4.0",
            "notes": "Not a medical device, not for clinical use. See MODEL_CARD.md.",
        }
    )
    network, base = build_model(card.config, card.preprocess, name)
    load_weights(network, base, model)
    save_model(out / name, network, shipped, dtype=torch.float16)
    return out / name


if __name__ == "__main__":
    main()
