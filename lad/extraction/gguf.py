"""GGUF checkpoints, as small language models are often published: written once as a folder that loads in a second.

transformers reads such files, but slowly: names and tokens are parsed one by one in Python, 20 s for SmolLM2-135M on a
quiet core, and a grid has dozens of jobs that load the model. The weights become what transformers makes of them, in
float32: every number of a quantised file is kept as it is.
"""

import copy
import tempfile
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from lad.extraction.checkpoint import BackboneError
from lad.packaged import checkpoint_path


def write_as_folder(checkpoint: str, folder: Path) -> None:
    """Write a GGUF checkpoint as a folder of transformers': config.json, model.safetensors, the tokenizer's files.

    The folder appears whole or not at all.

    Args:
        checkpoint: a GGUF file, or `package:NAME/FILE` (`lad.packaged`).
        folder: to be made; of one that is there already the files are replaced.

    Raises:
        BackboneError: no such file, one that is no GGUF or broken, a model that transformers does not know, or the
            packages `gguf` and `accelerate` missing.
        PackagedError: as of `checkpoint_path`.
    """
    file = Path(checkpoint_path(checkpoint))
    if not file.is_file():
        raise BackboneError(f"checkpoint {checkpoint}: no such file")
    with file.open("rb") as data:
        if (magic := data.read(4)) != b"GGUF":
            raise BackboneError(f"checkpoint {checkpoint}: is no GGUF file (it begins with {magic!r})")
    try:
        model = AutoModelForCausalLM.from_pretrained(file.parent, gguf_file=file.name, dtype=torch.float32)
        tokenizer = AutoTokenizer.from_pretrained(file.parent, gguf_file=file.name)
    except ImportError as error:
        raise BackboneError(
            f"checkpoint {checkpoint}: reading GGUF needs the packages gguf and accelerate ({_first_line(error)});"
            " pip install 'logit-attention-divergence[texts]'"
        ) from error
    # A file that is cut short fails wherever its reader happens to be.
    except (OSError, ValueError, KeyError, IndexError, RuntimeError) as error:
        raise BackboneError(
            f"checkpoint {checkpoint}: cannot be read as GGUF ({type(error).__name__}: {_first_line(error)}); it may be"
            " cut short, or of a model that transformers does not know"
        ) from error
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as partial:
        _unmarked(model).save_pretrained(partial)
        tokenizer.save_pretrained(partial)
        folder.mkdir(exist_ok=True)
        for made in Path(partial).iterdir():
            made.chmod(0o644)
            made.replace(folder / made.name)


def _unmarked(read: PreTrainedModel) -> PreTrainedModel:
    """The model with the same weights, without the mark of having been read from GGUF: so marked it is not saved."""
    config = copy.deepcopy(read.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    model: PreTrainedModel = AutoModelForCausalLM.from_config(config, dtype=torch.float32)
    model.load_state_dict(read.state_dict())
    model.generation_config = read.generation_config
    return model


def _first_line(error: Exception) -> str:
    return next(iter(str(error).strip().splitlines()), type(error).__name__)
