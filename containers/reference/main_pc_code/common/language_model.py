"""A language model from a folder below `models/`, by transformers, on the GPU or the CPU. Never from the network.

torch and transformers are imported when a model is loaded and not before: without a model nobody waits for them.
"""

import math
import os
import re
import threading
from typing import Any

from main_pc_code.common.metrics import cgroup_metrics
from main_pc_code.common.model_folder import CAUSAL, Model, NoModel

DEFAULT_CONTEXT_TOKENS = 1024  # Where the model's configuration does not say.
LANGUAGE_CODE = re.compile(r"[a-z]{3}_[A-Z][a-z]{3}")
LOWEST_SCORE = -1e9  # Of what has no tokens, or no number as likelihood: worse than anything.


class TooLong(Exception):
    """A text that does not fit into the model's context; the text says by how much."""


class LanguageModel:
    """Callable from any thread; calls take turns, since they share one model and one source of randomness."""

    def __init__(self, model: Model, device: str) -> None:
        """Takes seconds to minutes. NoModel if the files cannot be used, whatever is wrong with them."""
        os.environ["HF_HUB_OFFLINE"] = "1"
        # Threads that wait for each other by spinning slow a model down many times where the processors are busy.
        os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
        try:
            import torch
            import transformers
        except ImportError as error:
            raise NoModel(f"model `{model.name}` cannot be loaded: {error}") from error
        transformers.utils.logging.disable_progress_bar()
        torch.set_num_threads(min(torch.get_num_threads(), granted_processors()))
        self.name, self.kind = model.name, model.kind
        self.device = "cuda" if device == "cuda" and torch.cuda.is_available() else "cpu"
        self._torch = torch
        self._lock = threading.Lock()
        try:
            self._load(model.path, transformers)
        except NoModel:
            raise
        except Exception as error:
            reason = (str(error).splitlines() or [""])[0][:300]
            raise NoModel(f"model `{model.name}` cannot be loaded: {type(error).__name__}: {reason}") from error

    def _load(self, path: str, transformers: Any) -> None:
        kinds = transformers.AutoModelForCausalLM, transformers.AutoModelForSeq2SeqLM
        loader = kinds[0] if self.kind == CAUSAL else kinds[1]
        self._tokenizer = transformers.AutoTokenizer.from_pretrained(path, local_files_only=True)
        loaded, info = loader.from_pretrained(path, local_files_only=True, dtype="auto", output_loading_info=True)
        if info["missing_keys"]:
            # They would be random numbers, and nobody would be told.
            raise NoModel(f"model `{self.name}`: its files lack {len(info['missing_keys'])} of the weights")
        self._model = loaded.to(self.device).eval()
        limits = (getattr(loaded.config, "max_position_embeddings", None), self._tokenizer.model_max_length)
        self.context_tokens = min([limit for limit in limits if limit] or [DEFAULT_CONTEXT_TOKENS])
        self._pad_id = self._tokenizer.pad_token_id
        if self._pad_id is None:
            self._pad_id = self._tokenizer.eos_token_id
        self.languages = frozenset(filter(LANGUAGE_CODE.fullmatch, self._tokenizer.get_added_vocab()))
        if self.kind != CAUSAL and not self.languages:
            raise NoModel(f"model `{self.name}` has no language codes such as eng_Latn; NLLB's models have them")

    def generate(
        self,
        prompt: str,
        max_new_tokens: int,
        timeout_s: float,
        samples: int = 1,
        temperature: float = 0.0,
        seed: int = 0,
        chat: bool = False,
    ) -> list[str]:
        """Continuations of a prompt, or with `chat` answers to it, in the form that the model was trained for.

        With temperature 0 the likeliest one, the same each time; otherwise samples, the same ones for the same seed.
        """
        ids = self._encode(prompt, max_new_tokens, chat)
        options: dict[str, Any] = {"do_sample": False}
        if temperature > 0:
            options = {"do_sample": True, "temperature": temperature, "num_return_sequences": samples}
        with self._lock:
            self._torch.manual_seed(seed)
            return self._run(ids, max_new_tokens, timeout_s, options, skip=len(ids))

    def score(self, prompt: str, continuation: str) -> float:
        """The mean log-likelihood of a continuation's tokens after a prompt: 0 is certain, less is less likely."""
        tail = self._tokenizer(continuation, add_special_tokens=False).input_ids
        head = self._encode(prompt, len(tail))
        if not tail:
            return LOWEST_SCORE
        ids = self._torch.tensor([head + tail], device=self.device)
        with self._lock, self._torch.inference_mode():
            # Each position tells the likelihood of the token after it, so the last one is not needed.
            logits = self._model(input_ids=ids, logits_to_keep=len(tail) + 1).logits[0, :-1]
        likelihoods = logits.float().log_softmax(-1)[range(len(tail)), tail]
        score = float(likelihoods.mean())
        return score if math.isfinite(score) else LOWEST_SCORE

    def translate(self, text: str, source: str, target: str, max_new_tokens: int, timeout_s: float) -> str:
        """From one of the model's `languages` into another; for models that are not causal, all of which have some."""
        with self._lock:
            self._tokenizer.src_lang = source
            ids = self._encode(text, 0)
            options = {"forced_bos_token_id": self._tokenizer.convert_tokens_to_ids(target)}
            return self._run(ids, min(max_new_tokens, self.context_tokens), timeout_s, options, skip=0)[0]

    def _encode(self, text: str, reserved_tokens: int, chat: bool = False) -> list[int]:
        """A text's tokens, at least one; TooLong if they and `reserved_tokens` more are too many for the model."""
        if chat and self._tokenizer.chat_template:
            turn = [{"role": "user", "content": text}]
            text = self._tokenizer.apply_chat_template(turn, tokenize=False, add_generation_prompt=True)
            ids = self._tokenizer(text, add_special_tokens=False).input_ids
        else:
            ids = self._tokenizer(text).input_ids
        if len(ids) + reserved_tokens > self.context_tokens:
            limit = self.context_tokens - reserved_tokens
            raise TooLong(f"{len(ids)} tokens; model `{self.name}` has room for {max(0, limit)}")
        return list(ids) or [self._pad_id]

    def _run(self, ids: list[int], max_new_tokens: int, timeout_s: float, options: Any, skip: int) -> list[str]:
        torch = self._torch
        inputs = torch.tensor([ids], device=self.device)
        with torch.inference_mode():
            output = self._model.generate(
                inputs,
                attention_mask=torch.ones_like(inputs),
                max_new_tokens=max_new_tokens,
                max_time=timeout_s,
                pad_token_id=self._pad_id,
                **options,
            )
        return list(self._tokenizer.batch_decode(output[:, skip:], skip_special_tokens=True))


def granted_processors() -> int:
    """How many processors this container may use; torch sees only how many there are."""
    limit = cgroup_metrics().get("cgroup_cpus_limit", math.inf)
    return max(1, math.ceil(min(limit, os.cpu_count() or 1)))
