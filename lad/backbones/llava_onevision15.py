"""LLaVA-OneVision-1.5 (An et al., arXiv 2509.23661), one of the paper's three backbones, on current transformers.

Its authors publish it as code for transformers 4 beside the weights (huggingface.co/lmms-lab,
LLaVA-OneVision-1.5-8B-Instruct), which does not run on transformers 5. This is an implementation of its own with the
names of the published tensors, so that those checkpoints load as they are. It is put together from the library's parts:

- the language half is Qwen3 (`model.*`, `lm_head.*`) with plain one-dimensional positions: a token's position is its
  place, whether it is text or part of an image;
- the vision tower "RICE" (`visual.*`) has the attention, MLP and merger of Qwen2-VL, but one learned class token in
  front of every image, whose rotary angles are learned as well, and a LayerNorm before the first block.

Images only: the published code also takes videos. `tests/backbones` compares it with outputs of the published code.

One difference is meant. Where the published code takes the class tokens out again, it counts places as if there were
none: of several images encoded together, the first is right, the second keeps its class token and loses its last patch,
the third begins with the second's last patch, and so on, so that features depend on the image's position. Its authors
mended that in their repository (EvolvingLMMs-Lab/LLaVA-OneVision-2, pull request 33, September 2025), but not in the
code beside the weights (a comment there, January 2026), which the paper most likely ran. Here each image is encoded as
if alone; `class_token_slip=True` gives the published behaviour, for comparison.
"""

# mypy: disallow-subclassing-any=False, disallow-untyped-decorators=False

from typing import Any, ClassVar

import torch
from torch import Tensor, nn
from transformers import GenerationMixin, PreTrainedConfig, PreTrainedModel, Qwen3Config, Qwen3Model, initialization
from transformers.cache_utils import Cache
from transformers.modeling_outputs import BaseModelOutputWithPooling, CausalLMOutputWithPast
from transformers.models.qwen2_vl.modeling_qwen2_vl import PatchMerger, VisionAttention, VisionMlp
from transformers.utils import can_return_tuple
from transformers.vision_utils import get_vision_position_ids

ROPE_THETA = 10_000.0
"""Base of the vision tower's rotary frequencies."""


class RiceConfig(PreTrainedConfig):
    """The vision tower's part of config.json; the defaults are those of the published 8B checkpoint."""

    model_type = "rice_vit"
    base_config_key = "vision_config"

    depth: int = 24
    embed_dim: int = 1024
    hidden_size: int = 1024
    intermediate_size: int = 4096
    num_heads: int = 16
    hidden_act: str = "gelu"
    in_channels: int = 3
    patch_size: int = 14
    temporal_patch_size: int = 1
    spatial_merge_size: int = 2
    layer_norm_eps: float = 1e-5
    initializer_range: float = 0.02
    text_hidden_size: int = 4096


class LlavaOnevision15TextConfig(Qwen3Config):
    """The language half's part of config.json: Qwen3's under another name."""

    model_type = "LLaVAOneVision1_5_text"
    base_config_key = "text_config"


class LlavaOnevision15Config(PreTrainedConfig):
    """config.json as published; token ids are those of Qwen's tokenizer.

    Attributes:
        tie_word_embeddings: the published checkpoints have a `lm_head.weight` of their own.
        class_token_slip: take class tokens out as the published code does, which mixes images up (see above).
    """

    model_type = "llavaonevision1_5"
    sub_configs: ClassVar[dict[str, type[PreTrainedConfig]]] = {
        "text_config": LlavaOnevision15TextConfig,
        "vision_config": RiceConfig,
    }

    text_config: Any = None
    vision_config: Any = None
    image_token_id: int = 151655
    video_token_id: int = 151656
    vision_start_token_id: int = 151652
    vision_end_token_id: int = 151653
    tie_word_embeddings: bool = False
    class_token_slip: bool = False

    def __post_init__(self, **kwargs: Any) -> None:
        for name, kind in self.sub_configs.items():
            part = getattr(self, name)
            if not isinstance(part, PreTrainedConfig):
                setattr(self, name, kind(**(part or {})))
        super().__post_init__(**kwargs)


class RicePatchEmbedding(nn.Module):
    """Pixels of a patch to the tower's width: a convolution whose windows do not overlap, hence a linear map."""

    def __init__(self, config: RiceConfig) -> None:
        super().__init__()
        size = config.patch_size
        self.proj = nn.Conv2d(config.in_channels, config.embed_dim, kernel_size=size, stride=size, bias=False)

    def forward(self, pixel_values: Tensor) -> Tensor:
        """(patches, channels x size x size) -> (patches, embed_dim)."""
        weight = self.proj.weight.flatten(1)
        return torch.matmul(pixel_values.to(weight.dtype), weight.T)


