"""The tools that are compared, each behind the same three verbs, and how the peers are come by."""

import json
import re
import shlex
import shutil
import signal
import threading
import time
import venv
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import host
from fixture import REPOSITORY, System
from host import BenchError, Ended

PODMAN_COMPOSE = "podman-compose==1.6.0"
SOCKET = "podman.sock"
DEBIAN_KEYS = "/usr/share/keyrings/debian-archive-keyring.gpg"
COMPOSE_PLUGINS = [
    "/usr/libexec/docker/cli-plugins/docker-compose",
    "/usr/lib/docker/cli-plugins/docker-compose",
    "/usr/local/lib/docker/cli-plugins/docker-compose",
]


class Tool(Protocol):
    """What every contender can do."""

    @property
    def name(self) -> str: ...

    def gates(self) -> bool:
        """Whether a start waits for the health of what it depends on."""
        ...

    def deploy(self, system: System, order: str, limit_s: float) -> Ended: ...

    def down(self, system: System, limit_s: float) -> Ended: ...

    def ask(self, system: System, limit_s: float) -> dict[str, float]:
        """Seconds until every agent's health is known, by what was timed."""
        ...

    def session(self) -> AbstractContextManager[object]:
        """What must run beside it."""
        ...


@dataclass
class Ours:
    """`cargo xtask`, called as cargo calls it once it is built."""

    program: Path
    name: str = "cargo xtask"

    def call(self, system: System, *args: str) -> list[str]:
        return [str(self.program), "--manifest", str(system.manifest), *args]

    def run(self, system: System, *args: str, limit_s: float = 300) -> Ended:
        return host.run(self.call(system, *args), limit_s, cwd=REPOSITORY)

    def gates(self) -> bool:
        return True

    def deploy(self, system: System, order: str, limit_s: float) -> Ended:
        return self.run(system, "deploy", "--settle", "0s", "--order", order, limit_s=limit_s)

    def down(self, system: System, limit_s: float) -> Ended:
        return self.run(system, "down", "--networks", limit_s=limit_s)

    def ask(self, system: System, limit_s: float) -> dict[str, float]:
        ended = self.run(system, "health-check", "--format", "json", limit_s=limit_s).expect()
        return {"ask": ended.seconds, "probe": json.loads(ended.stdout)["probe_ms"] / 1000}

    def session(self) -> AbstractContextManager[object]:
        return nullcontext()

    def remove(self, system: System) -> None:
        """All of it, volumes and images included."""
        self.run(system, "down", "--networks", "--volumes", "--images")


@dataclass
class PodmanCompose:
    """podman-compose, with a health check and `condition: service_healthy` in its file."""

    program: Path
    env: dict[str, str]
    name: str = "podman-compose"

    def gates(self) -> bool:
        # It ignores the condition, with a warning, before podman 4.6.
        return podman_version() >= (4, 6)

    def call(self, system: System, order: str, *args: str) -> list[str]:
        return [str(self.program), "-p", system.name, "-f", str(system.compose(order)), *args]

    def deploy(self, system: System, order: str, limit_s: float) -> Ended:
        with health_timers(system, self.gates()):
            wait = ["--wait"] if self.gates() else []
            return host.run(self.call(system, order, "up", "-d", *wait), limit_s, self.env)

    def down(self, system: System, limit_s: float) -> Ended:
        return host.run(self.call(system, "dependencies", "down"), limit_s, self.env)

    def ask(self, system: System, limit_s: float) -> dict[str, float]:
        return {"ask": ask_one_by_one(system, limit_s)}

    def session(self) -> AbstractContextManager[object]:
        return nullcontext()


