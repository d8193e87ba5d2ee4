"""Make the second version of the shipped model, ``liver-ct-lite-2``, and measure it on patients that it has not seen.

    python benchmarks/shipped_model.py ../shared/data --out runs/shipped

``DATA`` is as for ``real_ct.py``. Of the slice table, only sources take part whose licence lets a derived model be
given on. The masks of all their training patients are used; the epoch is chosen on their validation patients.
It goes on from the first version, ``liver-ct-lite-1``, with whole series that have yes/no labels alone. The third
version is made of it by ``shipped_student.py``.
"""

from __future__ import annotations

import argparse
import csv
import shutil
from pathlib import Path

import torch
from real_ct import OTHERS, evaluate_all, print_table, sammix

from sammix.files import write_csv
from sammix.models.card import read_card
from sammix.models.registry import build_model
from sammix.models.saved import load_weights, save_model

NAME, VERSION, START = "liver-ct-lite-2", "2", "liver-ct-lite-1"
SERIES = "yes-no-series"
SOURCES = {
    "msd-liver": "CC BY-SA 4.0",
    "msdlung": "CC BY-SA 4.0",
    "msdspleen": "CC BY-SA 4.0",
    "siim": "CC BY 3.0",
    "crlm": "CC BY 4.0",
    "lidc": "CC BY 3.0",
    "kidneystone-kaggle": "CC BY 4.0",
    "kidneystone-mendeley": "CC BY 4.0",
}
OF_SERIES = {
    "tcia-acrin": "CC BY 3.0 or 4.0 (TCIA)",
    "tcia-c3l": "CC BY 3.0 or 4.0 (TCIA)",
    "tcia-hcc": "CC BY 3.0 or 4.0 (TCIA)",
    "tcia-tcga": "CC BY 3.0 or 4.0 (TCIA)",
}
SETTINGS = ("fit.epochs=4", "fit.decoded=6", "fit.views=363")  # it goes on from a model that knows the masks


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    table, run = arguments.out / "licensed-slices", arguments.out / "run"
    copy_licensed(arguments.data / "liver-slices", table)
    add_series(arguments.data / SERIES, table)
    settings = [word for setting in SETTINGS for word in ("--set", setting)]
    sammix("fit", table, "--from", START, "--labels", "all", "--seed", arguments.seed, "--out", run, *settings)
    shipped = arguments.out / NAME
    ship(run, shipped, VERSION)
    evaluate_all(shipped, arguments.data, arguments.out)
    print_table(arguments.out, ("liver-slices", *OTHERS))
    print(f"{shipped}: {sum(file.stat().st_size for file in shipped.iterdir()) / 1e6:.1f} MB")


def copy_licensed(source: Path, target: Path) -> None:
    """The slice table without the sources that may not be built upon."""
    with open(source / "slices.csv", newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["source"] in SOURCES]
    target.mkdir(parents=True)
    for row in rows:
        for picture in filter(None, (row["image"], row["mask"])):
            (target / picture).parent.mkdir(exist_ok=True)
            shutil.copy(source / picture, target / picture)
    shutil.copy(source / "dataset.yaml", target)
    write_csv(target / "slices.csv", list(rows[0]), rows)


def add_series(source: Path, target: Path) -> None:
    """Add the series' slices and their yes/no labels to the table."""
    with open(target / "slices.csv", newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    with open(source / "slices.csv", newline="", encoding="utf-8") as file:
        series = [{name: row.get(name, "") for name in rows[0]} for row in csv.DictReader(file)]
    for row in series:
        shutil.copy(source / row["image"], target / row["image"])
    write_csv(target / "slices.csv", list(rows[0]), rows + series)


def ship(model: Path, folder: Path, version: str, facts: tuple[str, ...] = ("fingerprint", "seed", "labels")) -> None:
    """Save a model in half precision, under the folder's name, with what its card has to say.

    The list of every slice is left out; ``facts`` are what stays of what its data is known by.
    """
    card = read_card(model)
    known = {name: card.data[name] for name in facts}
    shipped = card.model_copy(
        update={
            "name": folder.name,
            "version": version,
            "data": {"name": f"liver-slices, licensed sources, and {SERIES}", **known, "sources": SOURCES | OF_SERIES},
            "licence": "CC BY-SA 4.0",
            "notes": "Not a medical device, not for clinical use. See MODEL_CARD.md.",
        }
    )
    network, base = build_model(card.config, card.preprocess, folder.name)
    load_weights(network, base, model)
    save_model(folder, network, shipped, dtype=torch.float16)


if __name__ == "__main__":
    main()
