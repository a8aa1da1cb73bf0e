"""Decides what an image adds to its parent: pins.py FOLDER OUT

FOLDER holds the locks. The variables LOCKS and PARENT_LOCKS name those of the image and those of the images it stands
on. Two files are written to OUT: "index.lock" with the pins to install as they are, and "source.lock" with those that are
published as source only and have to be compiled.
"""

import os
import re
import sys
from pathlib import Path

# A pin starts at the margin; its hashes and comments are indented.
PIN = re.compile(r"([A-Za-z0-9][A-Za-z0-9._-]*)(?:\[[^]]*\])?(==| @ )([^ ;\\]+)")


def pins(lock: Path) -> dict[str, tuple[str, str]]:
    """The lock's pins by normalised name: what is pinned, and the text with its hashes."""
    found = {}
    for line in lock.read_text(encoding="utf-8").splitlines(keepends=True):
        if match := PIN.match(line):
            name = re.sub(r"[-_.]+", "-", match[1]).lower()
            found[name] = (match[3], line)
        elif line.startswith("    --hash=") and found:
            name = next(reversed(found))
            found[name] = (found[name][0], found[name][1] + line)
        elif line.strip() and not line.lstrip().startswith("#"):
            sys.exit(f"{lock.name}: not a line of a lock: {line.strip()}")
    return found


def together(folder: Path, names: list[str]) -> dict[str, tuple[str, str]]:
    """The pins of several locks, which must agree."""
    found, origin = {}, {}
    for name in names:
        for package, pin in pins(folder / f"requirements.{name}.lock").items():
            if package in found and found[package][0] != pin[0]:
                sys.exit(
                    f"the locks {origin[package]} and {name} pin {package} {found[package][0]} and {pin[0]}: "
                    "lock them together with `cargo xtask split-requirements`"
                )
            if package not in found:
                found[package], origin[package] = pin, name
    return found


def main(folder: Path, out: Path) -> None:
    parents = os.environ.get("PARENT_LOCKS", "").split()
    everything = together(folder, parents + os.environ["LOCKS"].split())
    present = together(folder, parents)
    added = {package: pin for package, pin in everything.items() if package not in present}

    sources = pins(folder / "requirements.source.lock")
    compiled = []
    for package in added.keys() & sources.keys():
        if sources[package][0] != added[package][0]:
            sys.exit(
                f"requirements.source.lock pins {package} {sources[package][0]}, the image {added[package][0]}: "
                "lock them together with `cargo xtask split-requirements`"
            )
        compiled.append(package)

    # A pip that copied its last line's backslash would wait for another hash.
    def text(chosen: dict[str, tuple[str, str]]) -> str:
        return "".join(chosen[package][1].rstrip("\n \\") + "\n" for package in sorted(chosen))

    out.mkdir(parents=True, exist_ok=True)
    (out / "index.lock").write_text(text({p: pin for p, pin in added.items() if p not in compiled}))
    (out / "source.lock").write_text(text({p: sources[p] for p in compiled}))


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
