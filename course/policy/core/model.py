"""The policy's network: a Llama in one sitting.

RMSNorm, rotary positions, SwiGLU, tied embedding; nothing else. The submodules carry the names that
Hugging Face's `LlamaForCausalLM` uses, so `state_dict()` *is* the usual checkpoint layout and
`transformers` loads it as it stands.

Shapes: B sequences, T new tokens, S tokens so far (cache included), V vocabulary.
"""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file
from torch import Tensor, nn


@dataclass(frozen=True)
class Config:
    """The fields of a Llama `config.json` that this network reads."""

    vocab_size: int
    hidden_size: int = 128
    intermediate_size: int = 344
    num_hidden_layers: int = 3
    num_attention_heads: int = 4
    max_position_embeddings: int = 128
    rms_norm_eps: float = 1e-5
    rope_theta: float = 10000.0


class RMSNorm(nn.Module):
    """Scale a vector to unit root mean square (Zhang and Sennrich 2019)."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.rsqrt(x.pow(2).mean(-1, keepdim=True) + self.eps) * self.weight


def rotary(x: Tensor, start: int, theta: float) -> Tensor:
    """Turn each pair of features by an angle that grows with position (Su et al. 2021). x: (B, heads, T, D)."""
    half = x.shape[-1] // 2
    frequency = theta ** (-torch.arange(half, dtype=torch.float32) / half)
    angle = torch.arange(start, start + x.shape[-2])[:, None] * frequency
    cos, sin = angle.cos(), angle.sin()
    a, b = x[..., :half], x[..., half:]
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Attention(nn.Module):
    """Causal self-attention. With a cache, the keys and values of earlier tokens are not computed again."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        size = config.hidden_size
        self.heads, self.theta = config.num_attention_heads, config.rope_theta
        self.q_proj = nn.Linear(size, size, bias=False)
        self.k_proj = nn.Linear(size, size, bias=False)
        self.v_proj = nn.Linear(size, size, bias=False)
        self.o_proj = nn.Linear(size, size, bias=False)

    def forward(self, x: Tensor, mask: Tensor, start: int, cache: Tensor | None) -> Tensor:
        b, t, size = x.shape
        q, k, v = (
            proj(x).view(b, t, self.heads, size // self.heads).transpose(1, 2)
            for proj in (self.q_proj, self.k_proj, self.v_proj)
        )
        q, k = rotary(q, start, self.theta), rotary(k, start, self.theta)
        if cache is not None:
            cache[0, :, :, start : start + t] = k
            cache[1, :, :, start : start + t] = v
            k, v = cache[:, :, :, : start + t]
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=mask)
        return self.o_proj(y.transpose(1, 2).reshape(b, t, size))  # type: ignore[no-any-return]


class SwiGLU(nn.Module):
    """The gated feed-forward block (Shazeer 2020)."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.down_proj(F.silu(self.gate_proj(x)) * self.up_proj(x))  # type: ignore[no-any-return]


class Block(nn.Module):
    """Attention, then feed-forward, each on a normalised copy and added back."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = SwiGLU(config)

    def forward(self, x: Tensor, mask: Tensor, start: int, cache: Tensor | None) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), mask, start, cache)
        return x + self.mlp(self.post_attention_layernorm(x))  # type: ignore[no-any-return]


class Decoder(nn.Module):
    """Embedding, blocks, last norm."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.embed_tokens = nn.Embedding(config.vocab_size, config.hidden_size)
        self.layers = nn.ModuleList(Block(config) for _ in range(config.num_hidden_layers))
        self.norm = RMSNorm(config.hidden_size, config.rms_norm_eps)


class Policy(nn.Module):
    """πθ: token ids in, next-token logits out."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        self.config = config
        self.model = Decoder(config)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                scale = (
                    (2 * config.num_hidden_layers) ** -0.5
                    if name.endswith(("o_proj.weight", "down_proj.weight"))
                    else 1.0
                )
                nn.init.normal_(parameter, std=0.02 * scale)

    def new_cache(self, sequences: int, length: int) -> list[Tensor]:
        """Room for the keys and values of `length` tokens: per layer (2, B, heads, length, D)."""
        c = self.config
        shape = (2, sequences, c.num_attention_heads, length, c.hidden_size // c.num_attention_heads)
        return [torch.zeros(shape) for _ in range(c.num_hidden_layers)]

    def forward(
        self,
        ids: Tensor,
        padding: Tensor | None = None,
        start: int = 0,
        cache: list[Tensor] | None = None,
        last: int = 0,
    ) -> Tensor:
        """Logits (B, T, V) for ids (B, T); of the last tokens alone, (B, last, V), where `last` says so.

        `padding` (B,) is the number of padding tokens at the *left* of each sequence. Rotary positions
        are relative, so padding needs a mask and no shift. `start` is how many tokens the cache holds.
        """
        t = ids.shape[1]
        query = torch.arange(start, start + t)[:, None]
        key = torch.arange(start + t)[None, :]
        mask = key <= query
        if padding is not None:
            # A padding token attends to itself alone: an empty row would be a division of zero by zero.
            mask = mask & ((key >= padding[:, None, None]) | (key == query))
            mask = mask[:, None]
        x = self.model.embed_tokens(ids)
        for number, layer in enumerate(self.model.layers):
            x = layer(x, mask, start, None if cache is None else cache[number])
        return F.linear(self.model.norm(x[:, -last:]), self.model.embed_tokens.weight)

    def save(self, folder: Path, end_id: int) -> None:
        """Write `config.json` and `model.safetensors` as `transformers` expects them."""
        folder.mkdir(parents=True, exist_ok=True)
        layout = {
            "architectures": ["LlamaForCausalLM"],
            "model_type": "llama",
            "hidden_act": "silu",
            "attention_bias": False,
            "mlp_bias": False,
            "num_key_value_heads": self.config.num_attention_heads,
            "tie_word_embeddings": True,
            "bos_token_id": None,
            "eos_token_id": end_id,
            "pad_token_id": end_id,
            "torch_dtype": "float32",
        }
        text = json.dumps({**layout, **asdict(self.config)}, indent=2) + "\n"
        (folder / "config.json").write_text(text, encoding="utf-8", newline="\n")
        tensors = {name: tensor.detach().contiguous() for name, tensor in self.state_dict().items()}
        weights = folder / "model.safetensors"
        save_file(tensors, weights, metadata={"format": "pt"})
        weights.chmod(0o644)  # safetensors lets nobody but the owner read what it writes

    @classmethod
    def load(cls, folder: Path) -> "Policy":
        """The policy of a checkpoint folder."""
        layout = json.loads((folder / "config.json").read_text(encoding="utf-8"))
        policy = cls(Config(**{name: layout[name] for name in Config.__dataclass_fields__}))
        policy.load_state_dict(load_file(folder / "model.safetensors"))
        return policy.eval()
