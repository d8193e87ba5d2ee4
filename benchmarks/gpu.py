"""Slices and training steps a second on this machine's GPU; without one, the same at toy size on the CPU.

    python benchmarks/gpu.py [--seconds 6] [--compile]

Weights are random: they do for speed. Measured are the encoder (``lite`` and SAM ViT-B, at 256 px), the masks of given
encodings (decoding, refinement, and the boxes, which are found on the CPU), a whole scan from HU to its mask, several
such scans at once (``predict --at-once``), and steps of training, in float32 and in bfloat16. Each figure is of the
fastest of three rounds of ``--seconds``/3.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from functools import partial

import numpy as np
import torch

from sammix.config import Config, load_preset
from sammix.data.preprocess import Preprocess
from sammix.inference.pipeline import Steps, overlapped
from sammix.inference.scan import ScanOptions, VolumePrediction, gather_volume, predict_volume
from sammix.inference.sharing import SharedSegmenter
from sammix.io.volume import Volume
from sammix.models.devices import bfloat16_pays, pick_device, trainable_attention
from sammix.models.registry import kind_of
from sammix.networks.classifiers import CAMClassifier, SharedClassifier
from sammix.networks.objectives import weighted_sum
from sammix.networks.resnet38 import ResNet38
from sammix.networks.sam.segment_anything import build_lite_medsam, build_sam_vit_b, build_tiny
from sammix.networks.sam_mix import SAMMix
from sammix.training.batches import Batch
from sammix.training.optimisation import optimiser

ROUNDS = 3
SCAN = (200, 512, 512)  # slices, rows, columns
TOY_SCAN = (8, 64, 64)
AT_ONCE = (2, 4)  # scans that share a network


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=6.0, help="for each figure")
    parser.add_argument("--compile", action="store_true", help="measure torch.compile of the encoders too")
    options = parser.parse_args()
    device = pick_device("auto")
    toy = device.type == "cpu"
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else "CPU, toy size"
    print(f"{name}, torch {torch.__version__}, {torch.get_num_threads()} threads")
    torch.manual_seed(0)
    for preset in ("tiny",) if toy else ("lite", "paper"):
        measure_use(preset, device, options.seconds, options.compile)
        measure_training(preset, device, options.seconds)


def network_of(preset: str) -> tuple[SAMMix, Config]:
    """SAM-Mix of a preset with random weights, at the preset's size."""
    config = load_preset(preset)
    preprocess = Preprocess(size=config.data.size)
    if preset == "paper":
        backbone = ResNet38()
        sam = build_sam_vit_b(None, image_size=preprocess.size)
        return SAMMix(sam, CAMClassifier(backbone, backbone.out_channels), preprocess, config.model), config
    sam = build_lite_medsam(None) if preset == "lite" else build_tiny(image_size=preprocess.size)
    channels = sam.image_encoder.frozen_features(torch.zeros(1, 1, 64, 64)).shape[1]
    return SAMMix(sam, SharedClassifier(channels), preprocess, config.model), config


def measure_use(preset: str, device: torch.device, seconds: float, compiled: bool) -> None:
    """Encoding, decoding, and a whole scan."""
    network, _ = network_of(preset)
    network = network.to(device).eval()
    size, batch = network.preprocess.size, 4 if device.type == "cpu" else 64
    images = torch.rand(batch, 1, size, size, device=device)
    for dtype in (torch.float32, torch.bfloat16) if bfloat16_pays(device) else (torch.float32,):
        network.cast_encoder(dtype)
        show(preset, f"encode, batch {batch}, {dtype}", batch * rate(lambda: network.encode(images), device, seconds))
    encoding = network.encode(images)
    show(preset, f"decode, batch {batch}", batch * rate(lambda: network.segment(encoding), device, seconds))
    if compiled:
        encode = torch.compile(network.sam.image_encoder)
        with torch.inference_mode():
            speed = batch * rate(lambda: encode(images), device, seconds)
        show(preset, f"encoder alone, compiled, batch {batch}", speed)
    shape = TOY_SCAN if device.type == "cpu" else SCAN
    hu = np.random.default_rng(0).integers(-1000, 400, shape, dtype=np.int16)
    scan = Volume(hu, np.diag([2.0, 0.8, 0.8, 1.0])[[2, 1, 0, 3]])
    whole = len(hu) * rate(lambda: predict_volume(network, scan, ScanOptions(batch)), device, seconds)
    show(preset, f"whole scan of {' × '.join(map(str, shape))}", whole)
    for count in AT_ONCE:
        call = partial(predict_at_once, network, [scan] * count, batch)
        show(preset, f"{count} such scans at once", count * len(hu) * rate(call, device, seconds))


