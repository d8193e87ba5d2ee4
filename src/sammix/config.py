"""Presets and settings: YAML in, checked by pydantic, JSON out."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from importlib import resources
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from sammix.errors import ConfigError
from sammix.io.limits import PLAIN_NAME


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataConfig(_Section):
    """Which slices are used and how they are seen."""

    organ: str | None = Field(
        default=None, pattern=PLAIN_NAME, description="whose masks; null: what the data names, else the liver"
    )
    window_level: float | None = Field(default=None, description="HU; null: the data's own default, else 40")
    window_width: float | None = Field(default=None, gt=0, description="HU; null: the data's own, else 400")
    size: int = Field(default=256, ge=16, le=2048, description="px, side of the network's square input")
    middle_fraction: float = Field(default=1.0, gt=0, le=1, description="central share of a scan's slices")
    val_fraction: float = Field(default=0.15, ge=0, lt=1, description="of patients, where data has no splits")
    test_fraction: float = Field(default=0.2, ge=0, lt=1, description="of patients, where data has no splits")


class ModelConfig(_Section):
    """The network: SAM's encoder, the classifier, and how its map becomes prompts; or a baseline."""

    kind: Literal["sam-mix", "sam-pp", "unet", "nnunet-style", "transunet", "multimix"] = "sam-mix"
    width: float = Field(default=1.0, gt=0, le=64, description="channel multiplier of a baseline")
    encoder: Literal["lite-medsam", "sam-vit-b", "medsam-vit-b", "tiny"] = "lite-medsam"
    lora_rank: int = Field(default=8, ge=0, le=1024, description="of q and v; 0: no LoRA")
    lora_blocks: int = Field(default=1, ge=0, description="last blocks of the encoder with LoRA; all before is frozen")
    classifier: Literal["shared", "pooled", "resnet38"] = "shared"
    classifier_width: float = Field(default=1.0, gt=0, le=64, description="channel multiplier")
    omega: float = Field(default=0.5, gt=0, lt=1, description="threshold of the map, a share of its peak (eq. 6)")
    box: Literal["peak", "hull", "each"] = "peak"
    mask_prompt: Literal["soft", "hard"] = "soft"
    mask_sharpness: float = Field(default=10.0, gt=0, description="logits per unit of map")
    mask_choice: Literal["first", "last"] = "first"
    refinements: int = Field(
        default=1, ge=0, description="further passes, in use, that take the last mask as their map"
    )
    neighbours_mm: float = Field(
        default=6.0, ge=0, description="in whole scans, slices this near prompt each other in one more pass; 0: none"
    )


class FitConfig(_Section):
    """Training."""

    epochs: int = Field(default=10, ge=1)
    batch_size: int = Field(default=24, ge=1, description="slices a step")
    sampling: Literal["two_stream", "shuffled"] = "two_stream"
    mask_batch_size: int = Field(default=8, ge=1, description="slices with a mask in each two-stream batch")
    decoded: int = Field(default=4, ge=1, description="of a batch's masks, how many SAM is trained on: the costly part")
    learning_rate: float = Field(default=1e-4, gt=0, description="of SAM's decoders and LoRA")
    classifier_learning_rate: float = Field(default=1e-3, gt=0)
    weight_decay: float = Field(default=0.01, ge=0)
    warmup_steps: int = Field(default=20, ge=0)
    dice_weight: float = Field(default=0.5, ge=0, description="λ of L = focal + λ·segmentation + μ·map")
    map_weight: float = Field(default=0.5, ge=0, description="μ: known masks teach the map as well; 0: they do not")
    focal_alpha: float | None = Field(default=None, description="weight of positives; null: by class frequency")
    focal_gamma: float = Field(default=2.0, ge=0)
    true_box_share: float = Field(default=0.25, ge=0, le=1, description="jittered true boxes among training prompts")
    misled_share: float = Field(default=0.25, ge=0, le=1, description="training maps moved to a wrong place")
    classifier_epochs: int = Field(default=0, ge=0, description="of SAM-PP's first stage, among epochs")
    restart_epochs: int | None = Field(default=None, ge=1, description="between warm restarts; null: none")
    augment: bool = Field(default=False, description="see training slices in augmented views, and move them about")
    views: int = Field(default=100, ge=0, description="augmented, in the cache, of all annotated slices together")
    cache: bool = Field(default=True, description="compute the frozen stages once")
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"


class Config(_Section):
    """Everything a run depends on but the data, the number of annotated slices and the seed."""

    preset: str
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    fit: FitConfig = FitConfig()


def presets() -> list[str]:
    """The names of the presets that come with the package."""
    folder = resources.files("sammix") / "presets"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_preset(name: str, overrides: Sequence[str] = ()) -> Config:
    """A preset with ``section.key=value`` settings laid over it; values are read as YAML.

    Raises:
        ConfigError: no such preset or key, or a value that does not fit.

    >>> load_preset("lite", ["fit.epochs=3"]).fit.epochs
    3
    """
    if name not in presets():
        raise ConfigError(f"no preset is called '{name}'; there are: {', '.join(presets())}")
    text = (resources.files("sammix") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = {"preset": name, **yaml.safe_load(text)}
    for override in overrides:
        _lay_over(values, override)
    return parse_config(values)


def parse_config(values: dict[str, Any]) -> Config:
    """Check plain values (from YAML or ``config.json``).

    Raises:
        ConfigError: naming the first value that does not fit.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(part) for part in first["loc"])
        raise ConfigError(f"setting {where}: {first['msg']} (got {first['input']!r})") from None


def _lay_over(values: dict[str, Any], override: str) -> None:
    key, equals, text = override.partition("=")
    section, _, name = key.strip().partition(".")
    fields = _fields()
    if not equals or f"{section}.{name}" not in fields:
        near = difflib.get_close_matches(key, fields, n=1) or [f for f in fields if f.endswith(f".{key}")]
        hint = f"did you mean '{near[0]}'?" if near else f"keys are: {', '.join(fields)}"
        raise ConfigError(f"setting '{override}' is not section.key=value with a known key; {hint}")
    try:
        values.setdefault(section, {})[name] = yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"setting '{override}': the value cannot be read") from None


def _fields() -> list[str]:
    sections: dict[str, type[BaseModel]] = {"data": DataConfig, "model": ModelConfig, "fit": FitConfig}
    return [f"{section}.{name}" for section, model in sections.items() for name in model.model_fields]
