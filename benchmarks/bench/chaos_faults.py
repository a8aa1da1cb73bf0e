"""Does to running agents what people, accidents and other tools do, and looks whether `deploy` puts it right.

After each fault `status` must say what podman says; after the next `deploy` (`deploy --verify` for what only a close
look finds) everything must be as it was, and agents that nothing was done to must be the same processes as before.
"""

import os
import random
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import fixture
import host
import truth
from chaos_kill import Violation, end_strays
from fixture import Agent, System
from host import BenchError
from workshop import Workshop

END_S = 180
BUSY_S = 4.0


@dataclass(frozen=True)
class Fault:
    """Something that is done to an agent."""

    name: str
    do: Callable[[Agent], None]
    verify: bool = False
    """Whether only `deploy --verify` sees it."""
    deaf: bool = False
    """Whether the agent runs and cannot answer for a while."""
    harmless: bool = False
    """Whether nothing of the system may be touched because of it."""


@dataclass
class Faults:
    """All faults on one small system."""

    workshop: Workshop
    system: System
    dice: random.Random
    deadline: float
    can_verify: bool
    good: dict[str, truth.Shape] = field(default_factory=dict)
    volumes: dict[str, str] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)
    moved: tuple[str, str] = ("", "")
    """The image whose name another was given, and the name."""

    def run(self) -> None:
        self.deploy().expect()
        self.good = truth.shapes(self.system)
        self.volumes = truth.marks(self.system)
        faults = [fault for fault in self.faults() if self.can_verify or not fault.verify]
        pending: list[Fault] = []
        while time.monotonic() < self.deadline:
            if not pending:
                # Each comes once before any comes again.
                pending = self.dice.sample(faults, len(faults))
            self.trial(pending.pop())

    def faults(self) -> list[Fault]:
        return [
            Fault("kill", lambda agent: self.podman("kill", "--signal", "KILL", self.of(agent))),
            Fault("kill from outside", lambda agent: host.kill(self.pid(agent))),
            Fault("pause", lambda agent: self.podman("pause", self.of(agent))),
            Fault("stop", lambda agent: self.podman("stop", "--time", "1", self.of(agent))),
            Fault("remove", lambda agent: self.podman("rm", "--force", "--time", "1", self.of(agent))),
            Fault("busy", self.freeze, deaf=True, harmless=True),
            Fault("retag", lambda _agent: self.retag(), harmless=True),
            Fault("disconnect", self.disconnect, verify=True),
            Fault("limit", lambda agent: self.podman("update", "--memory", "96m", self.of(agent)), verify=True),
        ]

    def trial(self, fault: Fault) -> None:
        agent = self.dice.choice(self.system.agents)
        name = f"{sum(self.done.values()) + 1}, {fault.name} {agent.name}"
        self.done[fault.name] += 1
        print(name, flush=True)
        before = self.alive()
        fault.do(agent)
        problems = truth.lies(self.workshop.ours, self.system, frozenset([agent.name] if fault.deaf else []))
        ended = self.deploy("--verify") if fault.verify else self.deploy()
        if fault.name == "retag":
            problems += self.after_retag(ended)
        elif ended.code != 0:
            problems.append(f"deploy: exit code {ended.code}: {ended.said[-1500:]}")
        if fault.deaf:
            time.sleep(BUSY_S)
        problems += self.touched(before, None if fault.harmless else agent)
        problems += self.not_restored()
        problems += truth.lies(self.workshop.ours, self.system)
        problems += truth.always(self.system, self.workshop.place.prefix, self.volumes)
        for problem in problems:
            print(f"  VIOLATION: {problem}", flush=True)
        self.violations += [Violation(name, problem) for problem in problems]
        if problems:
            self.start_again()

    def start_again(self) -> None:
        """From nothing, so that one fault is counted once."""
        self.workshop.sweep()
        end_strays(self.system)
        self.workshop.ours.run(self.system, "build-images", limit_s=300)
        self.deploy()
        self.good, self.volumes = truth.shapes(self.system), truth.marks(self.system)

    def deploy(self, *more: str) -> host.Ended:
        return self.workshop.ours.run(self.system, "deploy", "--settle", "0s", *more, limit_s=END_S)

    def of(self, agent: Agent) -> str:
        return self.system.container(agent.name)

    def podman(self, *args: str) -> None:
        """A command as a person would give it."""
        host.run(["podman", *args], 60).expect()

    def pid(self, agent: Agent) -> int:
        """The agent's own process, below its container's init."""
        init = int(host.podman("inspect", "--format", "{{.State.Pid}}", self.of(agent)))
        below = host.descendants(init)
        return below[0].pid if below else init

    def freeze(self, agent: Agent) -> None:
        """As in a long inference: it has run for a while, and does not answer for some seconds."""
        pid = self.pid(agent)
        # While it is starting nobody would touch it.
        time.sleep(max(0, self.system.start_timeout_s + 1 - truth.age_s(pid)))
        os.kill(pid, signal.SIGSTOP)
        threading.Timer(BUSY_S, host.kill, (pid, signal.SIGCONT)).start()

    def disconnect(self, agent: Agent) -> None:
        backbone = self.system.network("backbone")
        self.podman("network", "disconnect", backbone, self.of(agent))

    def reference(self) -> str:
        """The name by which the system's containers were given their image."""
        first = self.of(self.system.agents[0])
        return host.podman("inspect", "--format", "{{.ImageName}}", first).strip()

    def retag(self) -> None:
        """Another system's image, with the same code, gets the name of ours."""
        reference = self.reference()
        recipe = self.workshop.folder / "Other"
        recipe.write_text(f'FROM {reference}\nLABEL "ai-system.system"="{self.workshop.place.prefix}-other"\n')
        other = f"localhost/{self.workshop.place.prefix}-other:bench"
        empty = self.workshop.folder / "nothing"
        empty.mkdir(exist_ok=True)
        empty = self.workshop.folder / "nothing"
        empty.mkdir(exist_ok=True)
        build = ["podman", "build", "--quiet", "--pull=never", "--file", str(recipe), "--tag", other, str(empty)]
        host.run(build, 120).expect()
        self.moved = (self.good[self.of(self.system.agents[0])].image, reference)
        self.podman("tag", other, reference)

    def after_retag(self, ended: host.Ended) -> list[str]:
        """The deploy may refuse, and say why; then whoever moved the name moves it back."""
        found = []
        if ended.code != 0 and "image" not in ended.said:
            found.append(f"deploy: exit code {ended.code}, and no word of an image: {ended.said[-800:]}")
        images = {name: shape.image for name, shape in truth.shapes(self.system).items()}
        rolled = [name for name, image in images.items() if name in self.good and image != self.good[name].image]
        if rolled:
            found.append(f"another system's image was rolled out to {', '.join(rolled)}")
        self.podman("tag", *self.moved)
        again = self.deploy()
        if again.code != 0:
            found.append(f"deploy with the name moved back: exit code {again.code}: {again.said[-800:]}")
        return found

    def alive(self) -> dict[str, tuple[str, str]]:
        """Id and start of each container."""
        looked = truth.inspected(self.system)
        return {name: (str(c["Id"]), str(c["State"]["StartedAt"])) for name, c in looked.items()}

    def touched(self, before: dict[str, tuple[str, str]], but: Agent | None) -> list[str]:
        """Containers that are not what they were, although nothing was done to them."""
        now = self.alive()
        spared = self.of(but) if but else ""
        changed = [name for name in before if name != spared and now.get(name) != before[name]]
        return [f"{name} was restarted or replaced, and nothing was wrong with it" for name in changed]

    def not_restored(self) -> list[str]:
        now = truth.shapes(self.system)
        found = truth.not_deployed(self.workshop.ours, self.system)
        for name, good in self.good.items():
            found += [f"{name}: {difference}" for difference in truth.differences(good, now.get(name))]
        return found


def run(workshop: Workshop, seed: int, minutes: float) -> int:
    """The number of violations."""
    system = workshop.prepare(fixture.small(workshop.place, workshop.folder / "faults", 4, "faults"))
    can_verify = "--verify" in workshop.ours.run(system, "deploy", "--help").stdout
    faults = Faults(workshop, system, random.Random(seed), time.monotonic() + minutes * 60, can_verify)
    if not can_verify:
        print("this tool has no `deploy --verify`: no disconnecting, no changed limits")
    try:
        faults.run()
    except BenchError as error:
        faults.violations.append(Violation("all", f"the benchmark cannot go on: {error}"))
    finally:
        workshop.sweep()
        end_strays(system)
    counts = ", ".join(f"{count} {name}" for name, count in sorted(faults.done.items()))
    print(f"\nseed {seed}: {counts}; violations: {len(faults.violations)}")
    for violation in faults.violations:
        print(f"- {violation.trial}: {violation.what}")
    return len(faults.violations)
