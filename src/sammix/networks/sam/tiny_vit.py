"""TinyViT, the image encoder of LiteMedSAM (Wu et al. 2022; Ma et al. 2024), written for speed on CPUs.

All of it is frozen but for LoRA, so batch normalisation is a constant affine map: it is folded into the
convolutions when weights are loaded (``sam_checkpoint.fold_batch_norm``) and does not appear here. Maps have
their channels last, (B, H, W, C), so that a 1×1 convolution is a linear layer. Where no gradient is needed, a
CPU makes wide intermediate maps strip by strip, in its cache, with the same result.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from sammix.networks.sam.linear import Linear

STRIP_BYTES = 4 << 20  # of the widest intermediate map of a strip
LARGEST_SUM = 1e30  # of the exponentials of a query's scores, and its inverse the smallest: far within bfloat16


class InvertedBottleneck(nn.Module):
    """1×1 expand, GELU, 3×3 depthwise, GELU, 1×1 project; with a residual, a last GELU closes it."""

    def __init__(
        self, in_channels: int, hidden: int, out_channels: int, stride: int = 1, residual: bool = False
    ) -> None:
        super().__init__()
        self.stride, self.residual = stride, residual
        self.expand = Linear(in_channels, hidden)
        self.depthwise = nn.Conv2d(hidden, hidden, 3, stride, padding=(0, 1), groups=hidden)
        self.project = Linear(hidden, out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, in_channels) → (B, ⌈H / stride⌉, ⌈W / stride⌉, out_channels)."""
        rows = (x.shape[1] - 1) // self.stride + 1
        height = _strip_height(x, self.expand.out_features) // self.stride
        return _by_strips(self._rows, x, rows, height)

    def _rows(self, x: Tensor, first: int, last: int) -> Tensor:
        """Rows ``first`` to ``last`` (excluded) of the output, from the input rows that they depend on."""
        top, bottom = first * self.stride - 1, (last - 1) * self.stride + 2
        hidden = _gelu(self.expand(x[:, max(top, 0) : bottom]))
        if top < 0 or bottom > x.shape[1]:  # padding by nothing would be a copy
            hidden = F.pad(hidden, (0, 0, 0, 0, max(-top, 0), max(bottom - x.shape[1], 0)))
        y: Tensor = self.project(_gelu(_convolve(self.depthwise, hidden)))
        return _gelu(_added(y, x[:, first:last])) if self.residual else y


class WindowAttention(nn.Module):
    """Adds multi-head attention inside windows of ``window``² tokens, with a learned bias per distance and head.

    The map is padded with zeros to whole windows, as in training; the padded tokens, all alike after the
    normalisation, are projected once.
    """

    distance: Tensor

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.heads, self.window = heads, window
        self.norm = nn.LayerNorm(dim)
        self.qkv = Linear(dim, 3 * dim)  # rows: all of q, all of k, all of v
        self.proj = Linear(dim, dim)
        self.bias_table = nn.Parameter(torch.zeros(heads, window * window))  # by |dy| · window + |dx|
        y, x = torch.arange(window * window) // window, torch.arange(window * window) % window
        distance = (y[:, None] - y).abs() * window + (x[:, None] - x).abs()
        self.register_buffer("distance", distance.flatten(), persistent=False)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, dim) → (B, H, W, dim)."""
        tokens = self.window**2
        bias = self.bias_table.index_select(1, self.distance).view(1, self.heads, tokens, tokens)
        whole_windows = _strip_height(x, 3 * x.shape[3]) // self.window * self.window
        return _by_strips(
            lambda x, first, last: self._rows(x[:, first:last], bias), x, x.shape[1], whole_windows or self.window
        )

    def _rows(self, x: Tensor, bias: Tensor) -> Tensor:
        batch, height, width, dim = x.shape
        size = self.window
        down, right = -height % size, -width % size
        qkv = self.qkv(self.norm(x))
        if down or right:
            padded = self.qkv(self.norm.bias).expand(batch, height + down, width + right, -1).clone()
            padded[:, :height, :width] = qkv
            qkv = padded
        grid = (batch, (height + down) // size, size, (width + right) // size, size)
        windows = qkv.view(*grid, 3, self.heads, -1).permute(5, 0, 1, 3, 6, 2, 4, 7)
        q, k, v = windows.reshape(3, -1, self.heads, size * size, dim // self.heads)
        mixed = _attend(q, k, v, bias)
        mixed = mixed.view(batch, grid[1], grid[3], self.heads, size, size, -1).permute(0, 1, 4, 2, 5, 3, 6)
        mixed = mixed.reshape(batch, height + down, width + right, dim)
        return _added(self.proj(mixed[:, :height, :width].contiguous()), x)


class Mlp(nn.Module):
    """Adds: normalise, widen four times, GELU, narrow."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(dim)
        self.fc1 = Linear(dim, 4 * dim)
        self.fc2 = Linear(4 * dim, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, dim) → (B, H, W, dim)."""
        return _by_strips(self._rows, x, x.shape[1], _strip_height(x, self.fc1.out_features))

    def _rows(self, x: Tensor, first: int, last: int) -> Tensor:
        x = x[:, first:last]
        return _added(self.fc2(_gelu(self.fc1(self.norm(x)))), x)


class Block(nn.Module):
    """Window attention, a 3×3 depthwise convolution, an MLP."""

    def __init__(self, dim: int, heads: int, window: int) -> None:
        super().__init__()
        self.attn = WindowAttention(dim, heads, window)
        self.local_conv = nn.Conv2d(dim, dim, 3, padding=1, groups=dim)
        self.mlp = Mlp(dim)

    def forward(self, x: Tensor) -> Tensor:
        """(B, H, W, dim) → (B, H, W, dim)."""
        y: Tensor = self.mlp(_convolve(self.local_conv, self.attn(x)))
        return y


class Stage(nn.Module):
    """Some blocks, then ``downsample`` to the next stage. The encoder runs them, since LoRA may begin in between."""

    def __init__(self, blocks: Sequence[nn.Module], downsample: nn.Module) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.downsample = downsample


class Neck(nn.Module):
    """1×1 and 3×3 convolution, each normalised over channels."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.conv1 = Linear(in_channels, out_channels, bias=False)
        self.norm1 = nn.LayerNorm(out_channels, eps=1e-6)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.norm2 = nn.LayerNorm(out_channels, eps=1e-6)

    def forward(self, x: Tensor) -> Tensor:
        """(B, h, w, in_channels) → (B, h, w, out_channels)."""
        y: Tensor = self.norm2(_convolve(self.conv2, self.norm1(self.conv1(x))))
        return y


