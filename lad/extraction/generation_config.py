"""What a model's own generation config does to its logits: the same as in transformers' `generate`, or a refusal.

`generate` builds its processors from a config that it completes first: defaults, lengths in tokens of this prompt, the
tokens that end an answer as a tensor. These steps are the library's own here as well; a test compares the outcome with
`generate` for every field there is. Settings of chance (temperature, top-p ...) do nothing, as with `do_sample=False`:
`lad.extraction.texts` draws by itself.
"""

from collections.abc import Callable, Iterable
from typing import Final

from torch import Tensor
from transformers import GenerationConfig

from lad.extraction.backbone import Backbone, BackboneError
from lad.extraction.prompts import Generation

LogitsProcessor = Callable[[Tensor, Tensor], Tensor]

_OTHER_PASSES: Final = {
    "guidance_scale": "needs a second forward pass without the prompt",
    "encoder_repetition_penalty": "is for models with an encoder",
    "encoder_no_repeat_ngram_size": "is for models with an encoder",
}
"""Fields that change the logits in a way that is not read out here."""

_OTHER_TEXTS: Final = {
    "num_beams": "searches with beams",
    "num_beam_groups": "searches with beams",
    "penalty_alpha": "searches by contrast",
    "constraints": "searches with beams",
    "force_words_ids": "searches with beams",
    "dola_layers": "contrasts layers",
    "prompt_lookup_num_tokens": "guesses tokens ahead",
    "assistant_early_exit": "guesses tokens ahead",
    "use_mtp": "guesses tokens ahead",
    "stop_strings": "ends texts at strings",
    "max_time": "ends texts by the clock",
    "token_healing": "rewrites the prompt",
    "num_return_sequences": "writes several texts",
}
"""Fields that make `generate` write texts in another way than token by token."""

_FORBIDDING: Final = (
    *("bad_words_ids", "begin_suppress_tokens", "forced_bos_token_id", "forced_eos_token_id"),
    *("no_repeat_ngram_size", "sequence_bias", "suppress_tokens"),
)
"""Fields that can forbid a token, whose processed logit is minus infinity then."""


def refuse_other_ways(backbone: Backbone, generation: Generation | None) -> None:
    """Stop before anything runs where `generate` would do what is not done here.

    Args:
        generation: how texts are written; None where none are, and only the first logits count.

    Raises:
        BackboneError: the generation config sets a field that is not honoured; the message names it.
    """
    fields = _OTHER_PASSES | (_OTHER_TEXTS if generation is not None else {})
    if others := _set_of(backbone, fields):
        field, value = others[0], getattr(backbone.model.generation_config, others[0])
        raise BackboneError(
            f"checkpoint {backbone.checkpoint}: its generation config sets {field} = {value}, which {fields[field]};"
            f" that is not done here, so that answers would differ from the model's own: take {field} out of its"
            " generation_config.json"
        )


def forbidding_fields(backbone: Backbone) -> list[str]:
    """The fields that the generation config sets and that can forbid a token."""
    return _set_of(backbone, _FORBIDDING)


def _set_of(backbone: Backbone, fields: Iterable[str]) -> list[str]:
    """Those of the fields that are set to something other than what means nothing."""
    config, defaults = backbone.model.generation_config, GenerationConfig()._get_default_generation_params()
    given = {field: getattr(config, field, None) for field in fields}
    return [
        field
        for field, value in given.items()
        # Of guidance_scale and num_beams 1 means nothing, of the others None, 0, False or what is empty.
        if value and value != defaults.get(field) and not (field == "guidance_scale" and value == 1)
    ]


def logits_processor(backbone: Backbone, *, prompt: Tensor, generation: Generation | None) -> LogitsProcessor:
    """What `generate` makes of logits before any choice (repetition penalty, minimal length ...).

    Args:
        prompt: (batch, T) tokens, of one length each.
        generation: how texts are written behind it; None where none are.

    Returns:
        From tokens (rows, t) and the logits behind them, (rows, vocabulary), to processed logits.

    Raises:
        BackboneError: a field has a value that transformers refuses.
    """
    model, length = backbone.model, prompt.shape[1]
    own = model.generation_config
    length_of_texts = {} if generation is None else {"max_new_tokens": generation.new_tokens}
    # Lengths that the config gives twice, as such and in new tokens, are no news: those in new tokens count.
    most_is_default = own.max_length is None or bool(length_of_texts) or own.max_new_tokens is not None
    least_is_default = own.min_length is None or own.min_new_tokens is not None
    try:
        config, _ = model._prepare_generation_config(None, do_sample=False, **length_of_texts)
        model._prepare_special_tokens(config, device=prompt.device)
        config = model._prepare_generated_length(config, most_is_default, least_is_default, "input_ids", length, prompt)
        processors: LogitsProcessor = model._get_logits_processor(
            generation_config=config, input_ids_seq_length=length, device=str(backbone.device), model_kwargs={}
        )
    except (ValueError, TypeError) as error:
        told = " ".join(str(error).split())
        raise BackboneError(f"checkpoint {backbone.checkpoint}: its generation config is refused: {told}") from error
    return processors
