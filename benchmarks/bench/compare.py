"""Times our tool and its peers by turns on the same systems."""

import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import fixture
import host
import tools
from fixture import System
from host import BenchError, Ended
from tools import Tool
from workshop import Workshop

BROKEN_LIMIT_S = 120


@dataclass(frozen=True)
class Sample:
    """One measurement."""

    case: str
    """`plan-groups`, `plan-dependencies`, `waves`, `broken`, `scan`."""
    size: int
    """Agents, or files for a scan."""
    tool: str
    verb: str
    round: int
    seconds: float
    peak_mb: float = 0
    problem: str = ""
    """Why this is no measurement: it failed, or did not end in time."""
    note: str = ""
    """What a reader must know to compare it."""


@dataclass
class Results:
    """All that one run has measured, and where."""

    facts: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        self.samples.append(sample)
        told = f" [{sample.problem or sample.note}]" if sample.problem or sample.note else ""
        text = f"{sample.case} {sample.size} {sample.verb} {sample.tool}: {sample.seconds:.3f} s"
        print(f"  {text}{told}", flush=True)

    def as_json(self) -> dict[str, object]:
        return {"facts": self.facts, "notes": self.notes, "samples": [asdict(sample) for sample in self.samples]}


@dataclass(frozen=True)
class Options:
    rounds: int
    sizes: tuple[int, ...]
    minutes: float


@dataclass
class Comparison:
    """A run of all contenders."""

    workshop: Workshop
    options: Options
    results: Results
    contenders: list[Tool] = field(default_factory=list)
    given_up: set[tuple[str, int, str]] = field(default_factory=set)
    """What did not end in time once, and is not tried again."""

    def run(self) -> None:
        deadline = time.monotonic() + self.options.minutes * 60
        cases = self.prepare()
        for number in range(self.options.rounds):
            # Another goes first in each round.
            turn = number % len(self.contenders)
            order = self.contenders[turn:] + self.contenders[:turn]
            for case in cases:
                for tool in order:
                    if time.monotonic() > deadline:
                        stopped = f"stopped after {self.options.minutes:g} minutes, in round {number + 1}"
                        self.results.notes.append(stopped)
                        return
                    print(f"round {number + 1} of {self.options.rounds}, load {host.load():.1f}", flush=True)
                    case(tool, number)

    def prepare(self) -> list[Callable[[Tool, int], None]]:
        """Files, images, peers; then the cases."""
        workshop = self.workshop
        plan = workshop.prepare(fixture.plan(workshop.place, workshop.folder / "plan"))
        image = f"localhost/{workshop.place.prefix}-peers:bench"
        workshop.ours.deploy(plan, "dependencies", 300).expect()
        made_from = host.podman("inspect", "--format", "{{.Image}}", plan.container(plan.agents[0].name)).strip()
        host.podman("tag", made_from, image)
        workshop.ours.down(plan, 300).expect()
        self.find_peers(plan)
        systems = [workshop.prepare(self.waves(count)) for count in self.options.sizes]
        broken = workshop.prepare(spoiled(replace(plan, folder=workshop.folder / "broken")))
        for system in [plan, *systems, broken]:
            fixture.write(system, image)
        cases: list[Callable[[Tool, int], None]] = [
            partial(self.cycle, plan, "plan-groups", "groups"),
            partial(self.cycle, plan, "plan-dependencies", "dependencies"),
            partial(self.broken, broken),
        ]
        return cases + [partial(self.cycle, system, "waves", "dependencies") for system in systems]

    def waves(self, count: int) -> System:
        return fixture.waves(self.workshop.place, self.workshop.folder / f"waves-{count}", count)

    def find_peers(self, plan: System) -> None:
        """The contenders that can be had here; a note for each that cannot."""
        folder, notes = self.workshop.folder, self.results.notes
        env = tools.engine_settings(self.workshop.ours, plan, folder)
        if env:
            notes.append("The peers were given the options that podman needs on this host as a containers.conf.")
        self.contenders = [self.workshop.ours]
        try:
            program = tools.installed(folder, [tools.PODMAN_COMPOSE]) / "podman-compose"
            podman_compose = tools.PodmanCompose(program, env)
            self.contenders.append(podman_compose)
            notes.append(gating_of(podman_compose))
        except BenchError as error:
            notes.append(f"podman-compose is missing: {str(error)[-300:]}")
        found = tools.docker_compose(folder)
        if isinstance(found, str):
            notes.append(f"docker compose is missing: {found}")
        else:
            version = host.run([str(found), "version", "--short"], 30).stdout.strip()
            gated = tools.DockerCompose(found, env, folder, gated=True)
            self.contenders += [gated, replace(gated, gated=False)]
            notes.append(f"docker compose {version}. {gating_of(gated)}")
        for note in notes:
            print(note)

    def cycle(self, system: System, case: str, order: str, tool: Tool, number: int) -> None:
        """Deploy, nothing to do, ask, down; each timed."""
        count = len(system.agents)
        if (case, count, tool.name) in self.given_up:
            return
        limit_s = 60.0 + 2.5 * count

        def add(verb: str, ended: Ended, note: str = "") -> None:
            problem = problem_of(ended)
            if ended.code is None:
                self.given_up.add((case, count, tool.name))
            self.results.add(Sample(case, count, tool.name, verb, number, ended.seconds, ended.peak_mb, problem, note))

        with tool.session():
            try:
                ended = tool.deploy(system, order, limit_s)
                add("deploy", ended)
                if ended.code == 0:
                    before = running(system)
                    if len(before) != count:
                        raise BenchError(f"{tool.name} says it is done, and {len(before)} of {count} agents run")
                    again = tool.deploy(system, order, limit_s)
                    kept = len(before & running(system))
                    add("noop", again, "" if kept == count else f"replaces {count - kept} of {count} containers")
                    self.ask(tool, system, case, number, limit_s)
            finally:
                add("down", tool.down(system, limit_s))
                self.workshop.sweep()

    def ask(self, tool: Tool, system: System, case: str, number: int, limit_s: float) -> None:
        count = len(system.agents)
        try:
            for verb, seconds in tool.ask(system, limit_s).items():
                self.results.add(Sample(case, count, tool.name, verb, number, seconds))
        except BenchError as error:
            self.results.add(Sample(case, count, tool.name, "ask", number, limit_s, problem=str(error)[-200:]))

    def broken(self, system: System, tool: Tool, number: int) -> None:
        """Time until a tool says that an agent cannot start."""
        count = len(system.agents)
        if ("broken", count, tool.name) in self.given_up:
            return
        with tool.session():
            try:
                ended = tool.deploy(system, "dependencies", BROKEN_LIMIT_S)
                problem, culprit = "", system.container(system.agents[0].name)
                if ended.code is None:
                    problem = f"no end within {BROKEN_LIMIT_S} s"
                    self.given_up.add(("broken", count, tool.name))
                elif ended.code == 0:
                    problem = "says nothing of it, exit code 0"
                elif culprit not in ended.said and system.agents[0].name not in ended.said:
                    problem = f"exit code {ended.code}, does not name the agent"
                sample = Sample("broken", count, tool.name, "deploy", number, ended.seconds, ended.peak_mb, problem)
                self.results.add(sample)
            finally:
                tool.down(system, 120)
                self.workshop.sweep()