class TinyViT(nn.Module):
    """LiteMedSAM's image encoder: one-channel slices to an embedding at a quarter of their size.

    Args:
        widths: channels of the four stages.
        depths: blocks of the four stages.
        heads, windows: of the stages 1 to 3 (stage 0 is convolutional).
        embedding_dim: channels of the embedding.
        lora_blocks: how many of the last blocks a gradient reaches. What lies before them is
            ``frozen_features``, the rest ``embedding``.
    """

    stride = 4

    def __init__(
        self,
        widths: Sequence[int] = (64, 128, 160, 320),
        depths: Sequence[int] = (2, 2, 6, 2),
        heads: Sequence[int] = (4, 5, 10),
        windows: Sequence[int] = (7, 14, 7),
        embedding_dim: int = 256,
        lora_blocks: int = 1,
    ) -> None:
        super().__init__()
        if not 0 <= lora_blocks <= sum(depths):
            raise ValueError(f"the encoder has {sum(depths)} blocks, not {lora_blocks}")
        self.lora_blocks = lora_blocks
        first, *others = widths
        self.patch_embed = nn.Sequential(Linear(3, first // 2), nn.GELU(), Linear(first // 2, first))
        blocks: list[list[nn.Module]] = [
            [InvertedBottleneck(first, 4 * first, first, residual=True) for _ in range(depths[0])]
        ]
        for dim, depth, count, window in zip(others, depths[1:], heads, windows, strict=True):
            blocks.append([Block(dim, count, window) for _ in range(depth)])
        steps: list[nn.Module] = [
            InvertedBottleneck(before, after, after, stride)
            for before, after, stride in zip(widths, others, (2, 2, 1), strict=False)
        ]
        self.stages = nn.ModuleList(map(Stage, blocks, [*steps, nn.Identity()]))
        self.neck = Neck(widths[3], embedding_dim)
        self.requires_grad_(False)

    @property
    def trainable_part(self) -> nn.ModuleList:
        """The blocks that LoRA adapts."""
        return nn.ModuleList(self._parts()[1])

    def cast_frozen(self, dtype: torch.dtype) -> None:
        """Hold the part before the blocks with LoRA, and its features, in ``dtype`` (bfloat16: half the cost)."""
        self.patch_embed.to(dtype)
        nn.ModuleList(self._parts()[0]).to(dtype)

    @torch.no_grad()
    def frozen_features(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) in [0, 1] → (B, C, h, w), in the dtype of the frozen weights; no gradient."""
        gray = images.movedim(1, -1).to(next(self.patch_embed.parameters()).dtype)
        x: Tensor = self.patch_embed(gray.repeat(1, 1, 1, 3))
        for layer in self._parts()[0]:
            x = layer(x)
        return x.movedim(-1, 1)

    def embedding(self, features: Tensor) -> Tensor:
        """What ``frozen_features`` gave → (B, embedding_dim, S/4, S/4) float32.

        On a CPU, mixed precision holds the map in bfloat16 throughout, as use does; and where a gradient is needed, one
        image at a time goes through, whose maps are small enough for malloc to keep.
        """
        on_cpu, dtype = features.device.type == "cpu", self.neck.conv1.weight.dtype
        if on_cpu and torch.is_autocast_enabled("cpu"):
            dtype = torch.get_autocast_dtype("cpu")
        x = features.movedim(1, -1).to(dtype).contiguous()
        alone = on_cpu and torch.is_grad_enabled() and len(x) > 1
        y = torch.cat([self._adapted(image[None]) for image in x]) if alone else self._adapted(x)
        return y.movedim(-1, 1).float()

    def forward(self, images: Tensor) -> Tensor:
        """(B, 1, S, S) in [0, 1], S a multiple of 4 → (B, embedding_dim, S/4, S/4) float32."""
        return self.embedding(self.frozen_features(images))

    def _adapted(self, x: Tensor) -> Tensor:
        for layer in self._parts()[1]:
            x = layer(x)
        y: Tensor = self.neck(x)
        return y

    def _parts(self) -> tuple[list[nn.Module], list[nn.Module]]:
        """The layers before the first block with LoRA, and those from it on, in the data's order."""
        stages = [stage for stage in self.stages if isinstance(stage, Stage)]
        layers = [layer for stage in stages for layer in (*stage.blocks, stage.downsample)]
        blocks = [block for stage in stages for block in stage.blocks]
        split = layers.index(blocks[-self.lora_blocks]) if self.lora_blocks else len(layers)
        return layers[:split], layers[split:]


def _attend(q: Tensor, k: Tensor, v: Tensor, bias: Tensor) -> Tensor:
    """Mix values (B, heads, N, c) by softmax(q kᵀ / √c + ``bias``), the bias (1, heads, N, N).

    On a CPU as plain products, in bfloat16 faster than torch's fused kernel. Without gradient, exponentials are taken
    of the scores as they are. LiteMedSAM's lie between −11 and 14. Where one is so large or small that this does not
    do, the largest of each query is taken from them first.
    """
    if q.device.type != "cpu":
        return F.scaled_dot_product_attention(q, k, v, attn_mask=bias)
    scores = _scores(q, k, bias)
    if not torch.is_grad_enabled():
        weights = scores.exp_()
        sums = weights.sum(dim=-1, keepdim=True)
        if sums.min() > 1 / LARGEST_SUM and sums.max() < LARGEST_SUM:
            mixed: Tensor = (weights @ v).div_(sums)
            return mixed
        scores = _scores(q, k, bias)
    softened: Tensor = scores.softmax(dim=-1) @ v
    return softened


def _scores(q: Tensor, k: Tensor, bias: Tensor) -> Tensor:
    """Add q kᵀ / √c to copies of ``bias``, in one pass."""
    scores = q.new_empty(*q.shape[:-1], k.shape[-2]).copy_(bias)
    products = scores.flatten(0, 1).baddbmm_(q.flatten(0, 1), k.flatten(0, 1).mT, alpha=q.shape[-1] ** -0.5)
    return products.view_as(scores)


def _gelu(own: Tensor) -> Tensor:
    """GELU of what nobody else has: in its place where no gradient is needed."""
    done: Tensor = F.gelu(own) if torch.is_grad_enabled() else torch.ops.aten.gelu_(own)
    return done


def _added(own: Tensor, x: Tensor) -> Tensor:
    """Add ``x`` to what nobody else has: in its place where no gradient is needed and both have one dtype."""
    return own + x if torch.is_grad_enabled() or own.dtype != x.dtype else own.add_(x)


def _convolve(convolution: nn.Conv2d, x: Tensor) -> Tensor:
    """A convolution on a map with channels last; the permuted tensors share memory."""
    y: Tensor = convolution(x.permute(0, 3, 1, 2))
    return y.permute(0, 2, 3, 1)


def _strip_height(x: Tensor, channels: int) -> int:
    """Rows of a strip whose widest map has the rows of ``x``, with ``channels`` a position."""
    return STRIP_BYTES // (x.element_size() * x.shape[2] * channels)


def _by_strips(function: Callable[[Tensor, int, int], Tensor], x: Tensor, rows: int, height: int) -> Tensor:
    """Call ``function(x, first, last)`` for the output rows ``first`` to ``last`` and put what it makes in their place.

    One image and ``height`` rows at a time on a CPU without gradient, else all at once.
    """
    if torch.is_grad_enabled() or x.device.type != "cpu":
        return function(x, 0, rows)
    whole: Tensor | None = None
    step = max(1, height)
    for which, image in enumerate(x):
        for first in range(0, rows, step):
            strip = function(image[None], first, min(first + step, rows))
            if whole is None:
                whole = strip.new_empty(len(x), rows, *strip.shape[2:])
            whole[which, first : first + step] = strip[0]  # while it is in the cache
    assert whole is not None  # there is at least one image, and one row
    return whole
