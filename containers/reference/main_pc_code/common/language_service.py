"""What agents with a language model have in common, and the services that generate and translate with one."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, ClassVar

from main_pc_code.common.agent import Agent, Reply, Request
from main_pc_code.common.host import compute_device
from main_pc_code.common.language_model import LanguageModel, TooLong
from main_pc_code.common.messages import RequestError, number, text
from main_pc_code.common.model_folder import CAUSAL, SEQ2SEQ, NoModel, choose_model, scan_models

MAX_TEXT_CHARS = 8000
MAX_LANGUAGE_CHARS = 40
MAX_NEW_TOKENS, DEFAULT_NEW_TOKENS = 512, 64
MAX_TIMEOUT_S, DEFAULT_TIMEOUT_S = 300.0, 20.0
TRANSLATION = "Translate the following text from {source} to {target}. Answer with the translation only.\n\n{text}\n\n"


class LanguageAgent(Agent):
    """Loads its model at the start. Without one it runs all the same, says why in its health, and refuses work."""

    model_kind: ClassVar[str] = CAUSAL
    model_hint: ClassVar[str] = ""  # Models with this in their names are preferred; MODEL_NAME in the environment wins.
    max_waiting: ClassVar[int] = 4  # Each request takes seconds.

    def setup(self) -> None:
        self.model: LanguageModel | None = None
        self.model_problem: str | None = None
        environment = self.settings.environment
        try:
            models, wanted = scan_models(environment), environment.get("MODEL_NAME", "")
            chosen = choose_model(models, self.model_kind, wanted, self.model_hint)
            self.model = LanguageModel(chosen, compute_device(environment))
            self.log.info("model loaded", model=chosen.name, device=self.model.device)
        except NoModel as error:
            self.model_problem = str(error)
            self.log.warning("no model", reason=self.model_problem)

    def health_details(self) -> Reply:
        return {
            "model_loaded": self.model.name if self.model else None,
            "model_problem": self.model_problem,
            "device": self.model.device if self.model else compute_device(self.settings.environment),
        }

    @contextmanager
    def working_model(self) -> Iterator[LanguageModel]:
        """The model; without one, and for a text that is too long for it, the request is refused."""
        if self.model is None:
            raise RequestError(f"{self.name} has no model: {self.model_problem}", code="unavailable")
        try:
            yield self.model
        except TooLong as error:
            raise RequestError(f"the text is too long: {error}") from error


class LanguageService(LanguageAgent):
    """One `task`, `generate` or `translate`, as the service's action."""

    task: ClassVar[str]

    def actions(self) -> dict[str, Any]:
        return super().actions() | {self.task: getattr(self, self.task)}

    def generate(self, request: Request) -> Reply:
        """A text's continuation, or the answer to it if the model was trained to chat."""
        prompt = text(request, "text", MAX_TEXT_CHARS)
        temperature = number(request, "temperature", 0, 2, 0.0)
        seed = number(request, "seed", 0, 2**31, 0, whole=True)
        with self.working_model() as model:
            answers = model.generate(prompt, *read_bounds(request), temperature=temperature, seed=seed, chat=True)
        return {"text": answers[0].strip(), "model": model.name}

    def translate(self, request: Request) -> Reply:
        """Languages are codes such as `eng_Latn` where the model has them, otherwise words such as `English`."""
        words = text(request, "text", MAX_TEXT_CHARS)
        source, target = (text(request, f"{end}_language", MAX_LANGUAGE_CHARS) for end in ("source", "target"))
        with self.working_model() as model:
            if model.kind == SEQ2SEQ:
                if unknown := {source, target} - model.languages:
                    known = ", ".join(sorted(model.languages)[:300])
                    raise RequestError(f"unknown language `{min(unknown)}`; known are {known}")
                translation = model.translate(words, source, target, *read_bounds(request))
            else:
                prompt = TRANSLATION.format(source=source, target=target, text=words)
                translation = model.generate(prompt, *read_bounds(request), chat=True)[0]
        return {"text": translation.strip(), "model": model.name}


def read_bounds(request: Request) -> tuple[int, float]:
    """How many tokens may be made, and for how many seconds; what is there by then is the answer."""
    new_tokens = number(request, "max_new_tokens", 1, MAX_NEW_TOKENS, DEFAULT_NEW_TOKENS, whole=True)
    return new_tokens, number(request, "timeout_s", 0.1, MAX_TIMEOUT_S, DEFAULT_TIMEOUT_S)
