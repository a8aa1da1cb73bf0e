"""ModelManagerAgent: the models folder, the bookkeeping of GPU memory, and what the driver says about it."""

import json
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from main_pc_code.agents.model_manager_agent import ModelManagerAgent
from main_pc_code.common.gpu_memory import MIB, Nvml
from main_pc_code.common.log import JsonLog
from main_pc_code.common.messages import RequestError
from main_pc_code.common.model_folder import NoModel, choose_model, scan_models
from main_pc_code.common.residency import MAX_RESIDENTS, NoRoom, Residency, Resident
from main_pc_code.common.settings import read_settings
from main_pc_code.tests.harness import AgentProcess
from main_pc_code.tests.hostile import attack

SCRIPT = "main_pc_code/agents/model_manager_agent.py"
ARCHITECTURES = {"causal": "LlamaForCausalLM", "seq2seq": "M2M100ForConditionalGeneration", "other": "BertForMaskedLM"}


def make_model(folder: Path, name: str, kind: str = "causal", weight_bytes: int = MIB) -> None:
    path = folder / name
    path.mkdir(parents=True)
    config = {"architectures": [ARCHITECTURES[kind]], "is_encoder_decoder": kind == "seq2seq"}
    (path / "config.json").write_text(json.dumps(config))
    with open(path / "model.safetensors", "wb") as file:
        file.truncate(weight_bytes)


def resident(model: str, need_mb: int, pinned: bool = False, agent: str = "A") -> Resident:
    return Resident(agent, model, need_mb, pinned)


def filled(*residents: Resident) -> Residency:
    residency = Residency()
    for each in residents:
        assert residency.load(each, budget_mb=1_000_000) == []
    return residency


def names(residents: list[Resident]) -> list[str]:
    return [each.model for each in residents]


def test_the_longest_unused_models_have_to_go_and_no_more_than_needed() -> None:
    residency = filled(resident("a", 40), resident("b", 30), resident("c", 30))
    assert residency.use("A", "a")
    assert names(residency.load(resident("d", 50), budget_mb=100)) == ["b", "c"]
    assert names(residency.residents()) == ["a", "d"]
    assert not residency.use("A", "b")
    assert residency.reserved_mb() == 90
    assert residency.load(resident("e", 10), budget_mb=100) == []


def test_pinned_models_never_go() -> None:
    residency = filled(resident("a", 60, pinned=True), resident("b", 30))
    with pytest.raises(NoRoom, match="needs 50 MiB; 40 MiB of 100"):
        residency.load(resident("c", 50), budget_mb=100)
    assert names(residency.residents()) == ["a", "b"], "what is refused changes nothing"
    assert names(residency.load(resident("c", 40), budget_mb=100)) == ["b"]


def test_a_model_that_is_larger_than_everything_is_refused() -> None:
    residency = filled(resident("a", 10))
    with pytest.raises(NoRoom):
        residency.load(resident("b", 101), budget_mb=100)
    assert residency.reserved_mb() == 10


def test_each_agent_has_its_own_copy_and_loading_again_replaces_it() -> None:
    residency = filled(resident("a", 40), resident("a", 40, agent="B"))
    assert residency.reserved_mb() == 80
    assert residency.load(resident("a", 60), budget_mb=100) == []
    assert residency.reserved_mb() == 100
    assert residency.unload("B", "a") == resident("a", 40, agent="B")
    assert residency.unload("B", "a") is None


def test_the_number_of_residents_is_bounded() -> None:
    residency = filled(*(resident(str(number), 1) for number in range(MAX_RESIDENTS)))
    with pytest.raises(NoRoom):
        residency.load(resident("one more", 1), budget_mb=1_000_000)


class FakeDriver:
    """Stands in for the driver's library: a GPU of 24 GiB of which 5 GiB are in use."""

    def __init__(self, codes: dict[str, int] | None = None) -> None:
        self.codes = codes or {}

    def __getattr__(self, function: str) -> Any:
        def call(*arguments: Any) -> int:
            if function == "nvmlDeviceGetMemoryInfo":
                memory = arguments[1]._obj
                memory.total, memory.used, memory.free = 24576 * MIB, 5120 * MIB, 19456 * MIB
            return self.codes.get(function, 0)

        return SimpleNamespace(__call__=call).__call__


def test_the_memory_of_a_gpu_comes_from_its_driver() -> None:
    assert Nvml(FakeDriver()).read() == (24576, 5120)
    with pytest.raises(OSError, match="nvmlInit_v2 failed with NVML's code 9"):
        Nvml(FakeDriver({"nvmlInit_v2": 9}))


@pytest.mark.parametrize(("declared", "budget_mb"), [("", 24576 - 5120 + 60), ("1000", 1000)])
def test_what_other_processes_hold_of_the_gpu_is_not_given_away(tmp_path: Path, declared: str, budget_mb: int) -> None:
    make_model(tmp_path, "small", weight_bytes=50 * MIB)
    make_model(tmp_path, "huge", weight_bytes=17000 * MIB)
    settings = read_settings({"MODEL_FOLDER": str(tmp_path), "VRAM_BUDGET_MB": declared}, 5570)
    agent = ModelManagerAgent(settings, JsonLog("ModelManagerAgent", "/proc/none"))
    agent.setup()
    agent.nvml = Nvml(FakeDriver())
    memory = agent.load_model({"agent": "A", "model": "small"})
    # Of the 5120 MiB in use, 60 may be the resident's own.
    assert (memory["foreign_mb"], memory["budget_mb"], memory["reserved_mb"]) == (5060, budget_mb, 60)
    assert memory["free_mb"] == budget_mb - 60
    with pytest.raises(RequestError, match="needs 20400 MiB"):
        agent.load_model({"agent": "A", "model": "huge"})