class RiceBlock(nn.Module):
    """Attention within each image, then an MLP, each behind a LayerNorm."""

    def __init__(self, config: RiceConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.embed_dim, eps=config.layer_norm_eps)
        self.norm2 = nn.LayerNorm(config.embed_dim, eps=config.layer_norm_eps)
        self.attn = VisionAttention(config)
        self.mlp = VisionMlp(config.embed_dim, config.intermediate_size, config.hidden_act)

    def forward(self, tokens: Tensor, bounds: Tensor, rotary: tuple[Tensor, Tensor]) -> Tensor:
        """(tokens, embed_dim) -> the same; `bounds` are the places where images begin, and the end of the last."""
        attended: Tensor = self.attn(self.norm1(tokens), cu_seqlens=bounds, position_embeddings=rotary)
        tokens = tokens + attended
        added: Tensor = self.mlp(self.norm2(tokens))
        return tokens + added


class RiceVisionTower(PreTrainedModel):
    """RICE: patches of all images, in the order of their 2 x 2 merges, to features of the language half's width."""

    config_class = RiceConfig
    main_input_name = "pixel_values"
    _no_split_modules: ClassVar[list[str]] = ["RiceBlock"]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    def __init__(self, config: RiceConfig) -> None:
        super().__init__(config)
        # Angles of one head: half of them turn by the patch's row, half by its column.
        self.angles_per_axis = config.embed_dim // config.num_heads // 4
        self.patch_embed = RicePatchEmbedding(config)
        self.class_embedding = nn.Parameter(torch.empty(config.embed_dim))
        self.class_pos_emb = nn.Parameter(torch.empty(1, 2 * self.angles_per_axis))
        self.pre_layernorm = nn.LayerNorm(config.embed_dim, eps=config.layer_norm_eps)
        self.blocks = nn.ModuleList(RiceBlock(config) for _ in range(config.depth))
        self.merger = PatchMerger(config.text_hidden_size, config.embed_dim, config.spatial_merge_size)
        # The library's merger has Qwen2-VL's 1e-6 built in.
        self.merger.ln_q.eps = config.layer_norm_eps
        self.post_init()

    def _init_weights(self, module: nn.Module) -> None:
        super()._init_weights(module)
        if isinstance(module, RiceVisionTower):
            initialization.normal_(module.class_embedding, std=self.config.initializer_range)
            initialization.normal_(module.class_pos_emb, std=self.config.initializer_range)

    def forward(self, pixel_values: Tensor, grid_thw: Tensor, slip: bool = False) -> BaseModelOutputWithPooling:
        """Encode images; none sees another.

        Args:
            pixel_values: (patches of all images, channels x patch_size x patch_size).
            grid_thw: (images, 3) frames, rows and columns of patches; frames are 1.
            slip: take class tokens out as the published code does (see this module's beginning).

        Returns:
            `last_hidden_state` (patches, embed_dim) and `pooler_output` (merged patches, text_hidden_size).

        Raises:
            ValueError: an entry of several frames, which is a video.
        """
        if bool((grid_thw[:, 0] != 1).any()):
            raise ValueError("LLaVA-OneVision-1.5 takes images here, no videos: grids must have one frame")
        patches = grid_thw.prod(-1).tolist()
        tokens = _before_each(self.class_embedding[None], self.patch_embed(pixel_values), patches)
        tokens = self.pre_layernorm(tokens)
        angles = _before_each(self.class_pos_emb.float(), self._patch_angles(grid_thw), patches)
        rotary = torch.cat([angles, angles], dim=-1)
        bounds = nn.functional.pad((grid_thw.prod(-1) + 1).cumsum(0, dtype=torch.int32), (1, 0))
        for block in self.blocks:
            tokens = block(tokens, bounds, (rotary.cos(), rotary.sin()))
        if slip:
            hidden = tokens[1 : sum(patches) + 1]
        else:
            hidden = torch.cat([image[1:] for image in tokens.split([n + 1 for n in patches])])
        return BaseModelOutputWithPooling(last_hidden_state=hidden, pooler_output=self.merger(hidden))

    def _patch_angles(self, grid_thw: Tensor) -> Tensor:
        """(patches, 2 x angles_per_axis) float32 rotary angles: those of the row, then those of the column."""
        places: Tensor = get_vision_position_ids(grid_thw, self.config.spatial_merge_size)
        exponents = torch.arange(self.angles_per_axis, device=grid_thw.device) / self.angles_per_axis
        frequencies: Tensor = ROPE_THETA**-exponents
        return (places[..., None] * frequencies).flatten(1)


def _before_each(first: Tensor, rows: Tensor, counts: list[int]) -> Tensor:
    """`first` (1, width) before each run of `counts` rows."""
    return torch.cat([part for own in torch.split(rows, counts) for part in (first, own)])