def predict_at_once(network: SAMMix, scans: Sequence[Volume], batch: int) -> None:
    """Segment scans as ``predict --at-once`` does: each in a thread, with batches that they share; then its mask."""
    shared = SharedSegmenter(network, batch)

    def steps(scan: Volume) -> Steps[VolumePrediction]:
        yield  # begun
        yield  # read
        with shared.in_use():
            gathered = gather_volume(shared, scan, ScanOptions(batch))
        found = gathered.finish()
        yield  # computed
        return found

    for _ in overlapped(map(steps, scans), len(scans), shared.stop):
        pass


def measure_training(preset: str, device: torch.device, seconds: float) -> None:
    """Steps with the preset's batch; ``lite`` from cached features, ``paper`` through the whole encoder."""
    for half in (False, True) if bfloat16_pays(device) else (False,):
        network, config = network_of(preset)
        network = network.to(device).train()
        if half:
            network.cast_frozen(torch.bfloat16)
        optimizer = optimiser(network, config.fit)
        batch = training_batch(network, config, device)

        def step(
            network: SAMMix = network,
            config: Config = config,
            optimizer: torch.optim.Optimizer = optimizer,
            batch: Batch = batch,
            half: bool = half,
        ) -> None:
            seen = batch if config.fit.cache else batch.with_features(network.features(batch.images))
            autocast = torch.autocast(device.type, torch.bfloat16) if half else nullcontext()
            with trainable_attention(device), autocast:
                objective = kind_of(config.model).objective(config.fit, 1)
                loss = weighted_sum(objective(network, seen, config, 0.25, np.random.default_rng(0)))
            optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            optimizer.step()

        what = f"training, batch {len(batch.labels)}, {'bfloat16' if half else 'float32'}"
        show(preset, what, rate(step, device, seconds), "steps/s")
        del network, optimizer, batch


def training_batch(network: SAMMix, config: Config, device: torch.device) -> Batch:
    """As in a fit: two streams give a third of the batch masks; shuffled, every slice may have one."""
    count, size = config.fit.batch_size, network.preprocess.size
    images = torch.rand(count, 1, size, size, device=device)
    masks = torch.zeros(count, size, size, dtype=torch.uint8, device=device)
    masks[:, size // 4 : size // 2, size // 4 : size // 2] = 1
    labels = torch.ones(count, dtype=torch.int64, device=device)
    annotated = config.fit.mask_batch_size if config.fit.sampling == "two_stream" else count
    features = network.features(images) if config.fit.cache else None
    return Batch(images, labels, masks, torch.arange(count, device=device) < annotated, features)


def rate(call: Callable[[], object], device: torch.device, seconds: float) -> float:
    """Calls a second, of the fastest round, after a warm-up."""
    for _ in range(2):
        call()
    fastest = 0.0
    for _ in range(ROUNDS):
        synchronize(device)
        start, count = time.perf_counter(), 0
        while time.perf_counter() - start < seconds / ROUNDS:
            call()
            synchronize(device)
            count += 1
        fastest = max(fastest, count / (time.perf_counter() - start))
    return fastest


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def show(preset: str, what: str, speed: float, unit: str = "slices/s") -> None:
    print(f"{preset:6}{what:44}{speed:10.1f} {unit}", flush=True)


if __name__ == "__main__":
    main()
