"""Organ masks in CT from yes/no labels and a handful of annotated slices. Not for clinical use.

```python
import sammix

model = sammix.load("liver-ct-lite")
result = sammix.predict(model, "scan.nii.gz")
result.save("liver.nii.gz")

run = sammix.fit("liver-slices", preset="lite", labels=50, seed=0, out="runs/a")
sammix.evaluate(run, "liver-slices", out="reports/a").metrics
```

Paths may be strings. What goes wrong and can be mended is a `SammixError`, one clear line. Messages go to Python's
`logging` (the logger `sammix`); progress is shown only with `progress=True`. No call changes the caller's random state,
torch's settings, logging or environment.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from sammix.api.figure import Picture as Picture
    from sammix.api.measurement import EvaluationResult as EvaluationResult
    from sammix.api.measurement import evaluate as evaluate
    from sammix.api.model import Model as Model
    from sammix.api.model import load as load
    from sammix.api.practice import make_phantoms as make_phantoms
    from sammix.api.prediction import Prediction as Prediction
    from sammix.api.prediction import predict as predict
    from sammix.api.run import Run as Run
    from sammix.api.run import distill as distill
    from sammix.api.run import fit as fit
    from sammix.api.scan_input import open_dataset as open_dataset
    from sammix.api.scan_input import read_scan as read_scan
    from sammix.api.suggestion import Suggestions as Suggestions
    from sammix.api.suggestion import suggest as suggest
    from sammix.errors import SammixError as SammixError
    from sammix.inference.scan_quality import ScanQuality as ScanQuality
    from sammix.io.dataset import Case as Case
    from sammix.io.dataset import Dataset as Dataset
    from sammix.io.volume import Volume as Volume

__version__ = "0.2.0"

_MODULES = {
    "load": "sammix.api.model",
    "predict": "sammix.api.prediction",
    "fit": "sammix.api.run",
    "distill": "sammix.api.run",
    "evaluate": "sammix.api.measurement",
    "suggest": "sammix.api.suggestion",
    "read_scan": "sammix.api.scan_input",
    "open_dataset": "sammix.api.scan_input",
    "make_phantoms": "sammix.api.practice",
    "Model": "sammix.api.model",
    "Prediction": "sammix.api.prediction",
    "ScanQuality": "sammix.inference.scan_quality",
    "Run": "sammix.api.run",
    "EvaluationResult": "sammix.api.measurement",
    "Suggestions": "sammix.api.suggestion",
    "Picture": "sammix.api.figure",
    "Volume": "sammix.io.volume",
    "Dataset": "sammix.io.dataset",
    "Case": "sammix.io.dataset",
    "SammixError": "sammix.errors",
}
"""Where each public name is; nothing is imported before it is used."""

__all__ = [  # noqa: RUF022  (in the order in which the reference is to be read)
    "load",
    "predict",
    "fit",
    "distill",
    "evaluate",
    "suggest",
    "read_scan",
    "open_dataset",
    "make_phantoms",
    "Model",
    "Prediction",
    "ScanQuality",
    "Run",
    "EvaluationResult",
    "Suggestions",
    "Picture",
    "Volume",
    "Dataset",
    "Case",
    "SammixError",
    "__version__",
]


if not TYPE_CHECKING:  # so that a type checker knows the names above and no others

    def __getattr__(name: str) -> Any:
        if name not in _MODULES:
            raise AttributeError(f"module 'sammix' has no attribute '{name}'")
        from sammix.api.callers_state import callers_state

        with callers_state():  # libraries draw random numbers and set warning filters when they are imported
            value = globals()[name] = getattr(import_module(_MODULES[name]), name)
        return value


def __dir__() -> list[str]:
    return sorted(__all__)
