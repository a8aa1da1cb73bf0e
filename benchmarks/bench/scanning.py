"""Times `cargo xtask scan` against `ruff analyze graph` and deptry on one generated tree, by turns."""

import json
import random
import shutil
from pathlib import Path

import host
import tools
from compare import Results, Sample
from fixture import REPOSITORY
from host import BenchError

PEERS = ["ruff==0.17.6", "deptry==0.25.1"]
STANDARD = ["json", "os", "time", "logging", "threading", "asyncio", "pathlib", "collections", "typing", "dataclasses"]
PACKAGES = ["numpy", "zmq", "requests", "yaml", "psutil", "torch", "transformers", "fastapi", "pydantic", "redis"]
WORDS = ["agent", "model", "queue", "state", "reply", "task", "voice", "frame", "token", "score", "batch", "cache"]


def generate(root: Path, count: int, seed: int) -> None:
    """The reference monorepo, and generated modules beside it that import each other, until there are `count` files."""
    dice = random.Random(seed)
    shutil.copytree(REPOSITORY / "containers/reference", root)
    have = sum(1 for _ in root.rglob("*.py"))
    names = [f"part_{number // 25:02}.{dice.choice(WORDS)}_{number:04}" for number in range(max(0, count - have))]
    for index, name in enumerate(names):
        package, module = name.split(".")
        folder = root / "main_pc_code/generated" / package
        folder.mkdir(parents=True, exist_ok=True)
        (folder / f"{module}.py").write_text(module_text(dice, names[:index]))
    lines = "\n".join(sorted({"torch", "numpy", "pyzmq", "requests", "PyYAML", "psutil"}))
    if not (root / "requirements.txt").exists():
        (root / "requirements.txt").write_text(f"{lines}\n")


def module_text(dice: random.Random, earlier: list[str]) -> str:
    """A module of some 150 lines: imports at the top and in functions, classes, comprehensions, strings, branches."""
    lines = ['"""Generated for a benchmark."""', ""]
    lines += [f"import {name}" for name in sorted(dice.sample(STANDARD, 4))]
    lines += [f"import {name}" for name in sorted(dice.sample(PACKAGES, 2))]
    for name in dice.sample(earlier, min(len(earlier), 3)):
        lines.append(f"from main_pc_code.generated.{name} import Part0")
    for number in range(dice.randint(2, 5)):
        lines += ["", "", f"class Part{number}:", f'    """Holds {dice.choice(WORDS)}s."""']
        for step in range(dice.randint(3, 8)):
            lines += method(dice, step)
    return "\n".join(lines) + "\n"


def method(dice: random.Random, step: int) -> list[str]:
    one, two, three = dice.sample(WORDS, 3)
    lines = ["", f"    def {one}_{step}(self, {two}: dict, *{three}s: int) -> list:"]
    if dice.random() < 0.15:
        lines += ["        try:", f"            import {dice.choice(PACKAGES)} as extra", "        except ImportError:"]
        lines += ["            extra = None"]
    lines += [
        f'        found = [{{"{one}": item, "at": index}} for index, item in enumerate({three}s) if item % {step + 2}]',
        "        for item in sorted(found, key=lambda part: part['at']):",
        f"            if item['at'] > {dice.randint(1, 99)} and {two}.get('{three}'):",
        f'                {two}[f"{one}-{{item}}"] = self.{one}_{step}({two}, item["at"] + {dice.randint(1, 9)})',
        "            else:",
        f"                {two}.setdefault('{dice.choice(WORDS)}', []).append(item)",
        f"        return found or list({two}.values())",
    ]
    return lines


def run(program: str | None, folder: Path, files: int, rounds: int, seed: int, results: Results) -> None:
    """All contenders in turn, another first in each round."""
    tree = folder / "tree"
    generate(tree, files, seed)
    ours = tools.built(program)
    peers = tools.installed(folder, PEERS)
    scan = [str(ours), "scan", "--monorepo", str(tree)]
    counts = json.loads(host.run([*scan, "--format", "json"], 120, cache(folder, "count"), REPOSITORY).expect().stdout)
    read = counts["counts"]
    size = f"{read['files']} files, {read['lines']:,} lines, {read['bytes'] / 1e6:.1f} MB"
    results.notes.append(f"The scanned tree: {size}, seed {seed}.")
    peers_named = " and ".join(PEERS)
    results.notes.append(f"{peers_named} remember nothing between runs; `scan` remembers what did not change.")
    commands = {
        "ruff analyze graph": [str(peers / "ruff"), "analyze", "graph", "."],
        "deptry": [str(peers / "deptry"), ".", "--requirements-files", "requirements.txt"],
    }
    if host.run([*commands["ruff analyze graph"], "--help"], 60, cwd=tree).code != 0:
        raise BenchError("this ruff has no `analyze graph`")

    def add(tool: str, number: int, ended: host.Ended) -> None:
        problem = "" if ended.code in (0, 1) else f"exit code {ended.code}: {ended.said[-200:]}"
        results.add(Sample("scan", read["files"], tool, "scan", number, ended.seconds, ended.peak_mb, problem))

    for number in range(rounds):
        for tool in turned([*commands, "cargo xtask"], number):
            if tool in commands:
                add(tool, number, host.run(commands[tool], 120, cwd=tree))
                continue
            fresh = cache(folder, f"cache-{number}")
            add("cargo xtask, first time", number, host.run(scan, 120, fresh, REPOSITORY))
            add("cargo xtask, again", number, host.run(scan, 120, fresh, REPOSITORY))


def cache(folder: Path, name: str) -> dict[str, str]:
    return {"XDG_CACHE_HOME": str(folder / name)}


def turned(names: list[str], by: int) -> list[str]:
    turn = by % len(names)
    return names[turn:] + names[:turn]
