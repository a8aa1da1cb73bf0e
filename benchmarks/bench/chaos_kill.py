"""Ends the tool at random moments of `deploy` and `down`, and looks whether the next run puts everything right."""

import random
import signal
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

import fixture
import host
import truth
from fixture import System
from host import Ended, Program
from workshop import Workshop

END_S = 180
"""A run of six agents that takes longer hangs."""
MARKER = b"AI_SYSTEM_XTASK="
"""In the environment of the tool's podman calls, before the system's name."""


@dataclass(frozen=True)
class Counts:
    """How often each kind of fault is tried."""

    deploys: int
    downs: int
    interrupts: int
    pairs: int


@dataclass
class Violation:
    """Something that must not be."""

    trial: str
    what: str


@dataclass
class Killing:
    """All trials on one small system."""

    workshop: Workshop
    counts: Counts
    dice: random.Random
    deadline: float
    system: System
    may_stop: bool
    """Whether it is all right to run out of time."""
    version: int = 0
    took: dict[str, float] = field(default_factory=dict)
    """Seconds that an undisturbed run takes, by what it does."""
    volumes: dict[str, str] = field(default_factory=dict)
    violations: list[Violation] = field(default_factory=list)
    done: int = 0
    hits: int = 0
    """Trials that met the tool at work."""

    def run(self) -> None:
        self.calibrate()
        trials: list[tuple[str, Callable[[], str]]] = []
        trials += [("kill deploy", lambda: self.kill(self.dice.choice(["fresh", "changed"])))] * self.counts.deploys
        trials += [("kill down", lambda: self.kill("down"))] * self.counts.downs
        trials += [("double Ctrl-C", self.interrupt_twice)] * self.counts.interrupts
        trials += [("pair", self.pair)] * self.counts.pairs
        self.dice.shuffle(trials)
        for kind, trial in trials:
            if time.monotonic() > self.deadline:
                print(f"out of time after {self.done} of {len(trials)} trials")
                if not self.may_stop:
                    self.violations.append(Violation("all", f"only {self.done} of {len(trials)} trials in time"))
                return
            self.done += 1
            name = f"{self.done}, {kind}"
            print(f"{self.done} of {len(trials)}: {kind}", end="", flush=True)
            told = trial()
            print(f", {told}", flush=True)
            self.check(f"{name}, {told}")

    def calibrate(self) -> None:
        """One undisturbed run of each kind; moments of faults are chosen within what they take."""
        self.took["fresh"] = self.deploy().expect().seconds
        self.volumes = truth.marks(self.system)
        self.change()
        self.took["changed"] = self.deploy().expect().seconds
        self.took["down"] = self.workshop.ours.down(self.system, END_S).expect().seconds
        self.deploy().expect()

    def deploy(self) -> Ended:
        return self.workshop.ours.run(self.system, "deploy", "--settle", "0s", limit_s=END_S)

    def change(self) -> None:
        """Another environment, so that `deploy` replaces every container."""
        self.version += 1
        self.system = changed(self.system, self.version)
        fixture.write(self.system)

    def prepare(self, what: str) -> list[str]:
        """Brings the system to where a run of this kind has all its work to do; the run's arguments."""
        if what == "fresh":
            self.workshop.ours.down(self.system, END_S)
        elif what == "changed":
            self.change()
        if what == "down":
            return ["down", "--networks"]
        return ["deploy", "--settle", "0s"]

    def start(self, arguments: Iterable[str]) -> Program:
        return Program(self.workshop.ours.call(self.system, *arguments), cwd=fixture.REPOSITORY)

    def kill(self, what: str) -> str:
        """`kill -9` of the tool, of the tool with its podman calls, or of one call under it."""
        program = self.start(self.prepare(what))
        moment = self.dice.uniform(0, 1.02 * self.took[what])
        victim = self.dice.choice(["tool", "tool", "tool and calls", "call"])
        if program.wait(moment):
            program.finish(END_S)
            return f"{what} had ended before {moment:.2f} s"
        calls = [process for process in host.descendants(program.child.pid) if process.name == "podman"]
        if victim != "call":
            program.signal(signal.SIGKILL)
        if victim == "tool and calls":
            for call in calls:
                host.kill(call.pid)
        elif victim == "call" and calls:
            host.kill(self.dice.choice(calls).pid)
        self.hits += 1
        ended = program.finish(END_S)
        if ended.code is None:
            self.violations.append(Violation(f"{self.done}", f"hangs after a call was killed: {ended.said[-500:]}"))
        return f"{what} at {moment:.2f} s, killed the {victim} ({len(calls)} calls at work)"

    def interrupt_twice(self) -> str:
        """Ctrl-C, and Ctrl-C again while it cleans up."""
        what = self.dice.choice(["fresh", "changed", "down"])
        program = self.start(self.prepare(what))
        moment, pause = self.dice.uniform(0, self.took[what]), self.dice.uniform(0.02, 1.0)
        if not program.wait(moment):
            program.signal(signal.SIGINT)
            self.hits += 1
            if not program.wait(pause):
                program.signal(signal.SIGINT)
        ended = program.finish(END_S)
        told = f"{what} at {moment:.2f} s and {pause:.2f} s later, exit code {ended.code}"
        if ended.code is None:
            self.violations.append(Violation(f"{self.done}, {told}", f"does not end: {ended.said[-500:]}"))
        if "nothing was left running" in ended.said and (left := calls_of(self.system)):
            self.violations.append(Violation(f"{self.done}, {told}", f"`nothing was left running` is false: {left}"))
        return told

    def pair(self) -> str:
        """Two runs at once: one waits for the other, and both are right."""
        kinds = [self.dice.choice(["changed", "down"]) for _ in range(2)]
        first = self.start(self.prepare(kinds[0]))
        time.sleep(self.dice.uniform(0, 0.3))
        second = self.start(["down", "--networks"] if kinds[1] == "down" else ["deploy", "--settle", "0s"])
        self.hits += 1
        endings = [first.finish(END_S), second.finish(END_S)]
        told = f"{' and '.join(kinds)}, exit codes {[ended.code for ended in endings]}"
        for ended in endings:
            if ended.code != 0:
                what = f"exit code {ended.code}: {ended.said[-800:]}"
                self.violations.append(Violation(f"{self.done}, {told}", what))
        return told

    def check(self, trial: str) -> None:
        """The next run, `deploy` or `down`, and then what must hold."""
        problems = []
        if self.dice.random() < 0.4:
            ended = self.workshop.ours.down(self.system, END_S)
            if ended.code != 0:
                problems.append(f"the next down fails, exit code {ended.code}: {ended.said[-800:]}")
            else:
                problems += [f"after down: {name} is there" for name in truth.containers(self.system)]
                problems += [f"after down: {stray}" for stray in truth.strays(self.system)]
        ended = self.deploy()
        if ended.code != 0:
            problems.append(f"the next deploy fails, exit code {ended.code}: {ended.said[-1500:]}")
        problems += truth.not_deployed(self.workshop.ours, self.system)
        problems += truth.always(self.system, self.workshop.place.prefix, self.volumes)
        for problem in problems:
            print(f"  VIOLATION: {problem}", flush=True)
        self.violations += [Violation(trial, problem) for problem in problems]
        if problems:
            # So that one fault is counted once.
            self.workshop.sweep()
            end_strays(self.system)
            self.deploy()
            self.volumes = truth.marks(self.system)


