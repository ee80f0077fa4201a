"""Models that transformers does not have (any more): importing this registers them with its Auto classes.

After `import lad.backbones`, `AutoConfig`, `AutoModelForImageTextToText` and `AutoProcessor` know the model type
`llavaonevision1_5`, and a checkpoint of it loads without running the code that lies beside its weights.
"""

from transformers import AutoConfig, AutoModelForImageTextToText, AutoProcessor, Qwen2_5_VLProcessor
from transformers.models.auto.processing_auto import PROCESSOR_MAPPING_NAMES

from lad.backbones.llava_onevision15 import LLaVAOneVision1_5_ForConditionalGeneration, LlavaOnevision15Config

__all__ = ["LLaVAOneVision1_5_ForConditionalGeneration", "LlavaOnevision15Config"]

AutoConfig.register(LlavaOnevision15Config.model_type, LlavaOnevision15Config, exist_ok=True)
AutoModelForImageTextToText.register(LlavaOnevision15Config, LLaVAOneVision1_5_ForConditionalGeneration, exist_ok=True)
# The published preprocessor_config.json asks for this processor: "processor_class": "Qwen2_5_VLProcessor".
AutoProcessor.register(LlavaOnevision15Config, Qwen2_5_VLProcessor, exist_ok=True)
PROCESSOR_MAPPING_NAMES[LlavaOnevision15Config.model_type] = Qwen2_5_VLProcessor.__name__
