"""What all benchmarks share: a folder, an image of tiny agents, names of their own, and the clearing up afterwards."""

import json
import socket
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import fixture
import host
from fixture import Place, System
from host import BenchError
from tools import Ours, built


@dataclass(frozen=True)
class Workshop:
    """Where benchmarks work, and the tool that they work with."""

    ours: Ours
    place: Place
    folder: Path
    base: dict[str, object]

    def prepare(self, system: System) -> System:
        """The system with its files written and its image built."""
        system = replace(system, base=self.base)
        fixture.write(system)
        last = system.agents[-1].name
        for port in (system.ports(system.agents[0].name)[0], system.ports(last)[1]):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                try:
                    probe.bind(("127.0.0.1", port))
                except OSError as error:
                    raise BenchError(f"port {port} is taken ({error}): choose others with --first-port") from error
        self.ours.run(system, "build-images", limit_s=1200).expect()
        return system

    def sweep(self) -> None:
        """Removes what carries the prefix, whoever made it: containers, pods, networks."""
        name = f"name=^{self.place.prefix}-"
        containers = host.podman("ps", "--all", "--filter", name, "--format", "{{.ID}}").split()
        if containers:
            host.run(["podman", "rm", "--force", "--time", "1", *containers], 600)
        for kept in external(self.place.prefix):
            host.run(["podman", "rm", "--force", kept], 60)
        pods = host.podman("pod", "ps", "--filter", f"name=^pod_{self.place.prefix}-", "--format", "{{.ID}}").split()
        if pods:
            host.run(["podman", "pod", "rm", "--force", *pods], 120)
        networks = [n for n in host.podman("network", "ls", "--format", "{{.Name}}").split() if self.owns(n)]
        if networks:
            host.run(["podman", "network", "rm", "--force", *networks], 120)

    def clear(self) -> None:
        """Removes volumes and images of the prefix, too."""
        self.sweep()
        volumes = [name for name in volumes_of(self.place.prefix) if self.owns(name)]
        if volumes:
            host.run(["podman", "volume", "rm", "--force", *volumes], 120)
        listed = host.podman("images", "--format", "{{.Repository}}:{{.Tag}}").split()
        images = [name for name in listed if self.owns(name.rpartition("/")[2])]
        if images:
            host.run(["podman", "rmi", *images], 120)

    def owns(self, name: str) -> bool:
        return name.startswith(f"{self.place.prefix}-")


def external(prefix: str) -> list[str]:
    """Containers of the prefix that only podman's storage knows; `ps` without `--external` does not list them."""
    listed = json.loads(host.podman("ps", "--all", "--external", "--format", "json") or "[]")
    of_prefix = [c for c in listed if any(name.startswith(f"{prefix}-") for name in c.get("Names") or [])]
    return [str(c["Id"]) for c in of_prefix if str(c.get("State", "")).lower() in ("storage", "unknown")]


def volumes_of(prefix: str) -> list[str]:
    listed = host.podman("volume", "ls", "--format", "{{.Name}}").split()
    return [name for name in listed if name.startswith(f"{prefix}-")]


@contextmanager
def opened(program: str | None, place: Place) -> Iterator[Workshop]:
    """A workshop that leaves nothing behind, however it is left."""
    base = str(fixture.base_of(place.prefix, present=True)["name"])
    present = host.run(["podman", "image", "exists", f"localhost/{base}"], 60).code == 0
    with tempfile.TemporaryDirectory(prefix=f"{place.prefix}-") as name:
        ours = Ours(built(program))
        workshop = Workshop(ours, place, Path(name), fixture.base_of(place.prefix, present))
        workshop.clear()
        try:
            yield workshop
        finally:
            workshop.clear()
