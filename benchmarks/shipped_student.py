"""Make the student that comes with the package, ``liver-ct-fast``, and measure it beside its teacher.

    python benchmarks/shipped_student.py ../shared/data --out runs/fast

``DATA`` is as for ``shipped_model.py``; the student learns from the same slices as its teacher, ``liver-ct-lite``.
The epoch is chosen on the validation patients. Both are then measured on scans of hospitals that neither learned from.
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

NAME, VERSION, TEACHER = "liver-ct-fast", "1", "liver-ct-lite"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--set", action="append", default=[], dest="settings")
    arguments = parser.parse_args()
    table, run = arguments.out / "licensed-slices", arguments.out / "run"
    copy_licensed(arguments.data / "liver-slices", table)
    settings = [word for setting in arguments.settings for word in ("--set", setting)]
    sammix("distill", TEACHER, table, arguments.data / SERIES, "--seed", arguments.seed, "--out", run, *settings)
    shipped = arguments.out / NAME
    ship(run, shipped)
    for model in (shipped, TEACHER):
        reports = arguments.out / Path(model).name
        for name in ("liver-slices", *OTHERS):
            sammix("evaluate", model, arguments.data / name, "--out", reports / name)
        print_table(reports, ("liver-slices", *OTHERS))
    print(f"{shipped}: {sum(file.stat().st_size for file in shipped.iterdir()) / 1e6:.1f} MB")


def ship(run: Path, folder: Path) -> None:
    """The run's model in half precision, with what the card has to say and without the list of every slice."""
    card = read_card(run)
    facts = {name: card.data[name] for name in ("fingerprint", "seed", "labels", "teacher", "teacher_sha256")}
    shipped = card.model_copy(
        update={
            "name": NAME,
            "version": VERSION,
            "data": {"name": f"liver-slices, licensed sources, and {SERIES}", **facts, "sources": SOURCES | OF_SERIES},
            "licence": "CC BY-SA 4.0",
            "notes": "Not a medical device, not for clinical use. See MODEL_CARD.md.",
        }
    )
    model, base = build_model(card.config, card.preprocess, NAME)
    load_weights(model, base, run)
    save_model(folder, model, shipped, dtype=torch.float16)


if __name__ == "__main__":
    main()
