"""One change at a time: what each part of the preset ``lite`` buys, on validation patients and on masks it did not see.

    python benchmarks/ablation.py ../shared/data/liver-slices --out runs/ablation --seeds 1

Every run draws the same slices for the same seed and shares the frozen stages' features, so that a configuration costs
minutes on two CPU cores. What was measured is kept in ``ablation.csv`` and not measured again, nor is a run that is
there already: the script can be stopped and started again.

Validation hardly has small sections, so Dice is told of training slices, too, whose masks the fit did not see (see
``hidden.py``), and by size of those. The other figures are of the validation patients. The test split is not touched.
"""

from __future__ import annotations

import argparse
import json
import re
from pathlib import Path
from typing import Any

from hidden import dice_and_by_size, hidden_rows, seen_by
from kept import Kept
from real_ct import sammix

from sammix.data.loading import load_table
from sammix.models.card import read_card

LABELS = 50
NOTHING_BUT_THE_FRAME = (
    "model.omega=1e-30",  # all pixels are active: the box is the frame
    "model.box=hull",
    "model.mask_sharpness=1e-6",  # and the mask prompt is flat
    "model.refinements=0",
    "fit.true_box_share=0",
    "fit.misled_share=0",
)
CHANGES: dict[str, tuple[str, ...]] = {
    "lite": (),
    "no prompts: the whole frame": NOTHING_BUT_THE_FRAME,
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
    "half of the views painted": ("fit.painted=0.5",),
    "five epochs": ("fit.epochs=5",),
    "hard mask prompt": ("model.mask_prompt=hard",),
    "box around all active pixels": ("model.box=hull",),
    "omega 0.4": ("model.omega=0.4",),
    "last mask": ("model.mask_choice=last",),
}
KEPT = Kept(
    Path(__file__).with_name("ablation.csv"),
    ["validation", "hidden", "< 500 px", "500 to 1,999 px", "< 0.7", "true box", "box IoU", "AUC"],
    against=("lite", "hidden"),
    order=list(CHANGES),
)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--seeds", type=int, default=1)
    parser.add_argument("--only", action="append", choices=list(CHANGES), help="may be repeated; all by default")
    arguments = parser.parse_args()
    for seed in range(arguments.seeds):
        for change in arguments.only or CHANGES:
            if seed not in KEPT.seeds(change):
                KEPT.add(change, seed, validated(arguments.data, arguments.out, seed, change))
    print(KEPT.markdown())


def validated(data: Path, out: Path, seed: int, change: str) -> list[float | None]:
    """Fit with a change and measure, unless that is done; the row's figures."""
    name = re.sub(r"\W+", "-", change)
    run = out / f"{name}-labels-{LABELS}-seed-{seed}"
    hidden = run / "hidden.json"
    if not hidden.exists():
        settings = [word for setting in CHANGES[change] for word in ("--set", setting)]
        cache = out / ("plain-features" if change == "no augmentation" else "features")
        resume = ["--resume"] if (run / "config.json").exists() else settings
        sammix("fit", data, "--labels", LABELS, "--seed", seed, "--cache", cache, "--out", run, *resume)
        sammix("evaluate", run, data, "--split", "val", "--out", run / "val", "--overwrite")
        card = read_card(run)
        table = load_table(data, card.data_config())
        hidden.write_text(json.dumps(dice_and_by_size(run, table, hidden_rows(table, seen_by(card)))))
    metrics: dict[str, Any] = json.loads((run / "val" / "metrics.json").read_text())
    dice = metrics["paper"]["dice"]
    oracle, iou = metrics["oracle_box"]["dice"]["mean"], metrics["prompts"]["box_iou"]["mean"]
    unseen = json.loads(hidden.read_text())[:3]
    return [dice["mean"], *unseen, dice["below_0_7"], oracle, iou, metrics["presence"]["auc"]]


if __name__ == "__main__":
    main()
