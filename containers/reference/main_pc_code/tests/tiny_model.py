"""Makes two tiny language models with random weights, for tests: they work like real ones and know nothing.

    python3 main_pc_code/tests/tiny_model.py FOLDER

FOLDER gets `tiny-causal`, of the Llama family, and `tiny-seq2seq`, of the NLLB family. It takes seconds and no network.
The same version of the libraries makes the same weights each time.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any

TEXT = (
    "A question is answered step by step. First think, then check each step, and then write the answer. The sun is "
    "warm, the sea is cold and the sky is blue. Two and two make four. A cat sees a bird in the tree. Question: "
    "Answer: Step 1. 2. 3."
)
LANGUAGES = ["deu_Latn", "ell_Grek", "eng_Latn", "fra_Latn"]
VOCABULARY = 400
CONTEXT_TOKENS = 8192
WEIGHT_SPREAD = 0.5  # Wide enough that another input gives another output.


def make_causal(folder: Path) -> None:
    """A model that continues any text: its tokens are made of bytes."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    special = ["<s>", "</s>"]
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY, special_tokens=special, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([TEXT], trainer)
    config = LlamaConfig(
        vocab_size=tokenizer.get_vocab_size(),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=CONTEXT_TOKENS,
        initializer_range=WEIGHT_SPREAD,
        bos_token_id=0,
        eos_token_id=1,
    )
    wrapped = PreTrainedTokenizerFast(tokenizer_object=tokenizer, bos_token="<s>", eos_token="</s>")
    _save(LlamaForCausalLM, config, wrapped, folder)


def make_seq2seq(folder: Path) -> None:
    """A model that turns a text of one language into one of another, with NLLB's codes for them."""
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers
    from transformers import M2M100Config, M2M100ForConditionalGeneration, NllbTokenizer

    trained = Tokenizer(models.BPE(unk_token="<unk>"))
    trained.pre_tokenizer = pre_tokenizers.Metaspace()
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    trainer = trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=special, show_progress=False)
    trained.train_from_iterator([TEXT], trainer)
    parts = json.loads(trained.to_str())["model"]
    merges = [tuple(pair) for pair in parts["merges"]]
    tokenizer = NllbTokenizer(vocab=parts["vocab"], merges=merges, extra_special_tokens=LANGUAGES)
    config = M2M100Config(
        vocab_size=len(tokenizer),
        d_model=32,
        encoder_layers=2,
        decoder_layers=2,
        encoder_ffn_dim=64,
        decoder_ffn_dim=64,
        encoder_attention_heads=4,
        decoder_attention_heads=4,
        max_position_embeddings=512,
        init_std=WEIGHT_SPREAD,
        bos_token_id=0,
        pad_token_id=1,
        eos_token_id=2,
        decoder_start_token_id=2,
    )
    _save(M2M100ForConditionalGeneration, config, tokenizer, folder)


def _save(model_class: Any, config: Any, tokenizer: Any, folder: Path) -> None:
    import torch

    torch.manual_seed(0)
    model = model_class(config)
    # So that what it makes can be read in a trace: no token that is half a character or moves the cursor.
    texts = (tokenizer.decode([token]) for token in range(len(tokenizer)))
    unprintable = [token for token, text in enumerate(texts) if not text.isprintable() or "\ufffd" in text]
    model.generation_config.suppress_tokens = unprintable or None
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    for path in folder.iterdir():
        path.chmod(0o644)  # Weights are saved for their owner alone; an agent runs as another user.


def main() -> None:
    if len(sys.argv) != 2:
        sys.exit(f"usage: {sys.argv[0]} FOLDER")
    os.environ["HF_HUB_OFFLINE"] = "1"
    make_causal(Path(sys.argv[1]) / "tiny-causal")
    make_seq2seq(Path(sys.argv[1]) / "tiny-seq2seq")


if __name__ == "__main__":
    main()
