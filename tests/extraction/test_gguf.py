"""A GGUF checkpoint is written once as a folder that holds the same model."""

from pathlib import Path

import numpy as np
import pytest
import torch
from tokenizers.pre_tokenizers import ByteLevel

from lad.extraction.backbone import BackboneError, load_backbone
from lad.extraction.gguf import write_as_folder

HIDDEN, HEADS, LAYERS, INNER = 32, 4, 2, 64
CHAT = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{{ message['content'] }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


@pytest.fixture(scope="module")
def file(tmp_path_factory) -> Path:
    """A Llama of random weights, its matrices quantised to 4 bits, whose tokens are single bytes and `ab`."""
    gguf = pytest.importorskip("gguf", reason="the extra `texts` is not installed")
    path = tmp_path_factory.mktemp("gguf") / "tiny.Q4_1.gguf"
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_context_length(128)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_rope_freq_base(10_000.0)
    tokens = [*sorted(ByteLevel.alphabet()), "ab", "<|im_start|>", "<|im_end|>"]
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([1] * (len(tokens) - 2) + [3, 3])
    writer.add_token_merges(["a b"])
    writer.add_bos_token_id(len(tokens) - 2)
    writer.add_eos_token_id(len(tokens) - 1)
    writer.add_chat_template(CHAT)
    rng = np.random.default_rng(0)

    def add(name: str, *shape: int) -> None:
        values = rng.normal(0, 0.3, shape).astype(np.float32)
        if len(shape) == 1:
            writer.add_tensor(name, np.ones(shape, np.float32))
        else:
            kind = gguf.GGMLQuantizationType.Q4_1
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)

    add("token_embd.weight", len(tokens), HIDDEN)
    add("output_norm.weight", HIDDEN)
    for layer in range(LAYERS):
        add(f"blk.{layer}.attn_norm.weight", HIDDEN)
        add(f"blk.{layer}.ffn_norm.weight", HIDDEN)
        for part in ("q", "k", "v", "output"):
            add(f"blk.{layer}.attn_{part}.weight", HIDDEN, HIDDEN)
        for part, shape in (("gate", (INNER, HIDDEN)), ("up", (INNER, HIDDEN)), ("down", (HIDDEN, INNER))):
            add(f"blk.{layer}.ffn_{part}.weight", *shape)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def test_the_folder_holds_the_same_weights_and_the_same_tokens(file, tmp_path):
    write_as_folder(str(file), tmp_path / "models" / "tiny")
    read, written = load_backbone(file), load_backbone(tmp_path / "models" / "tiny")
    ours, theirs = written.model.state_dict(), read.model.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    assert ours["model.layers.0.mlp.up_proj.weight"].std() > 0.1
    asked = [{"role": "user", "content": "ab 12 naïve <|im_end|>\n"}]
    tokens = [
        one.processor.apply_chat_template(asked, add_generation_prompt=True)["input_ids"] for one in (read, written)
    ]
    assert tokens[0] == tokens[1]
    assert read.eos_token_ids == written.eos_token_ids
    # Nothing beside the folder: it appears whole.
    assert [path.name for path in (tmp_path / "models").iterdir()] == ["tiny"]


def test_what_is_no_gguf_is_refused_and_nothing_is_written(file, tmp_path):
    (tmp_path / "broken.gguf").write_bytes(file.read_bytes()[:3000])
    for checkpoint, told in (
        (str(tmp_path / "broken.gguf"), r"broken\.gguf: transformers cannot read this GGUF file"),
        (str(tmp_path / "nowhere.gguf"), r"nowhere\.gguf: there is no such file"),
        ("resources/demo-model", "resources/demo-model: is no GGUF file; it can be loaded as it is"),
    ):
        with pytest.raises(BackboneError, match=told) as refused:
            write_as_folder(checkpoint, tmp_path / "models" / "tiny")
        assert "\n" not in str(refused.value)
    assert not (tmp_path / "models").exists()
