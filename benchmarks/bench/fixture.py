"""Systems of tiny agents, written down for each tool: a manifest for ours, a compose file for the peers.

Both say the same: names, addresses, ports, limits, hardening, volumes, and who waits for whose health. What a compose
file has no word for (a group that comes after another) becomes `depends_on` on each agent of the earlier group.
"""

import ipaddress
import json
import shutil
import tomllib
from dataclasses import dataclass, field, replace
from pathlib import Path

HERE = Path(__file__).resolve().parent
REPOSITORY = HERE.parent.parent
MEMORY_MB, CPUS, PIDS, STOP_TIMEOUT_S = 64, 1.0, 64, 5


@dataclass(frozen=True)
class Agent:
    """One agent of a generated system."""

    name: str
    mode: str = "ok"
    depends_on: tuple[str, ...] = ()
    volumes: tuple[str, ...] = ()
    """Each is mounted at `/app/NAME`."""
    stop_timeout_s: int = STOP_TIMEOUT_S
    env: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True)
class Group:
    """Agents on a network of their own."""

    name: str
    agents: tuple[Agent, ...]
    after: tuple[str, ...] = ()


@dataclass(frozen=True)
class Place:
    """What of the host a benchmark may take."""

    prefix: str
    """Of everything that it makes."""
    subnet: str
    """A /16; each network gets a /24 of it."""
    first_port: int


@dataclass(frozen=True)
class System:
    """A generated system; its files lie in `folder`."""

    name: str
    groups: tuple[Group, ...]
    place: Place
    folder: Path
    number: int
    """Tells its networks and ports from those of other systems of the same place."""
    backbone: bool = False
    """Whether all agents share a second network, as in the project's own manifest."""
    base: dict[str, object] = field(default_factory=dict)
    start_timeout_s: int = 60

    @property
    def agents(self) -> list[Agent]:
        return [agent for group in self.groups for agent in group.agents]

    @property
    def manifest(self) -> Path:
        return self.folder / "containers/system.toml"

    def compose(self, order: str) -> Path:
        return self.folder / f"compose-{order}.json"

    def container(self, agent: str) -> str:
        return f"{self.name}-{agent.lower()}"

    def ports(self, agent: str) -> tuple[int, int]:
        index = [other.name for other in self.agents].index(agent)
        first = self.place.first_port + self.number * 400 + 2 * index
        return first, first + 1

    def subnet(self, index: int) -> tuple[str, str]:
        """Subnet of a network, and the part of it for dynamic addresses."""
        whole = ipaddress.IPv4Network(self.place.subnet)
        part = list(whole.subnets(new_prefix=24))[self.number * 8 + index]
        return str(part), f"{part[224]}/27"

    def address(self, group: int, index: int) -> str:
        return str(ipaddress.ip_network(self.subnet(group)[0])[10 + index])

    def network(self, group: str) -> str:
        return f"{self.name}-{group}"


def base_of(prefix: str, present: bool) -> dict[str, object]:
    """The base image of the project's manifest if it is here, else one of our own that is made in the same way."""
    base: dict[str, object] = tomllib.loads((REPOSITORY / "containers/system.toml").read_text())["base"]
    return base | ({"sources": ["present"]} if present else {"name": f"{prefix}-base"})


def plan(place: Place, folder: Path) -> System:
    """Eight agents as in the project's manifest: three groups one after the other, chains in two of them."""
    core = chain("core", ["twin", "coordinator", "chain", "training"])
    core = tuple(replace(a, volumes=("logs", "data") if a.name in ("twin", "training") else ("logs",)) for a in core)
    system = tuple(replace(a, volumes=("logs",)) for a in chain("system", ["models", "emotion", "audio"]))
    groups = (
        Group("core", core),
        Group("system", system, ("core",)),
        Group("gpu", (Agent("got", volumes=("logs",)),), ("core", "system")),
    )
    return System(f"{place.prefix}-plan", groups, place, folder, 0, backbone=True)


