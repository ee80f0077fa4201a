"""GGUF checkpoints, as small language models are often published: written once as a folder that loads in a second.

transformers reads such files, but slowly: it parses every token of the vocabulary in Python, three times over. With
SmolLM2-135M that takes half a minute of a CPU core, and a grid has dozens of jobs that load the model. The folder holds
what transformers makes of the file, in float32, so that every number of a quantised file is kept as it is.
"""

import copy
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, PreTrainedModel

from lad.extraction.backbone import load_backbone
from lad.extraction.checkpoint import BackboneError, source_of


def write_as_folder(checkpoint: str, folder: Path) -> None:
    """Write a GGUF checkpoint as a folder of transformers': config.json, model.safetensors, the tokenizer's files.

    Args:
        checkpoint: a GGUF file, or `package:NAME/FILE` (`lad.packaged`).
        folder: to be made; of one that is there already the files are replaced.

    Raises:
        BackboneError: no GGUF file, or one that `load_backbone` refuses; nothing is written then.
        PackagedError: as of `checkpoint_path`.
    """
    if not source_of(checkpoint)[1]:
        raise BackboneError(f"checkpoint {checkpoint}: is no GGUF file; it can be loaded as it is")
    backbone = load_backbone(checkpoint)
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as partial:
        _plain(backbone.model).save_pretrained(partial)
        backbone.processor.save_pretrained(partial)
        folder.mkdir(exist_ok=True)
        for made in Path(partial).iterdir():
            made.chmod(0o644)
            made.replace(folder / made.name)


def _plain(read: PreTrainedModel) -> PreTrainedModel:
    """The model with the same weights, without the mark of having been read from GGUF: so marked it is not saved."""
    config = copy.deepcopy(read.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.generation_config = read.generation_config
    return model