def changed(system: System, version: int) -> System:
    def with_version(agent: fixture.Agent) -> fixture.Agent:
        kept = tuple(pair for pair in agent.env if pair[0] != "BENCH_VERSION")
        return replace(agent, env=(*kept, ("BENCH_VERSION", str(version))))

    groups = (replace(group, agents=tuple(map(with_version, group.agents))) for group in system.groups)
    return replace(system, groups=tuple(groups))


def calls_of(system: System) -> list[str]:
    """podman calls of our tool for a system that are at work, whoever their parent is now."""
    found = []
    for process in host.processes().values():
        if process.name == "podman" and MARKER + system.name.encode() + b"\0" in host.environment(process.pid):
            found.append(f"process {process.pid}: {' '.join(process.argv)[:200]}")
    return found


def end_strays(system: System) -> None:
    """Kills processes of the benchmark's own containers that podman has lost."""
    known = {container["Id"] for container in truth.containers(system).values()}
    everything = host.processes()
    for process in everything.values():
        if truth.is_agent(process, system) and truth.owner(process, everything) not in known:
            host.kill(process.pid)


def run(workshop: Workshop, counts: Counts, seed: int, minutes: float, may_stop: bool) -> int:
    """The number of violations."""
    system = workshop.prepare(fixture.small(workshop.place, workshop.folder / "kill", 3, "kill"))
    killing = Killing(workshop, counts, random.Random(seed), time.monotonic() + minutes * 60, system, may_stop)
    try:
        killing.run()
    finally:
        workshop.sweep()
        end_strays(killing.system)
    count = len(killing.violations)
    print(f"\n{killing.done} trials, seed {seed}, {killing.hits} met the tool at work; violations: {count}")
    for violation in killing.violations:
        print(f"- trial {violation.trial}: {violation.what}")
    return count
