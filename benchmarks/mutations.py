#!/usr/bin/env python3
"""Breaks what is tested and sees that the tests fail: benchmarks/mutations.py [unit [AGENT...] | integration]

`unit`: each agent's central behaviour is changed by one line in a copy of the reference monorepo, and `test-unit` of
that agent has to fail there. `integration`: each suite has to fail, naming the agent, when one that it depends on is
stopped. The images of the repository are built again at the end, and the agents that were stopped are started again.
The system must be deployed.

It takes about ten minutes.
"""

import json
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
REFERENCE = ROOT / "containers" / "reference"
XTASK = ["cargo", "xtask"]

# Agent whose unit tests must notice, file below main_pc_code, the text that is there once, what it becomes.
MUTATIONS = [
    ("SystemDigitalTwin", "common/capacity.py", "there[name] - taken[name]", "there[name]"),
    ("SystemDigitalTwin", "agents/system_digital_twin.py", "self.state.put_agent(entry)", "pass"),
    ("CoordinatorAgent", "common/router.py", "if candidate.name not in tried]", "]"),
    ("CoordinatorAgent", "agents/coordinator_agent.py", "while len(failures) < attempts and", "while not failures and"),
    ("ChainOfThoughtAgent", "FORMAINPC/ChainOfThoughtAgent.py", "if not agree(answer, second):", "if False:"),
    ("ChainOfThoughtAgent", "FORMAINPC/ChainOfThoughtAgent.py", "range(revisions + 1)", "range(1)"),
    ("SelfTrainingOrchestrator", "common/cycles.py", "ORDER BY priority DESC, id LIMIT", "ORDER BY id LIMIT"),
    ("SelfTrainingOrchestrator", "common/training.py", "weight - self._rate * slope", "weight + self._rate * slope"),
    ("ModelManagerAgent", "common/residency.py", "        if not resident.pinned:", "        if True:"),
    ("ModelManagerAgent", "agents/model_manager_agent.py", "min(total_mb - foreign_mb,", "min(total_mb,"),
    ("EmotionEngine", "common/mood.py", "left = 0.5 ** (max", "left = 0.5 ** -(max"),
    ("EmotionEngine", "common/mood.py", "-valence if negated_words else valence", "valence"),
    ("AudioCapture", "common/voice.py", "self.active = not self.active", "self.active = True"),
    ("AudioCapture", "common/voice.py", "HANGOVER_FRAMES = 20", "HANGOVER_FRAMES = 1"),
    ("GoTToTAgent", "common/thought_search.py", "reverse=True)[", "reverse=False)["),
    ("GoTToTAgent", "common/language_model.py", "logits[0, :-1]", "logits[0, 1:]"),
    ("TinyLlamaService", "common/language_model.py", "self._torch.manual_seed(seed)", "pass"),
    ("TinyLlamaService", "common/language_service.py", "if unknown := {source, target} - model.languages", "if unknown := set()"),
]  # fmt: skip
# Suite, and an agent that it cannot do without.
STOPPED = [
    ("inter-service-communication", "CoordinatorAgent"),
    ("end-to-end-workflow", "EmotionEngine"),
    ("resource-management", "SystemDigitalTwin"),
]


def run(*words: str) -> subprocess.CompletedProcess:
    return subprocess.run([*XTASK, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def must(*words: str) -> None:
    ended = run(*words)
    if ended.returncode:
        sys.exit(f"{ended.stdout}{ended.stderr}\n{' '.join(words)}: exit code {ended.returncode}")


def unit(agents: list[str]) -> int:
    survivors = 0
    with tempfile.TemporaryDirectory() as folder:
        monorepo = Path(folder) / "monorepo"
        shutil.copytree(REFERENCE, monorepo)
        for agent, file, old, new in MUTATIONS:
            if agents and agent not in agents:
                continue
            path = monorepo / "main_pc_code" / file
            text = path.read_text()
            if text.count(old) != 1:
                sys.exit(f"{file}: `{old}` is there {text.count(old)} times")
            path.write_text(text.replace(old, new))
            ended = run("test-unit", "--monorepo", str(monorepo), "--format", "json", agent)
            path.write_text(text)
            report = json.loads(ended.stdout)
            noticed = failed_tests(report)
            survivors += not noticed
            verdict = f"{len(noticed)} failed, first {noticed[0]}" if noticed else "SURVIVED"
            line = text[: text.index(old)].count("\n") + 1
            print(f"{agent:25} {file}:{line} `{old.strip()}` -> `{new.strip()}`: {verdict}", flush=True)
    must("build-images")
    return survivors


def failed_tests(report: dict) -> list[str]:
    found = []
    for subject in report["subjects"]:
        found += [test["id"].split("::")[-1] for test in subject["tests"] if test["outcome"] == "failed"]
        found += [subject["problem"]] if subject["problem"] else []
    return found


def integration() -> int:
    unnamed = 0
    for suite, agent in STOPPED:
        must("down", agent)
        started = time.monotonic()
        ended = run("test-integration", suite)
        seconds = time.monotonic() - started
        must("deploy", "--settle", "0s")
        named = ended.returncode != 0 and agent in ended.stderr
        unnamed += not named
        first = next((line for line in ended.stderr.splitlines() if agent in line), "").strip()
        print(f"{suite:30} without {agent}: exit code {ended.returncode} after {seconds:.1f} s: {first}", flush=True)
    return unnamed


def main() -> None:
    match sys.argv[1:]:
        case []:
            failures = unit([]) + integration()
        case ["unit", *agents]:
            failures = unit(agents)
        case ["integration"]:
            failures = integration()
        case _:
            sys.exit(__doc__)
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
