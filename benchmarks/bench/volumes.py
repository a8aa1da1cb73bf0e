"""Many agents that share two named volumes, deployed and taken down again and again: does a creation stall?

Older podman locks the volumes of a new container in no fixed order, so that two creations at once can wait for each
other for ever.
"""

import re
import time

import fixture
import host
import truth
from workshop import Workshop, external, volumes_of

STALL_S = 10.0


def run(workshop: Workshop, agents: int, rounds: int, minutes: float) -> int:
    """Prints what each round took; the number of stalls, leftovers and failures."""
    system = workshop.prepare(fixture.sharing(workshop.place, workshop.folder / "sharing", agents))
    deadline = time.monotonic() + minutes * 60
    bad, taken = 0, []
    for number in range(rounds):
        if time.monotonic() > deadline:
            print(f"stopped after {minutes:g} minutes and {number} rounds")
            bad += 1
            break
        up = workshop.ours.run(system, "--verbose", "deploy", "--settle", "0s", limit_s=900)
        running = len(truth.containers(system))
        down = workshop.ours.run(system, "--verbose", "down", "--networks", "--volumes", limit_s=900)
        problems = [f"deploy: exit code {up.code}\n{up.said[-1500:]}"] if up.code != 0 else []
        problems += [f"down: exit code {down.code}\n{down.said[-1500:]}"] if down.code != 0 else []
        problems += [f"{running} of {agents} containers after deploy"] if running != agents else []
        problems += left_over(workshop, system)
        problems += [f"a stall is told: {line}" for line in (up.said + down.said).splitlines() if told(line)]
        taken.append((up.seconds, down.seconds))
        # Rounds do the same work: what one takes beyond the quickest is what it lost.
        for verb, index in (("deploy", 0), ("down", 1)):
            lost_s = taken[-1][index] - min(times[index] for times in taken)
            if lost_s > STALL_S:
                problems.append(f"{verb} took {lost_s:.1f} s longer than the quickest")
        bad += len(problems)
        print(
            f"round {number + 1}: deploy {up.seconds:.1f} s, down {down.seconds:.1f} s, load {host.load():.1f}",
            flush=True,
        )
        for problem in problems:
            print(f"  PROBLEM: {problem}", flush=True)
        workshop.sweep()
    print(f"{len(taken)} rounds of {agents} agents with two shared volumes each: {bad} problems")
    return bad


def left_over(workshop: Workshop, system: fixture.System) -> list[str]:
    """What is there after a `down` that was told to take everything."""
    found = [f"container {name} is left" for name in truth.containers(system)]
    found += [f"container {kept[:12]} is in podman's storage only" for kept in external(workshop.place.prefix)]
    found += [f"volume {name} is left" for name in volumes_of(system.name)]
    listed = host.podman("network", "ls", "--format", "{{.Name}}").split()
    found += [f"network {name} is left" for name in listed if name.startswith(f"{system.name}-")]
    return found + truth.strays(system)


def told(line: str) -> bool:
    """Whether our tool says that a creation stood still."""
    return re.search(r"no end within|stall(s|ed)?\b|given up", line) is not None