def spoiled(system: System) -> System:
    """The same system with a first agent that cannot start."""
    first = system.groups[0]
    agents = (replace(first.agents[0], mode="exits"), *first.agents[1:])
    return replace(system, groups=(replace(first, agents=agents), *system.groups[1:]))


def running(system: System) -> set[str]:
    """Ids of the system's containers that run."""
    name = f"name=^{system.name}-"
    return set(host.podman("ps", "--filter", name, "--filter", "status=running", "--format", "{{.ID}}").split())


def problem_of(ended: Ended) -> str:
    if ended.code == 0:
        return ""
    if ended.code is None:
        return f"no end within {ended.seconds:.0f} s"
    lines = ended.said.strip().splitlines()
    return f"exit code {ended.code}: {lines[-1][-200:] if lines else ''}"


def gating_of(tool: Tool) -> str:
    """What a peer does with the health conditions in its file."""
    version = ".".join(str(part) for part in tools.podman_version())
    if not tool.gates():
        ignored = f"{tool.name} ignores `condition: service_healthy` with podman {version}"
        return f"{ignored}: it starts in order and waits for nobody."
    if host.timers_work():
        return f"{tool.name} waits for `service_healthy`; systemd's timers run the checks."
    return f"{tool.name} waits for `service_healthy`; without systemd nobody runs the checks, so the benchmark does."


def run(workshop: Workshop, options: Options, results: Results) -> None:
    if host.load() > 0.5:
        warning = f"The machine was not quiet: load {host.load():.1f} at the start."
        results.notes.append(warning)
        print(f"warning: {warning}", file=sys.stderr)
    Comparison(workshop, options, results).run()


def saved(folder: Path) -> Path:
    return folder / "results.json"
