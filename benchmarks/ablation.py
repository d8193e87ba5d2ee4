"""One change at a time: what each part of the preset ``lite`` buys, on validation patients and on masks it did not see.

    python benchmarks/ablation.py ../shared/data/liver-slices --out runs/ablation --labels 50 --seeds 1

Every run draws the same slices for the same seed and shares the frozen stages' features, so that a configuration costs
minutes on two CPU cores. A run that is there already is kept: the script can be stopped and started again.

Validation hardly has small sections, so Dice is told of training slices, too, whose masks the fit did not see (see
``hidden.py``), and by size of those. The other figures are of the validation patients. The test split is not touched.
"""

from __future__ import annotations

import argparse
import json
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hidden import dice_and_by_size, drawn_for, hidden_rows
from real_ct import sammix

from sammix.data import load_table
from sammix.saved_model import read_card

CHANGES: dict[str, tuple[str, ...]] = {
    "lite": (),
    "masks do not teach the map": ("fit.map_weight=0",),
    "pooled classifier": ("model.classifier=pooled",),
    "ResNet-38, an eighth as wide": ("model.classifier=resnet38", "model.classifier_width=0.125"),
    "masks met by chance": ("fit.sampling=shuffled",),
    "decoder only, no LoRA": ("model.lora_blocks=0",),
    "LoRA in two blocks": ("model.lora_blocks=2",),
    "no refinement": ("model.refinements=0",),
    "no misled prompts": ("fit.misled_share=0",),
    "no jittered true boxes": ("fit.true_box_share=0",),
    "no augmentation": ("fit.augment=false",),
    "hard mask prompt": ("model.mask_prompt=hard",),
    "box around all active pixels": ("model.box=hull",),
    "omega 0.4": ("model.omega=0.4",),
    "last mask": ("model.mask_choice=last",),
    "12 epochs": ("fit.epochs=12",),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--labels", default="50")
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", action="append", choices=list(CHANGES), help="may be repeated; all by default")
    arguments = parser.parse_args()
    print("| change | validation | hidden | < 500 px | 500 to 1,999 px | < 0.7 | oracle box | box IoU | AUC |")
    print("|---|---|---|---|---|---|---|---|---|")
    for change in arguments.only or CHANGES:
        found = [
            validated(arguments.data, arguments.out, arguments.labels, seed, change) for seed in range(arguments.seeds)
        ]
        print(
            f"| {change} | {' | '.join(summary([row[i] for row in found]) for i in range(len(found[0])))} |", flush=True
        )


def validated(data: Path, out: Path, labels: str, seed: int, change: str) -> list[float | None]:
    """Fit with a change and measure, unless that is done; the row's figures."""
    name = change.replace(" ", "-").replace(",", "")
    run = out / f"{name}-labels-{labels}-seed-{seed}"
    hidden = run / "hidden.json"
    if not hidden.exists():
        settings = [word for setting in CHANGES[change] for word in ("--set", setting)]
        cache = out / ("plain-features" if change == "no augmentation" else "features")
        resume = ["--resume"] if (run / "config.json").exists() else settings
        sammix("fit", data, "--labels", labels, "--seed", seed, "--cache", cache, "--out", run, *resume)
        sammix("evaluate", run, data, "--split", "val", "--out", run / "val", "--overwrite")
        card = read_card(run)
        table = load_table(data, card.data_config())
        hidden.write_text(json.dumps(dice_and_by_size(run, table, hidden_rows(table, drawn_for(card)))))
    metrics: dict[str, Any] = json.loads((run / "val" / "metrics.json").read_text())
    dice = metrics["paper"]["dice"]
    oracle, iou = metrics["oracle_box"]["dice"]["mean"], metrics["prompts"]["box_iou"]["mean"]
    unseen = json.loads(hidden.read_text())[:3]
    return [dice["mean"], *unseen, dice["below_0_7"], oracle, iou, metrics["presence"]["auc"]]


def summary(values: Sequence[float | None], digits: int = 3) -> str:
    """Mean and, over several seeds, standard deviation."""
    known = [value for value in values if value is not None]
    if not known:
        return "–"
    spread = f" ± {statistics.stdev(known):.{digits}f}" if len(known) > 1 else ""
    return f"{statistics.mean(known):.{digits}f}{spread}"


if __name__ == "__main__":
    main()