def chain(_group: str, names: list[str]) -> tuple[Agent, ...]:
    """Agents that each wait for the one before."""
    return tuple(Agent(name, depends_on=tuple(names[max(0, index - 1) : index])) for index, name in enumerate(names))


def waves(place: Place, folder: Path, count: int) -> System:
    """Agents in waves of eight: each waits for its neighbour in the wave before."""
    agents = (Agent(f"a{i:03}", depends_on=(f"a{i - 8:03}",) if i >= 8 else ()) for i in range(count))
    return System(f"{place.prefix}-waves", (Group("all", tuple(agents)),), place, folder, 1)


def sharing(place: Place, folder: Path, count: int) -> System:
    """Agents that wait for nobody and all share two named volumes."""
    agents = (Agent(f"a{i:03}", volumes=("logs", "data")) for i in range(count))
    return System(f"{place.prefix}-sharing", (Group("all", tuple(agents)),), place, folder, 2)


def small(place: Place, folder: Path, number: int, name: str) -> System:
    """Six agents for faults: a chain with one that does not end when told, a group after it, two shared volumes."""
    kept = ("logs", "data")

    def agent(name: str, mode: str = "ok", depends_on: tuple[str, ...] = (), stop_timeout_s: int = 3) -> Agent:
        keep = (("BENCH_KEEP", f"/app/data/{name}"),)
        return Agent(name, mode, depends_on, kept, stop_timeout_s, keep)

    first = (agent("a0"), agent("a1", "stubborn", ("a0",), 2), agent("a2", depends_on=("a1",)), agent("a3"))
    second = (agent("b0"), agent("b1", depends_on=("b0",)))
    groups = (Group("first", first), Group("second", second, ("first",)))
    return System(f"{place.prefix}-{name}", groups, place, folder, number, backbone=True, start_timeout_s=8)


def write(system: System, image: str = "") -> None:
    """Writes all files; the compose files only if the peers' image is known."""
    code = system.folder / "monorepo/code"
    code.mkdir(parents=True, exist_ok=True)
    system.manifest.parent.mkdir(exist_ok=True)
    shutil.copy(HERE / "agent/agent.py", code)
    shutil.copy(HERE / "agent/Containerfile", system.manifest.parent)
    system.manifest.write_text(manifest_text(system))
    for order in ("groups", "dependencies") if image else ():
        system.compose(order).write_text(json.dumps(compose(system, image, order), indent=1))
        ungated = compose(system, image, order, "service_started")
        system.compose(f"{order}-ungated").write_text(json.dumps(ungated, indent=1))


def toml(value: object) -> str:
    """A value as TOML; tables inline."""
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{key} = {toml(part)}" for key, part in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(toml(part) for part in value) + "]"
    return json.dumps(value)


def table(head: str, values: dict[str, object]) -> str:
    return f"[{head}]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in values.items()) + "\n"


def manifest_text(system: System) -> str:
    image = f"{system.name}-image"
    text = "schema = 1\n\n"
    text += table("system", {"name": system.name, "monorepo": "../monorepo", "code": ["code"], "search_roots": ["."]})
    text += table("base", system.base)
    names = [group.name for group in system.groups] + (["backbone"] if system.backbone else [])
    for index, name in enumerate(names):
        subnet, dynamic = system.subnet(index)
        text += table(f"networks.{system.network(name)}", {"subnet": subnet, "ip_range": dynamic})
    parent = {"parent": system.base["name"], "containerfile": "Containerfile", "code": True}
    text += table(f"images.{image}", parent)
    for number, group in enumerate(system.groups):
        text += table(f"groups.{group.name}", group_values(system, image, number))
        for index, agent in enumerate(group.agents):
            address = system.address(number, index)
            text += table(f"groups.{group.name}.agents.{agent.name}", agent_values(system, agent, address))
    return text