@dataclass
class DockerCompose:
    """docker compose over podman's socket, gated on health or only in order."""

    program: Path
    env: dict[str, str]
    folder: Path
    """For podman's socket."""
    gated: bool

    @property
    def name(self) -> str:
        return "docker compose" if self.gated else "docker compose, not gated"

    @property
    def reach(self) -> dict[str, str]:
        return self.env | {"DOCKER_HOST": f"unix://{self.folder / SOCKET}"}

    def gates(self) -> bool:
        return self.gated

    def call(self, system: System, order: str, *args: str) -> list[str]:
        file = system.compose(order if self.gated else f"{order}-ungated")
        return [str(self.program), "--progress", "quiet", "-p", system.name, "-f", str(file), *args]

    def deploy(self, system: System, order: str, limit_s: float) -> Ended:
        with health_timers(system, self.gated):
            wait = ["--wait"] if self.gated else []
            return host.run(self.call(system, order, "up", "-d", *wait), limit_s, self.reach)

    def down(self, system: System, limit_s: float) -> Ended:
        return host.run(self.call(system, "dependencies", "down"), limit_s, self.reach)

    def ask(self, system: System, limit_s: float) -> dict[str, float]:
        return {"ask": ask_one_by_one(system, limit_s)}

    def session(self) -> AbstractContextManager[object]:
        return service(self.folder, self.env)


def podman_version() -> tuple[int, int]:
    found = re.search(r"(\d+)\.(\d+)", host.podman("--version"))
    if not found:
        raise BenchError("podman does not tell its version")
    return int(found[1]), int(found[2])


def ask_one_by_one(system: System, limit_s: float) -> float:
    """The health of containers as podman's own check finds it, one after the other: compose has no call for it."""
    started = time.perf_counter()
    for agent in system.agents:
        left = limit_s - (time.perf_counter() - started)
        host.run(["podman", "healthcheck", "run", system.container(agent.name)], max(1, left)).expect()
    return time.perf_counter() - started


