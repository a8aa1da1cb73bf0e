"""TinyLlamaService: continues texts and answers questions with a small language model."""

import os
import sys

sys.path.append(os.path.dirname(__file__) + "/../..")  # The root of the monorepo, for runs without PYTHONPATH.

from main_pc_code.common.agent import main
from main_pc_code.common.language_service import LanguageService


class TinyLlamaService(LanguageService):
    """Any causal model will do; one of the TinyLlama family is preferred."""

    default_name = "TinyLlamaService"
    default_port = 5615
    description = "Generates text with a causal language model."
    capabilities = ("text_generation",)
    model_hint = "tinyllama"
    task = "generate"


if __name__ == "__main__":
    main(TinyLlamaService)
