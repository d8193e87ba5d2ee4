"""SAM's mask decoder (Kirillov et al. 2023): a few tokens and the image embedding look at each other, masks come out.

Parameters have the names of Hugging Face's ``SamMaskDecoder``. There are thousands of positions in the image and seven
or so tokens. So the projections of positions are taken to the tokens' side of each product, q·(W x) = (Wᵀ q)·x, where
they cost next to nothing; the result is the same. A transposed convolution that never overlaps is a linear layer.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MASKS = 4  # one for an unambiguous prompt, three proposals


class Attention(nn.Module):
    """Multi-head attention whose heads may be narrower than their share of ``dim``.

    Args:
        dim: of what comes in and goes out.
        inner: of all heads together.
        heads: how many.
    """

    def __init__(self, dim: int, inner: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.scale = (inner // heads) ** -0.5
        self.q_proj = nn.Linear(dim, inner)
        self.k_proj = nn.Linear(dim, inner)
        self.v_proj = nn.Linear(dim, inner)
        self.out_proj = nn.Linear(inner, dim)

    def forward(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """(B, N, dim), (B, M, dim), (B, M, dim) → (B, N, dim)."""
        q, k, v = self._split(self.q_proj(query)), self._split(self.k_proj(key)), self._split(self.v_proj(value))
        mixed = F.scaled_dot_product_attention(q, k, v, scale=self.scale)
        y: Tensor = self.out_proj(mixed.transpose(1, 2).flatten(2))
        return y

    def to_many(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Do the same for few queries (B, N, dim) of many keys and values (B, M, dim), which may be of another dtype.

        The bias of the keys' projection adds the same to all scores of a query, so softmax cancels it.
        """
        columns = (self.scale * self._split(self.q_proj(query))) @ self._by_head(self.k_proj)
        scores = columns.flatten(1, 2).to(key.dtype) @ key.transpose(1, 2)
        mixed = torch.unflatten(scores.softmax(dim=-1).to(value.dtype) @ value, 1, (self.heads, -1))
        own = mixed.to(query.dtype) @ self._by_head(self.v_proj).transpose(1, 2)
        y: Tensor = self.out_proj(own.transpose(1, 2).flatten(2) + self.v_proj.bias)
        return y

    def add_to_few(self, image: Tensor, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """Do the same for many queries (B, N, dim), which may be of another dtype, of few keys and values (B, M, dim),
        and add ``image`` (B, N, dim) to it.

        The weights of a head sum to 1, so each of its rows carries the head's share of what comes out alike. Scores lie
        with the many along memory, where softmax over the few takes a third of the time.
        """
        k, v = self.scale * self._split(self.k_proj(key)), self._split(self.v_proj(value))
        columns = (k @ self._by_head(self.q_proj)).flatten(1, 2).to(query.dtype)
        biases = (k @ self.q_proj.bias.view(self.heads, -1, 1)).flatten(1, 2).to(query.dtype)
        scores = torch.unflatten(columns @ query.transpose(1, 2) + biases, 1, (self.heads, -1))
        rows = v @ torch.unflatten(self.out_proj.weight, 1, (self.heads, -1)).permute(1, 2, 0)
        rows = (rows + self.out_proj.bias / self.heads).flatten(1, 2).to(query.dtype)
        return torch.baddbmm(image, scores.softmax(dim=2).flatten(1, 2).transpose(1, 2).to(query.dtype), rows)

    def _split(self, x: Tensor) -> Tensor:
        """(B, N, inner) → (B, heads, N, c)."""
        return torch.unflatten(x, 2, (self.heads, -1)).transpose(1, 2)

    def _by_head(self, projection: nn.Linear) -> Tensor:
        """(heads, c, dim)."""
        return torch.unflatten(projection.weight, 0, (self.heads, -1))


class MLP(nn.Module):
    """Linear layers with ReLU between them."""

    def __init__(self, before: int, hidden: int, after: int, layers: int) -> None:
        super().__init__()
        self.proj_in = nn.Linear(before, hidden)
        self.proj_out = nn.Linear(hidden, after)
        self.layers = nn.ModuleList(nn.Linear(hidden, hidden) for _ in range(layers - 2))

    def forward(self, x: Tensor) -> Tensor:
        """(…, before) → (…, after)."""
        x = F.relu(self.proj_in(x))
        for layer in self.layers:
            x = F.relu(layer(x))
        y: Tensor = self.proj_out(x)
        return y


class TokenMLP(nn.Module):
    """The tokens' MLP of a two-way block."""

    def __init__(self, dim: int, hidden: int) -> None:
        super().__init__()
        self.lin1 = nn.Linear(dim, hidden)
        self.lin2 = nn.Linear(hidden, dim)

    def forward(self, x: Tensor) -> Tensor:
        """(…, dim) → the same shape."""
        y: Tensor = self.lin2(F.relu(self.lin1(x)))
        return y


class TwoWayBlock(nn.Module):
    """Tokens look at tokens, then at the image, then think; then the image looks at them.

    Args:
        first: whether tokens are still their own positions, which the first look then leaves out.
    """

    def __init__(self, dim: int, mlp_dim: int, heads: int, first: bool) -> None:
        super().__init__()
        self.first = first
        self.self_attn = Attention(dim, dim, heads)
        self.layer_norm1 = nn.LayerNorm(dim)
        self.cross_attn_token_to_image = Attention(dim, dim // 2, heads)
        self.layer_norm2 = nn.LayerNorm(dim)
        self.mlp = TokenMLP(dim, mlp_dim)
        self.layer_norm3 = nn.LayerNorm(dim)
        self.layer_norm4 = nn.LayerNorm(dim)
        self.cross_attn_image_to_token = Attention(dim, dim // 2, heads)

    def forward(self, tokens: Tensor, image: Tensor, prompt: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, dim) and image (B, h · w, dim), with ``prompt`` and ``positions`` for places → both anew."""
        if self.first:
            tokens = self.self_attn(tokens, tokens, tokens)
        else:
            tokens = tokens + self.self_attn(tokens + prompt, tokens + prompt, tokens)
        tokens = self.layer_norm1(tokens)
        placed = image + positions
        tokens = self.layer_norm2(tokens + self.cross_attn_token_to_image.to_many(tokens + prompt, placed, image))
        tokens = self.layer_norm3(tokens + self.mlp(tokens))
        image = self.cross_attn_image_to_token.add_to_few(image, placed, tokens + prompt, tokens)
        return tokens, _normalise(self.layer_norm4, image)


class TwoWayTransformer(nn.Module):
    """Two such blocks, and a last look of the tokens at the image."""

    def __init__(self, dim: int, mlp_dim: int, heads: int, depth: int = 2) -> None:
        super().__init__()
        self.layers = nn.ModuleList(TwoWayBlock(dim, mlp_dim, heads, first=i == 0) for i in range(depth))
        self.final_attn_token_to_image = Attention(dim, dim // 2, heads)
        self.layer_norm_final_attn = nn.LayerNorm(dim)

    def forward(self, prompt: Tensor, image: Tensor, positions: Tensor) -> tuple[Tensor, Tensor]:
        """Tokens (B, N, dim), image (B, h · w, dim) and its positions (1, h · w, dim) → both after looking."""
        tokens = prompt
        for layer in self.layers:
            tokens, image = layer(tokens, image, prompt, positions)
        seen = self.final_attn_token_to_image.to_many(tokens + prompt, image + positions, image)
        return self.layer_norm_final_attn(tokens + seen), image


class MaskDecoder(nn.Module):
    """From an image embedding and the embeddings of prompts to four masks and their predicted IoU.

    Args:
        dim: of the embedding. mlp_dim: inside the tokens' MLPs. heads: of attention.
    """

    def __init__(self, dim: int = 256, mlp_dim: int = 2048, heads: int = 8) -> None:
        super().__init__()
        self.iou_token = nn.Embedding(1, dim)
        self.mask_tokens = nn.Embedding(MASKS, dim)
        self.transformer = TwoWayTransformer(dim, mlp_dim, heads)
        self.upscale_conv1 = nn.ConvTranspose2d(dim, dim // 4, kernel_size=2, stride=2)
        self.upscale_conv2 = nn.ConvTranspose2d(dim // 4, dim // 8, kernel_size=2, stride=2)
        self.upscale_layer_norm = nn.LayerNorm(dim // 4, eps=1e-6)
        self.output_hypernetworks_mlps = nn.ModuleList(MLP(dim, dim, dim // 8, 3) for _ in range(MASKS))
        self.iou_prediction_head = MLP(dim, dim, MASKS, 3)

    def forward(
        self, embedding: Tensor, positions: Tensor, sparse: Tensor | None, dtype: torch.dtype = torch.float32
    ) -> tuple[Tensor, Tensor]:
        """Make all four masks.

        Args:
            embedding: (B, dim, h, w), the mask prompt added.
            positions: (1, dim, h, w), of the embedding's grid.
            sparse: (B, N, dim), other prompts, or None.
            dtype: of the image in between; the tokens stay as they are.

        Returns:
            Logits (B, 4, 4h, 4w) and predicted IoU (B, 4), float32.
        """
        batch, _, height, width = embedding.shape
        tokens = torch.cat((self.iou_token.weight, self.mask_tokens.weight)).expand(batch, -1, -1)
        if sparse is not None:
            tokens = torch.cat((tokens, sparse), dim=1)
        flat, places = (x.flatten(2).transpose(1, 2).to(dtype) for x in (embedding, positions))
        tokens, image = self.transformer(tokens, flat, places)
        mask_tokens = tokens[:, 1 : 1 + MASKS].unbind(1)
        mixtures = [mlp(token) for mlp, token in zip(self.output_hypernetworks_mlps, mask_tokens, strict=True)]
        image = F.gelu(_normalise(self.upscale_layer_norm, _double(self.upscale_conv1, image)))
        image = F.gelu(_double(self.upscale_conv2, image.flatten(1, 2)))
        masks = torch.stack(mixtures, dim=1).to(image.dtype) @ image.flatten(1, 2).transpose(1, 2)
        pixels = masks.float().view(batch, MASKS, height, width, 2, 2, 2, 2).permute(0, 1, 2, 4, 6, 3, 5, 7)
        return pixels.reshape(batch, MASKS, 4 * height, 4 * width), self.iou_prediction_head(tokens[:, 0]).float()


def _double(convolution: nn.ConvTranspose2d, x: Tensor) -> Tensor:
    """A 2 × 2 transposed convolution of stride 2: positions (B, N, in) → their four quarters (B, N, 4, out)."""
    weight = convolution.weight.permute(2, 3, 1, 0).flatten(0, 2).to(x.dtype)
    assert convolution.bias is not None
    return torch.unflatten(F.linear(x, weight, convolution.bias.to(x.dtype).repeat(4)), 2, (4, -1))


def _normalise(norm: nn.LayerNorm, x: Tensor) -> Tensor:
    """Normalise with a layer's weights, whatever the dtype of ``x``."""
    return F.layer_norm(x, norm.normalized_shape, norm.weight.to(x.dtype), norm.bias.to(x.dtype), norm.eps)