@contextmanager
def health_timers(system: System, wanted: bool) -> Iterator[None]:
    """Stands in for the timers of health checks where there is no systemd, at the interval that the file asks for.

    Without it a tool that waits for `healthy` would wait for ever. Only what is not healthy yet is checked, so that it
    takes less from the tool than real timers would.
    """
    if not wanted or host.timers_work():
        yield
        return
    done = threading.Event()

    def tick() -> None:
        filters = ["--filter", f"name=^{system.name}-", "--filter", "health=starting", "--format", "{{.Names}}"]
        while not done.wait(0.2):
            names = host.run(["podman", "ps", *filters], 60).stdout.split()
            for name in names:
                if not done.is_set():
                    host.run(["podman", "healthcheck", "run", name], 30)

    thread = threading.Thread(target=tick, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def built(program: str | None) -> Path:
    """Our tool: the program that was named, or what `cargo xtask` builds."""
    if program:
        return Path(program).resolve()
    host.run(["cargo", "build", "--quiet", "--package", "xtask"], 3600, cwd=REPOSITORY).expect()
    return REPOSITORY / "target/debug/xtask"


def installed(folder: Path, packages: list[str]) -> Path:
    """A virtual environment with packages from the Python index; its `bin`."""
    place = folder / "venv"
    if not place.exists():
        venv.create(place, with_pip=True)
    pip = [str(place / "bin/pip"), "install", "--quiet", "--disable-pip-version-check", *packages]
    host.run(pip, 600).expect()
    return place / "bin"


def engine_settings(ours: Ours, system: System, folder: Path) -> dict[str, str]:
    """What podman needs on this host, as our tool has found it, as a configuration for the peers."""
    shown = ours.run(system, "deploy", "--dry-run").stdout.splitlines()
    create = next((shlex.split(line) for line in shown if line.startswith("podman ") and " create --name" in line), [])
    runtime = [create[i + 1] for i, word in enumerate(create) if word == "--runtime"]
    limits = [create[i + 1] for i, word in enumerate(create) if word == "--ulimit"]
    if not (runtime or limits):
        return {}
    text = f"[containers]\ndefault_ulimits = {limits!r}\n"
    if runtime:
        text += f"[engine]\nruntime = {runtime[0]!r}\n"
    path = folder / "containers.conf"
    path.write_text(text)
    return {"CONTAINERS_CONF": str(path)}


def docker_compose(folder: Path) -> Path | str:
    """docker compose v2: the host's, or unpacked from the distribution's package; else why there is none."""
    own = str(Path.home() / ".docker/cli-plugins/docker-compose")
    candidates = [shutil.which("docker-compose"), *COMPOSE_PLUGINS, own]
    for candidate in candidates:
        if candidate and Path(candidate).exists() and is_v2(Path(candidate)):
            return Path(candidate)
    if not (shutil.which("apt-get") and shutil.which("dpkg-deb")):
        return "docker compose v2 is not installed, and there is no apt-get to unpack it with"
    try:
        return unpacked(folder / "docker-compose")
    except BenchError as error:
        return f"docker compose v2 is not installed, and the distribution does not give it: {str(error)[-300:]}"


def is_v2(program: Path) -> bool:
    ended = host.run([str(program), "version"], 30)
    return ended.code == 0 and re.search(r"version v?[2-9]", ended.stdout) is not None


def unpacked(folder: Path) -> Path:
    """The distribution's package, else that of Debian's newest suite; nothing is installed."""
    folder.mkdir(exist_ok=True)
    if host.run(["apt-get", "-q", "download", "docker-compose-v2"], 300, cwd=folder).code != 0:
        options = lists_of_sid(folder)
        host.run(["apt-get", "-q", *options, "update"], 300).expect()
        host.run(["apt-get", "-q", *options, "download", "docker-compose"], 300, cwd=folder).expect()
    package = next(folder.glob("docker-compose*.deb"))
    host.run(["dpkg-deb", "-x", str(package), str(folder / "tree")], 60).expect()
    program = next((folder / "tree").glob("usr/lib*/docker/cli-plugins/docker-compose"), None)
    if not (program and is_v2(program)):
        raise BenchError(f"{package.name} has no docker compose v2 that runs here")
    return program


def lists_of_sid(folder: Path) -> list[str]:
    """Options that give apt-get package lists of our own, from the mirror of Debian that the host uses."""
    for part in ("state/lists/partial", "cache/archives/partial"):
        (folder / part).mkdir(parents=True, exist_ok=True)
    asked = ["apt-get", "indextargets", "--format", "$(SITE)", "Identifier: Packages", "Label: Debian"]
    sites = host.run(asked, 60).expect().stdout.split()
    if not sites:
        raise BenchError("apt knows no mirror of Debian (apt-get update)")
    key = f"[signed-by={DEBIAN_KEYS}] " if Path(DEBIAN_KEYS).exists() else ""
    (folder / "sources.list").write_text(f"deb {key}{sites[0]} sid main\n")
    settings = {
        "Dir::State": folder / "state",
        "Dir::State::status": "/var/lib/dpkg/status",
        "Dir::Cache": folder / "cache",
        "Dir::Etc::sourcelist": folder / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Etc::preferencesparts": "/dev/null",
        "Acquire::Languages": "none",
    }
    return [part for key, value in settings.items() for part in ("-o", f"{key}={value}")]


@contextmanager
def service(folder: Path, env: dict[str, str]) -> Iterator[host.Program]:
    """podman's service on a socket of our own, for docker compose."""
    socket = folder / SOCKET
    socket.unlink(missing_ok=True)
    program = host.Program(["podman", "system", "service", "--time", "0", f"unix://{socket}"], env)
    deadline = time.monotonic() + 20
    while not socket.exists():
        if time.monotonic() > deadline or program.wait(0):
            raise BenchError(f"podman's service does not start: {program.finish(1).said}")
        time.sleep(0.05)
    try:
        yield program
    finally:
        program.signal(signal.SIGTERM)
        program.finish(20)
