"""Times `cargo xtask scan` against deptry on the same tree, in one run: benchmarks/scan.py [FILES] [ROUNDS]

The tree is the reference monorepo and files of this Python's standard library, as many as asked for (default: 333 in
all, about 100,000 lines, the size of the monorepo that the tool was designed for). deptry is installed into a folder of
its own that goes away with the tree. Both run by turns; medians count. The tool is the one that plain `cargo xtask`
built. It is timed twice: on a tree that it has never seen, and again, when it remembers the files that have not changed
(deptry remembers nothing). Needs the package index, and nothing else is changed.
"""

import json
import os
import shutil
import statistics
import subprocess
import sys
import sysconfig
import tempfile
import time
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DEPTRY = "deptry==0.25.1"


def make_tree(root: Path, count: int) -> None:
    """The reference monorepo, filled up with files of the standard library, every third of them."""
    shutil.copytree(ROOT / "containers/reference", root)
    have = sum(1 for _ in root.rglob("*.py"))
    library = Path(sysconfig.get_path("stdlib"))
    files = [path for path in sorted(library.rglob("*.py")) if "site-packages" not in path.parts]
    for path in files[:: max(1, len(files) // count)][: max(0, count - have)]:
        target = root / "main_pc_code/library" / path.relative_to(library)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, target)


def seconds(command: list[str], folder: Path, cache: Path) -> float:
    """Wall time of a command, whatever it finds."""
    environment = os.environ | {"XDG_CACHE_HOME": str(cache)}
    quiet = {"stdout": subprocess.DEVNULL, "stderr": subprocess.DEVNULL}
    started = time.perf_counter()
    subprocess.run(command, cwd=folder, env=environment, check=False, **quiet)
    return time.perf_counter() - started


def main() -> None:
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 333
    rounds = int(sys.argv[2]) if len(sys.argv) > 2 else 11
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        tree = folder / "tree"
        make_tree(tree, count)
        venv.create(folder / "venv", with_pip=True)
        pip = [str(folder / "venv/bin/pip"), "install", "--quiet", "--disable-pip-version-check", DEPTRY]
        subprocess.run(pip, check=True)
        subprocess.run(["cargo", "build", "--quiet", "--package", "xtask"], cwd=ROOT, check=True)
        scan = [str(ROOT / "target/debug/xtask"), "scan", "--monorepo", str(tree)]
        deptry = [str(folder / "venv/bin/deptry"), ".", "--requirements-files", "requirements.txt"]
        found = subprocess.run([*scan, "--format", "json"], cwd=ROOT, capture_output=True, check=True)
        counts = json.loads(found.stdout)["counts"]
        times = {"deptry": [], "scan, first time": [], "scan, again": []}
        for number in range(rounds):
            cache = folder / f"cache-{number}"
            times["deptry"].append(seconds(deptry, tree, cache))
            times["scan, first time"].append(seconds(scan, ROOT, cache))
            times["scan, again"].append(seconds(scan, ROOT, cache))
    print(f"{counts['files']} files, {counts['lines']} lines, {counts['bytes']} bytes, {rounds} rounds")
    median = {who: statistics.median(all_times) for who, all_times in times.items()}
    for who, all_times in times.items():
        ratio = median["deptry"] / median[who]
        print(f"{who:16}  {median[who]:.3f} s  ({min(all_times):.3f}-{max(all_times):.3f})  {ratio:.1f} times as fast")


if __name__ == "__main__":
    main()
