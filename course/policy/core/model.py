"""The policy's network: a Llama in one sitting.

RMSNorm, rotary positions, SwiGLU, tied embedding; nothing else. The submodules carry the names that
Hugging Face's `LlamaForCausalLM` uses, so `state_dict()` *is* the usual checkpoint layout and
`transformers` loads it as it stands.

Shapes: P rows of L places, of which M hold a real token. The real ones are packed, so that no padding is computed:
attention alone looks at the rows. C hidden size, D its part in each head, V vocabulary.
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


@dataclass(frozen=True)
class Places:
    """Where M packed tokens stand in P rows of L places, which of them each sees, and how far on each is.

    `sees` is True where the token at a place (second to last axis) sees another (last axis); a place without a token
    sees itself, because an empty row of attention would be a division of zero by zero.
    """

    rows: int  # P
    length: int  # L
    of_token: Tensor  # (M,), each below P * L
    position: Tensor  # (M,), for the rotary embedding
    sees: Tensor  # (P or 1, 1, L, L, or all places of a cache)
    cache: Tensor | None = None  # (layers, 2, P, heads, places so far + L, D): these L come last

    def unpack(self, x: Tensor) -> Tensor:
        """Packed heads (M, heads, D) at their places, zeros elsewhere: (P, heads, L, D)."""
        whole = x.new_zeros(self.rows * self.length, *x.shape[1:]).index_copy(0, self.of_token, x)
        return whole.view(self.rows, self.length, *x.shape[1:]).transpose(1, 2)

    def pack(self, x: Tensor) -> Tensor:
        """The inverse, with the heads side by side: (P, heads, L, D) to (M, heads * D)."""
        # (Not by x[…], whose gradient is added up in an order that differs from time to time.)
        return x.transpose(1, 2).reshape(self.rows * self.length, -1).index_select(0, self.of_token)


def rotary(x: Tensor, cos: Tensor, sin: Tensor) -> Tensor:
    """Turn each pair of features of x (M, heads, D) by its position's angle, (M, 1, D / 2) (Su et al. 2021)."""
    a, b = x.chunk(2, dim=-1)
    return torch.cat((a * cos - b * sin, b * cos + a * sin), dim=-1)


class Attention(nn.Module):
    """Self-attention of packed tokens. With a cache, keys and values of earlier tokens are not computed again."""

    def __init__(self, config: Config) -> None:
        super().__init__()
        size = config.hidden_size
        self.heads = config.num_attention_heads
        self.q_proj = nn.Linear(size, size, bias=False)
        self.k_proj = nn.Linear(size, size, bias=False)
        self.v_proj = nn.Linear(size, size, bias=False)
        self.o_proj = nn.Linear(size, size, bias=False)

    def forward(self, x: Tensor, places: Places, cos: Tensor, sin: Tensor, layer: int) -> Tensor:
        """Packed x (M, C) in and out; `cos` and `sin` turn each token by its position."""
        q, k, v = (proj(x).unflatten(1, (self.heads, -1)) for proj in (self.q_proj, self.k_proj, self.v_proj))
        q, k, v = (places.unpack(part) for part in (rotary(q, cos, sin), rotary(k, cos, sin), v))
        if places.cache is not None:
            cache = places.cache[layer]
            cache[0, :, :, -places.length :], cache[1, :, :, -places.length :] = k, v
            k, v = cache
        y = F.scaled_dot_product_attention(q, k, v, attn_mask=places.sees)
        return self.o_proj(places.pack(y))  # type: ignore[no-any-return]


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

    def forward(self, x: Tensor, places: Places, cos: Tensor, sin: Tensor, layer: int) -> Tensor:
        x = x + self.self_attn(self.input_layernorm(x), places, cos, sin, layer)
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
                added_back = name.endswith(("o_proj.weight", "down_proj.weight"))
                nn.init.normal_(parameter, std=0.02 * ((2 * config.num_hidden_layers) ** -0.5 if added_back else 1.0))

    def new_cache(self, rows: int, length: int) -> Tensor:
        """Room for keys and values: (layers, 2, P, heads, L, D)."""
        c = self.config
        heads = c.num_attention_heads
        return torch.zeros(c.num_hidden_layers, 2, rows, heads, length, c.hidden_size // heads)

    def forward(self, ids: Tensor) -> Tensor:
        """Logits (B, T, V) for whole sequences (B, T)."""
        rows, length = ids.shape
        position = torch.arange(length).repeat(rows)
        sees = torch.ones(1, 1, length, length, dtype=torch.bool).tril()
        places = Places(rows, length, torch.arange(rows * length), position, sees)
        return self.logits(self.hidden(ids.flatten(), places)).view(rows, length, -1)

    def hidden(self, tokens: Tensor, places: Places) -> Tensor:
        """The last layer's output (M, C) for packed tokens (M,)."""
        c = self.config
        half = c.hidden_size // c.num_attention_heads // 2
        angle = places.position[:, None, None] * c.rope_theta ** (-torch.arange(half, dtype=torch.float32) / half)
        cos, sin = angle.cos(), angle.sin()
        x = self.model.embed_tokens(tokens)
        for number, block in enumerate(self.model.layers):
            x = block(x, places, cos, sin, number)
        return self.model.norm(x)  # type: ignore[no-any-return]

    def logits(self, hidden: Tensor) -> Tensor:
        """Next-token logits (..., V) of the last layer's output (..., C)."""
        return F.linear(hidden, self.model.embed_tokens.weight)

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