def group_values(system: System, image: str, number: int) -> dict[str, object]:
    group = system.groups[number]
    values: dict[str, object] = {"image": image, "network": system.network(group.name)}
    if system.backbone:
        values |= {"backbone": system.network("backbone"), "backbone_offset": 32 * number}
    if group.after:
        values["after"] = group.after
    limits = {"memory_mb": MEMORY_MB, "cpus": CPUS, "pids": PIDS}
    return values | limits | {"start_timeout_s": system.start_timeout_s}


def agent_values(system: System, agent: Agent, address: str) -> dict[str, object]:
    port, health_port = system.ports(agent.name)
    values: dict[str, object] = {
        "script": "code/agent.py",
        # The name makes its processes recognisable in /proc.
        "args": [agent.mode, system.container(agent.name)],
        "container": system.container(agent.name),
        "port": port,
        "health_port": health_port,
        "ip": address,
        "stop_timeout_s": agent.stop_timeout_s,
    }
    if agent.depends_on:
        values["depends_on"] = agent.depends_on
    if agent.volumes:
        values["mounts"] = [{"volume": volume, "target": f"/app/{volume}"} for volume in agent.volumes]
    if agent.env:
        values["env"] = dict(agent.env)
    return values


def compose(system: System, image: str, order: str, condition: str = "service_healthy") -> dict[str, object]:
    """The same system as a compose file. JSON is YAML."""
    names = [group.name for group in system.groups] + (["backbone"] if system.backbone else [])
    networks = {}
    for index, name in enumerate(names):
        subnet, dynamic = system.subnet(index)
        ipam = {"config": [{"subnet": subnet, "ip_range": dynamic}]}
        networks[name] = {"name": system.network(name), "driver_opts": {"isolate": "true"}, "ipam": ipam}
    services = {}
    members = {group.name: [agent.name for agent in group.agents] for group in system.groups}
    for number, group in enumerate(system.groups):
        for index, agent in enumerate(group.agents):
            earlier = [name for other in group.after for name in members[other]] if order == "groups" else []
            waits_for = {name: {"condition": condition} for name in [*agent.depends_on, *earlier]}
            service = service_of(system, agent, image) | ({"depends_on": waits_for} if waits_for else {})
            joined = {group.name: {"ipv4_address": system.address(number, index)}}
            if system.backbone:
                address = ipaddress.ip_network(system.subnet(len(system.groups))[0])[32 * number + 10 + index]
                joined["backbone"] = {"ipv4_address": str(address)}
            services[agent.name] = service | {"networks": joined}
    volumes: dict[str, object] = {volume: {} for agent in system.agents for volume in agent.volumes}
    return {"name": system.name, "services": services, "networks": networks, "volumes": volumes}


def service_of(system: System, agent: Agent, image: str) -> dict[str, object]:
    port, health_port = system.ports(agent.name)
    environment = {"AGENT_NAME": agent.name, "PORT": str(port), "HEALTH_CHECK_PORT": str(health_port)}
    return {
        "image": image,
        "pull_policy": "never",
        "container_name": system.container(agent.name),
        "hostname": system.container(agent.name),
        "command": ["python3", "-u", "code/agent.py", agent.mode, system.container(agent.name)],
        "environment": environment | dict(agent.env),
        "ports": [f"127.0.0.1:{number}:{number}" for number in (port, health_port)],
        "volumes": [f"{volume}:/app/{volume}" for volume in agent.volumes],
        "init": True,
        "read_only": True,
        "tmpfs": ["/tmp", "/var/tmp", "/run"],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges"],
        "mem_limit": f"{MEMORY_MB}m",
        "cpus": CPUS,
        "pids_limit": PIDS,
        "restart": "on-failure:3",
        "stop_grace_period": f"{agent.stop_timeout_s}s",
        "healthcheck": {
            "test": ["CMD", "python3", "code/agent.py", "ask"],
            "interval": "1s",
            "timeout": "3s",
            "retries": 60,
        },
    }
