"""Presets and settings: YAML in, checked by pydantic, JSON out."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterator, Mapping, Sequence
from importlib import resources
from numbers import Integral
from typing import Annotated, Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, StrictStr, ValidationError, field_validator

from sammix.errors import ConfigError
from sammix.files import PLAIN_NAME


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


MaskLabel = Annotated[int, Field(strict=True, ge=1)] | Annotated[StrictStr, Field(min_length=1)]
MaskValue = Annotated[int, Field(strict=True, ge=0)]


class DataConfig(_Section):
    """Which slices are used and how they are seen."""

    organ: str | None = Field(
        default=None, pattern=PLAIN_NAME, description="whose masks; null: what the data names, else the liver"
    )
    window_level: float | None = Field(default=None, description="HU; null: the data's own default, else 40")
    window_width: float | None = Field(default=None, gt=0, description="HU; null: the data's own, else 400")
    label: MaskLabel | Annotated[tuple[MaskLabel, ...], Field(min_length=1)] | None = Field(
        default=None, description="mask values, or segments' names, that are the organ; null: what the data says"
    )
    ignore: MaskValue | tuple[MaskValue, ...] | None = Field(
        default=None, description="mask values of voxels that nobody looked at; null: what the data says"
    )
    undrawn: Literal["unknown", "no"] | None = Field(
        default=None, description="what slices say that a drawing leaves out; null: unknown, or as a store has it"
    )
    patient_from: str | None = Field(
        default=None, description="regular expression; its group is the patient in each path; null: what the data says"
    )
    size: int = Field(default=256, ge=16, le=2048, description="px, side of the network's square input")
    middle_fraction: float = Field(default=1.0, gt=0, le=1, description="central share of a scan's slices")
    val_fraction: float = Field(default=0.15, ge=0, lt=1, description="of patients, where data has no splits")
    test_fraction: float = Field(default=0.2, ge=0, lt=1, description="of patients, where data has no splits")

    @field_validator("undrawn", mode="before")
    @classmethod
    def _no_is_a_word(cls, value: object) -> object:
        """Take back what YAML makes of ``no``."""
        return "no" if value is False else value

    @field_validator("patient_from")
    @classmethod
    def _has_one_group(cls, pattern: str | None) -> str | None:
        """Refuse a pattern that cannot find a patient."""
        try:
            groups = 1 if pattern is None else re.compile(pattern).groups
        except re.error as error:
            raise ValueError(f"is no regular expression ({error})") from None
        if groups != 1:
            raise ValueError(f"needs one group, in brackets, that finds the patient; it has {groups}")
        return pattern


class ModelConfig(_Section):
    """The network: SAM's encoder, the classifier, and how its map becomes prompts; or a baseline."""

    kind: str = Field(default="sam-mix", description="of network, as models/registry.py lists them")
    width: float = Field(default=1.0, gt=0, le=64, description="channel multiplier of a baseline")
    encoder: Literal["lite-medsam", "sam-vit-b", "medsam-vit-b", "tiny"] = "lite-medsam"
    lora_rank: int = Field(default=8, ge=0, le=1024, description="of q and v; 0: no LoRA")
    lora_blocks: int = Field(default=1, ge=0, description="last blocks of the encoder with LoRA; all before is frozen")
    classifier: Literal["shared", "pooled", "resnet38", "student"] = "shared"
    classifier_width: float = Field(default=1.0, gt=0, le=64, description="channel multiplier")
    presence_offset: float = Field(
        default=0.0,
        description="nats that a yes to a slice of a scan must be above; chosen on other hospitals' scans",
    )
    omega: float = Field(default=0.5, gt=0, lt=1, description="threshold of the map, a share of its peak (eq. 6)")
    box: Literal["peak", "hull", "parts", "each"] = "peak"
    mask_prompt: Literal["soft", "hard"] = "soft"
    mask_sharpness: float = Field(default=10.0, gt=0, description="logits per unit of map")
    mask_choice: Literal["first", "last"] = "first"
    refinements: int = Field(
        default=1, ge=0, description="further passes, in use, that take the last mask as their map"
    )
    neighbours_mm: float = Field(
        default=6.0, ge=0, description="in whole scans, slices this near prompt each other in one more pass; 0: none"
    )
    tissue_check: bool = Field(
        default=True, description="in whole scans, masks are corrected where the scan's own tissue contradicts them"
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
    painted: float = Field(default=0.0, ge=0, le=1, description="of augmented views, how many have the organ painted")
    cache: bool = Field(default=True, description="compute the frozen stages once")
    average: float = Field(
        default=0.0, ge=0, lt=1, description="of the weights, what a running average keeps a step; 0: no average"
    )
    workers: int = Field(default=0, ge=0, description="processes that make batches; 0: the training process itself")
    tensorboard: bool = Field(default=False, description="log for TensorBoard, too; needs the extra tracking")
    precision: Literal["auto", "32-true", "bf16-mixed", "16-mixed"] = "auto"


LABEL_RULES = ("label", "ignore", "undrawn", "patient_from")
"""Settings of ``data`` that say how labels and masks are to be read, of any data: also of what a model is put to."""

SECTIONS: dict[str, type[BaseModel]] = {"data": DataConfig, "model": ModelConfig, "fit": FitConfig}
TYPES = {
    "integer": "a whole number",
    "number": "a finite number",
    "boolean": "true or false",
    "string": "text",
    "null": "null (None)",
    "array": "a list of them",
}
BOUNDS = {"minimum": "at least", "exclusiveMinimum": "above", "maximum": "at most", "exclusiveMaximum": "below"}
"""Of JSON schema, in words."""


class Config(_Section):
    """Everything a run depends on but the data, the number of annotated slices and the seed."""

    preset: str
    data: DataConfig = DataConfig()
    model: ModelConfig = ModelConfig()
    fit: FitConfig = FitConfig()


def presets() -> list[str]:
    """List the names of the presets that come with the package."""
    folder = resources.files("sammix") / "presets"
    return sorted(entry.name.removesuffix(".yaml") for entry in folder.iterdir() if entry.name.endswith(".yaml"))


def load_preset(name: str, settings: Sequence[str] | Mapping[str, Any] = ()) -> Config:
    """Read a preset and lay settings over it.

    Args:
        name: of the preset.
        settings: ``section.key=value`` lines, whose values are read as YAML; or a dictionary, nested by section
            (``{"fit": {"epochs": 3}}``) or not (``{"fit.epochs": 3}``).

    Raises:
        ConfigError: no such preset or key, or a value that does not fit.

    >>> load_preset("lite", ["fit.epochs=3"]) == load_preset("lite", {"fit": {"epochs": 3}})
    True
    """
    if name not in presets():
        raise ConfigError(f"no preset is called '{name}'; there are: {', '.join(presets())}")
    text = (resources.files("sammix") / "presets" / f"{name}.yaml").read_text(encoding="utf-8")
    values: dict[str, Any] = {"preset": name, **yaml.safe_load(text)}
    pairs = _flat(settings) if isinstance(settings, Mapping) else map(_parsed, settings)
    for key, value in pairs:
        section, _, field = _known(key).partition(".")
        values.setdefault(section, {})[field] = value
    return parse_config(values)


def with_label_rules(data: DataConfig, settings: Sequence[str] | Mapping[str, Any]) -> DataConfig:
    """Lay settings over those by which labels and masks are read, :data:`LABEL_RULES`.

    Args:
        data: what they are laid over.
        settings: as :func:`load_preset` takes them.

    Raises:
        ConfigError: there is no such setting, it is another than these, or its value does not fit.
    """
    pairs = _flat(settings) if isinstance(settings, Mapping) else map(_parsed, settings)
    values = data.model_dump()
    for key, value in pairs:
        section, _, name = _known(key).partition(".")
        if section != "data" or name not in LABEL_RULES:
            allowed = ", ".join(f"data.{rule}" for rule in LABEL_RULES)
            raise ConfigError(f"setting {key} is the model's own; what can be set here: {allowed}")
        values[name] = value
    return parse_config({"preset": "", "data": values}).data


def parse_config(values: Mapping[str, Any]) -> Config:
    """Check plain values (from YAML or ``config.json``).

    Raises:
        ConfigError: naming the first key that is not known or value that does not fit, and what would.
    """
    try:
        return Config.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "extra_forbidden":
            _known(key)
        if first["type"] == "value_error":
            raise ConfigError(f"setting {key} {first['ctx']['error']}: {first['input']!r}") from None
        key = ".".join(key.split(".")[:2])  # not which of a setting's kinds
        raise ConfigError(f"setting {key} must be {_expected(key)}, not {first['input']!r}") from None


def _flat(settings: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """Flatten a dictionary to ``section.key`` and value of each setting."""
    for key, value in settings.items():
        if key in SECTIONS and not isinstance(value, Mapping):
            example = f'{{"{key}": {{"{next(iter(SECTIONS[key].model_fields))}": …}}}}'
            raise ConfigError(f"settings of the section '{key}' are given by name: {example}, not {value!r}")
        pairs = [(f"{key}.{name}", one) for name, one in value.items()] if key in SECTIONS else [(key, value)]
        for name, one in pairs:
            yield name, int(one) if isinstance(one, Integral) and not isinstance(one, bool) else one  # of numpy, too


def _parsed(setting: str) -> tuple[str, Any]:
    """Parse key and value of a ``section.key=value`` line."""
    key, equals, text = setting.partition("=")
    if not equals:
        raise ConfigError(f"setting '{setting}' is not of the form section.key=value, such as fit.epochs=3")
    _known(key.strip())
    try:
        return key.strip(), yaml.safe_load(text)
    except yaml.YAMLError:
        raise ConfigError(f"setting '{setting}': the value cannot be read") from None


def _known(key: str) -> str:
    """Return a key that is known.

    Raises:
        ConfigError: there is no such setting.
    """
    known = [f"{section}.{name}" for section, model in SECTIONS.items() for name in model.model_fields]
    if key in known:
        return key
    near = [name for name in known if name.endswith(f".{key}")] or difflib.get_close_matches(str(key), known, n=1)
    of_section = [name for name in known if name.startswith(f"{str(key).partition('.')[0]}.")]
    there_are = f"there are: {', '.join(of_section)}" if of_section else f"its section is one of {', '.join(SECTIONS)}"
    hint = f"did you mean '{near[0]}'?" if near else there_are
    raise ConfigError(f"no setting is called '{key}'; {hint}")


def _expected(key: str) -> str:
    """Say what a setting may be."""
    section, _, name = key.partition(".")
    if not name:
        return "settings by name" if section in SECTIONS else "a preset's name"
    return _words(SECTIONS[section].model_json_schema()["properties"][name])


def _words(schema: dict[str, Any]) -> str:
    """Say which values a JSON schema allows.

    >>> _words({"type": "integer", "minimum": 1, "maximum": 8})
    'a whole number, at least 1 and at most 8'
    """
    if "anyOf" in schema:
        return " or ".join(map(_words, schema["anyOf"]))
    if "enum" in schema:
        return f"one of {', '.join(schema['enum'])}"
    if "pattern" in schema:
        return "a name of up to 64 characters, without slashes and not beginning with a dot"
    bounds = [f"{word} {schema[bound]:g}" for bound, word in BOUNDS.items() if bound in schema]
    return ", ".join([TYPES[schema["type"]], *filter(None, [" and ".join(bounds)])])
