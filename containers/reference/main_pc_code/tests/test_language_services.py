"""TinyLlamaService, NLLBAdapter and PhiTranslationService: with tiny models, with broken ones and without any."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from main_pc_code.common.language_service import LanguageService
from main_pc_code.FORMAINPC.NLLBAdapter import NLLBAdapter
from main_pc_code.FORMAINPC.PhiTranslationService import PhiTranslationService
from main_pc_code.FORMAINPC.TinyLlamaServiceEnhanced import TinyLlamaService
from main_pc_code.tests.harness import AgentProcess
from main_pc_code.tests.hostile import attack, send_nasty_fields
from main_pc_code.tests.in_process import AgentThread, run_agent
from main_pc_code.tests.tiny_model import make_causal, make_seq2seq

SERVICES = (TinyLlamaService, NLLBAdapter, PhiTranslationService)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("transformers", reason="only the gpu image has transformers")
    folder = tmp_path_factory.mktemp("models")
    make_causal(folder / "tiny-causal")
    make_seq2seq(folder / "tiny-seq2seq")
    return folder


@contextmanager
def running(service: type[LanguageService], folder: Path, **environment: str) -> Iterator[AgentThread]:
    with run_agent(service, {"MODEL_FOLDER": str(folder), "CUDA_VISIBLE_DEVICES": "", **environment}) as agent:
        yield agent


@pytest.fixture(scope="module")
def tiny_llama(models: Path) -> Iterator[AgentThread]:
    with running(TinyLlamaService, models) as agent:
        yield agent


@pytest.fixture(scope="module")
def nllb(models: Path) -> Iterator[AgentThread]:
    with running(NLLBAdapter, models) as agent:
        yield agent


@pytest.fixture(scope="module")
def phi(models: Path) -> Iterator[AgentThread]:
    with running(PhiTranslationService, models) as agent:
        yield agent


def test_text_is_generated_the_same_way_unless_a_temperature_asks_for_chance(tiny_llama: AgentThread) -> None:
    request = {"action": "generate", "text": "The sun is", "max_new_tokens": 12}
    plain = tiny_llama.ask(request)
    assert plain["text"]
    assert plain["model"] == "tiny-causal"
    assert tiny_llama.ask(request | {"seed": 5}) == plain
    samples = [tiny_llama.ask(request | {"temperature": 1, "seed": seed})["text"] for seed in (1, 1, 2)]
    assert samples[0] == samples[1] != samples[2]


def test_the_number_of_new_tokens_is_bounded(tiny_llama: AgentThread) -> None:
    long, short = (
        tiny_llama.ask({"action": "generate", "text": "The sun", "max_new_tokens": count})["text"] for count in (40, 1)
    )
    assert long.startswith(short)
    assert len(short) < 12 < len(long)


def test_a_chat_model_gets_its_own_form_of_question(models: Path, tmp_path: Path) -> None:
    folder = tmp_path / "chat"
    folder.mkdir()
    for path in (models / "tiny-causal").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    template = "{% for turn in messages %}Question: {{ turn['content'] }} {% endfor %}Answer:"
    (folder / "chat_template.jinja").write_text(template)
    request = {"action": "generate", "text": "Is the sky blue?", "max_new_tokens": 8}
    with running(TinyLlamaService, tmp_path) as chat, running(TinyLlamaService, models) as plain:
        answer = chat.ask(request)["text"]
        assert answer != plain.ask(request)["text"]
        assert answer == plain.ask(request | {"text": "Question: Is the sky blue? Answer:"})["text"]


def test_a_translation_depends_on_the_text_and_both_languages(nllb: AgentThread) -> None:
    def translate(text: str, source: str, target: str) -> str:
        languages = {"source_language": source, "target_language": target}
        reply = nllb.ask({"action": "translate", "text": text, "max_new_tokens": 12} | languages)
        assert reply["status"] == "ok", reply
        return reply["text"]

    first = translate("The sun is warm", "eng_Latn", "fra_Latn")
    assert translate("The sun is warm", "eng_Latn", "fra_Latn") == first
    others = [
        translate("A cat sees a bird", "eng_Latn", "fra_Latn"),
        translate("The sun is warm", "deu_Latn", "fra_Latn"),
        translate("The sun is warm", "eng_Latn", "ell_Grek"),
    ]
    assert first not in others


@pytest.mark.parametrize("language", ["English", "xxx_Latn", "</s>", ""])
def test_unknown_languages_are_refused(nllb: AgentThread, language: str) -> None:
    languages = {"source_language": "eng_Latn", "target_language": language}
    reply = nllb.ask({"action": "translate", "text": "The sun"} | languages)
    assert (reply["status"], reply["code"]) == ("error", "bad_request")


def test_a_causal_model_translates_by_instruction(phi: AgentThread, tiny_llama: AgentThread) -> None:
    request = {"text": "The sun", "max_new_tokens": 8}
    languages = {"source_language": "English", "target_language": "Greek"}
    reply = phi.ask({"action": "translate"} | request | languages)
    assert reply["status"] == "ok", reply
    prompt = "Translate the following text from English to Greek. Answer with the translation only.\n\nThe sun\n\n"
    assert reply["text"] == tiny_llama.ask({"action": "generate"} | request | {"text": prompt})["text"]


def test_a_text_that_the_model_cannot_take_is_refused(nllb: AgentThread) -> None:
    languages = {"source_language": "eng_Latn", "target_language": "fra_Latn"}
    reply = nllb.ask({"action": "translate", "text": "a b " * 1000} | languages)
    assert (reply["status"], reply["code"]) == ("error", "bad_request")
    assert "has room for 512" in reply["error"]


@pytest.mark.parametrize("fields", [{"text": 5}, {"max_new_tokens": 0}, {"temperature": -1}, {"timeout_s": 0}])
def test_bad_requests_are_refused(tiny_llama: AgentThread, fields: dict[str, Any]) -> None:
    reply = tiny_llama.ask({"action": "generate", "text": "The sun"} | fields)
    assert (reply["status"], reply["code"]) == ("error", "bad_request")


def test_a_model_with_missing_weights_is_not_used(models: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    folder = tmp_path / "torn"
    folder.mkdir()
    for path in (models / "tiny-causal").iterdir():
        (folder / path.name).write_bytes(path.read_bytes())
    weights = load_file(folder / "model.safetensors")
    del weights["model.norm.weight"]
    save_file(weights, folder / "model.safetensors", metadata={"format": "pt"})
    with running(TinyLlamaService, tmp_path) as agent:
        assert "lack 1 of the weights" in agent.health()["model_problem"]


def test_a_translation_model_without_language_codes_is_not_used(models: Path, tmp_path: Path) -> None:
    from transformers import T5Config, T5ForConditionalGeneration

    shape = {"d_model": 16, "d_ff": 16, "d_kv": 8, "num_layers": 1, "num_heads": 2, "decoder_start_token_id": 0}
    T5ForConditionalGeneration(T5Config(vocab_size=400, **shape)).save_pretrained(tmp_path / "t5")
    for path in (models / "tiny-causal").glob("tokenizer*"):
        (tmp_path / "t5" / path.name).write_bytes(path.read_bytes())
    with running(NLLBAdapter, tmp_path) as agent:
        assert "no language codes" in agent.health()["model_problem"]


def test_a_model_with_broken_files_is_not_used(tmp_path: Path, models: Path) -> None:
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps({"architectures": ["LlamaForCausalLM"], "model_type": "llama"}))
    (folder / "model.safetensors").write_bytes(b"no weights")
    with running(TinyLlamaService, tmp_path) as agent:
        assert "model `broken` cannot be loaded" in agent.health()["model_problem"]
        assert agent.ask({"action": "generate", "text": "The sun"})["code"] == "unavailable"


@pytest.mark.parametrize("service", SERVICES)
def test_without_a_model_a_service_says_so_and_refuses(service: type[LanguageService], tmp_path: Path) -> None:
    with running(service, tmp_path) as agent:
        health = agent.health()
        assert (health["ready"], health["model_loaded"]) == (True, None)
        assert "no " in health["model_problem"]
        languages = {"source_language": "eng_Latn", "target_language": "fra_Latn"}
        reply = agent.ask({"action": service.task, "text": "The sun"} | languages)
        assert (reply["status"], reply["code"]) == ("error", "unavailable")


def test_a_named_model_is_the_only_one_that_will_do(tmp_path: Path) -> None:
    with running(TinyLlamaService, tmp_path, MODEL_NAME="mine") as agent:
        assert "called `mine`" in agent.health()["model_problem"]


@pytest.mark.parametrize("script", ["TinyLlamaServiceEnhanced", "NLLBAdapter", "PhiTranslationService"])
def test_no_message_harms_a_service(script: str, tmp_path: Path) -> None:
    with AgentProcess(f"main_pc_code/FORMAINPC/{script}.py", {"MODEL_FOLDER": str(tmp_path)}) as agent:
        attack(agent)


def test_no_field_harms_a_service_that_has_a_model(
    tiny_llama: AgentThread, nllb: AgentThread, phi: AgentThread
) -> None:
    for agent, action in ((tiny_llama, "generate"), (nllb, "translate"), (phi, "translate")):
        send_nasty_fields(agent, action)