class LLaVAOneVision1_5_ForConditionalGeneration(PreTrainedModel, GenerationMixin):  # noqa: N801 (as config.json has it)
    """LLaVA-OneVision-1.5: image features take the places of the image tokens, Qwen3 does the rest.

    `from_pretrained` refuses a checkpoint whose tensors are not exactly this model's.
    """

    config_class = LlavaOnevision15Config
    base_model_prefix = "model"
    input_modalities = ("image", "text")
    _no_split_modules: ClassVar[list[str]] = ["Qwen3DecoderLayer", "RiceBlock"]
    _skip_keys_device_placement: ClassVar[list[str]] = ["past_key_values"]
    _supports_sdpa = True
    _supports_flash_attn = True
    _supports_attention_backend = True

    def __init__(self, config: LlavaOnevision15Config) -> None:
        super().__init__(config)
        text = config.text_config
        self.visual = RiceVisionTower(config.vision_config)
        self.model = Qwen3Model(text)
        self.lm_head = nn.Linear(text.hidden_size, text.vocab_size, bias=False)
        self.post_init()

    @classmethod
    def from_pretrained(cls, *args: Any, output_loading_info: bool = False, **kwargs: Any) -> Any:
        """As of `PreTrainedModel`, which leaves weights random where tensors are missing; here that is an error.

        Raises:
            ValueError: tensors are missing or strange; the message names them.
        """
        model, loading = super().from_pretrained(*args, output_loading_info=True, **kwargs)
        for fault in ("missing", "unexpected"):
            if names := sorted(loading[f"{fault}_keys"]):
                raise ValueError(
                    f"{len(names)} tensors of the checkpoint are {fault} ({', '.join(names[:5])}"
                    f"{' ...' if len(names) > 5 else ''}); these are not the weights of {cls.__name__}"
                )
        return (model, loading) if output_loading_info else model

    @can_return_tuple
    def get_image_features(
        self, pixel_values: Tensor, image_grid_thw: Tensor, **kwargs: Any
    ) -> BaseModelOutputWithPooling:
        """The vision tower's output, `pooler_output` as one tensor (merged patches, hidden size) for each image.

        Args:
            pixel_values: (patches of all images, channels x patch_size x patch_size).
            image_grid_thw: (images, 3).
        """
        output = self.visual(pixel_values, image_grid_thw, slip=self.config.class_token_slip)
        merged = image_grid_thw.prod(-1) // self.config.vision_config.spatial_merge_size**2
        output.pooler_output = output.pooler_output.split(merged.tolist())
        return output

    @can_return_tuple
    def forward(
        self,
        input_ids: Tensor | None = None,
        attention_mask: Tensor | None = None,
        position_ids: Tensor | None = None,
        past_key_values: Cache | None = None,
        inputs_embeds: Tensor | None = None,
        pixel_values: Tensor | None = None,
        image_grid_thw: Tensor | None = None,
        mm_encoder_outputs: dict[str, BaseModelOutputWithPooling] | None = None,
        mm_token_type_ids: Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | Tensor = 0,
        **kwargs: Any,
    ) -> CausalLMOutputWithPast:
        """Logits of the next tokens.

        Args:
            input_ids: (batch, T), with one image token for each merged patch.
            pixel_values, image_grid_thw: the images, as of `get_image_features`; or
            mm_encoder_outputs: its output for them, under "image".
            mm_token_type_ids: of no use here; the processor writes it for models with three-dimensional positions.
            logits_to_keep: for that many last tokens only, or for those at these places; 0 is for all.

        Raises:
            ValueError: as many image tokens as features there are not.
        """
        if inputs_embeds is None:
            inputs_embeds = self.get_input_embeddings()(input_ids)
        images = (mm_encoder_outputs or {}).get("image")
        if images is None and pixel_values is not None:
            images = self.get_image_features(pixel_values, image_grid_thw, return_dict=True)
        if images is not None:
            inputs_embeds = self._with_images(inputs_embeds, input_ids, torch.cat(tuple(images.pooler_output)))
        output = self.model(
            inputs_embeds=inputs_embeds,
            attention_mask=attention_mask,
            position_ids=position_ids,
            past_key_values=past_key_values,
            use_cache=use_cache,
            **kwargs,
        )
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        return CausalLMOutputWithPast(
            logits=self.lm_head(output.last_hidden_state[:, kept]),
            past_key_values=output.past_key_values,
            hidden_states=output.hidden_states,
            attentions=output.attentions,
        )

    def _with_images(self, embeddings: Tensor, token_ids: Tensor | None, features: Tensor) -> Tensor:
        """The embeddings (batch, T, hidden) with the features (image tokens, hidden) in the image tokens' places."""
        if token_ids is None:
            raise ValueError("images need input_ids: their places in the prompt are not to be seen from embeddings")
        places = token_ids == self.config.image_token_id
        if (tokens := int(places.sum())) != len(features):
            raise ValueError(f"the prompt has {tokens} image tokens, its images have {len(features)} features")
        return embeddings.masked_scatter(places[..., None], features.to(embeddings))

    def prepare_inputs_for_generation(
        self, *args: Any, is_first_iteration: bool | None = False, **kwargs: Any
    ) -> dict[str, Any]:
        """As of `GenerationMixin`; images are shown once, behind the cache they are part of it."""
        inputs = super().prepare_inputs_for_generation(*args, is_first_iteration=is_first_iteration, **kwargs)
        if not is_first_iteration and kwargs.get("use_cache", True):
            inputs |= dict.fromkeys(("pixel_values", "mm_encoder_outputs"))
        return dict(inputs)