def test_folders_are_read_with_their_problems(tmp_path: Path) -> None:
    make_model(tmp_path, "good", weight_bytes=10 * MIB)
    make_model(tmp_path, "mt", kind="seq2seq")
    make_model(tmp_path, "reader", kind="other")
    make_model(tmp_path, "broken")
    (tmp_path / "broken" / "config.json").write_text("[" * 100_000)
    make_model(tmp_path, "empty")
    (tmp_path / "empty" / "model.safetensors").unlink()
    (tmp_path / "notes").mkdir()
    models = {model.name: model for model in scan_models({"MODEL_FOLDER": str(tmp_path)})}
    assert sorted(models) == ["broken", "empty", "good", "mt", "reader"]
    assert {name: models[name].kind for name in ("good", "mt", "reader")} == {
        "good": "causal",
        "mt": "seq2seq",
        "reader": "other",
    }
    assert models["good"].vram_need_mb == 12
    assert "config.json" in str(models["broken"].problem)
    assert "no weights" in str(models["empty"].problem)


def test_a_model_is_chosen_by_name_or_by_kind_and_hint(tmp_path: Path) -> None:
    for name in ("alpha", "My-TinyLlama-1B"):
        make_model(tmp_path, name)
    make_model(tmp_path, "nllb", kind="seq2seq")
    models = scan_models({"MODEL_FOLDER": str(tmp_path)})
    assert choose_model(models, "causal").name == "My-TinyLlama-1B"
    assert choose_model(models, "causal", hint="alp").name == "alpha"
    assert choose_model(models, "causal", wanted="alpha", hint="tinyllama").name == "alpha"
    for wanted, reason in (("nllb", "is of kind seq2seq"), ("../alpha", "no causal language model called")):
        with pytest.raises(NoModel, match=reason):
            choose_model(models, "causal", wanted=wanted)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models")
    for name in ("a", "b", "c"):
        make_model(folder, name, weight_bytes=50 * MIB)
    return folder


@pytest.fixture(scope="module")
def manager(folder: Path) -> Iterator[AgentProcess]:
    with AgentProcess(SCRIPT, {"MODEL_FOLDER": str(folder), "VRAM_BUDGET_MB": "130"}) as agent:
        yield agent


def test_an_agent_loads_uses_loses_and_unloads_models(manager: AgentProcess, folder: Path) -> None:
    def ask(action: str, model: str, **fields: Any) -> dict[str, Any]:
        return manager.ask({"action": action, "agent": "GoTToTAgent", "model": model} | fields)

    assert ask("load_model", "a")["need_mb"] == 60
    assert ask("load_model", "b", pinned=True)["free_mb"] == 10
    assert ask("use_model", "a")["resident"]
    evicted = ask("load_model", "c")["evicted"]
    assert [(each["agent"], each["model"]) for each in evicted] == [("GoTToTAgent", "a")]
    assert not ask("use_model", "a")["resident"]
    assert ask("load_model", "c", pinned=True)["evicted"] == []
    refused = ask("load_model", "a")
    assert (refused["status"], refused["code"]) == ("error", "unavailable")
    assert ask("unload_model", "b")["freed_mb"] == 60
    health = manager.health()
    assert (health["loaded_models"], health["reserved_mb"], health["budget_source"]) == (1, 60, "declared")
    make_model(folder, "later")
    assert [model["name"] for model in manager.ask({"action": "list_models"})["models"]] == ["a", "b", "c", "later"]


@pytest.mark.parametrize(
    "fields",
    [
        {"agent": "X"},
        {"agent": "X", "model": "nobody"},
        {"agent": "X", "model": "../a"},
        {"agent": "", "model": "a"},
        {"agent": "X", "model": "a", "pinned": 1},
        {"agent": "x" * 201, "model": "a"},
    ],
)
def test_bad_requests_are_refused(manager: AgentProcess, fields: dict[str, Any]) -> None:
    before = manager.ask({"action": "list_residents"})
    reply = manager.ask({"action": "load_model"} | fields)
    assert (reply["status"], reply["code"]) == ("error", "bad_request")
    assert manager.ask({"action": "list_residents"}) == before


@pytest.mark.parametrize("budget", ["much", "0", "nan"])
def test_it_does_not_start_with_a_bad_budget(budget: str) -> None:
    agent = AgentProcess(SCRIPT, {"VRAM_BUDGET_MB": budget})
    agent.start()
    assert agent.process is not None
    assert agent.process.wait(10) == 1
    assert "VRAM_BUDGET_MB" in agent.output()


def test_no_message_harms_it(manager: AgentProcess) -> None:
    attack(manager)
