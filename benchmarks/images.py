#!/usr/bin/env python3
"""Compares this repository's images with the plan's recipe carried out literally: benchmarks/images.py [--parts LIST]

Builds both from cold in one run on the same base image, which must be present, and prints a table of seconds and bytes.
The plan's three Dockerfiles are followed to the letter, one after the other, each with its own pip and its own torch;
only what cannot work is corrected (see CORRECTED). The plan's images are removed at the end, this repository's are removed
before they are built anew; so the system must be down. The downloads that builds keep are set aside while it runs, and
put back. Run `cargo xtask build-images` afterwards, for the images with code.

It takes about twenty minutes, 35 GB of disk and a quiet machine.
"""

import argparse
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
XTASK = ["cargo", "xtask"]
CACHE = "ai-system-packages"
PARTS = ["core", "gpu", "audio"]

CORRECTED = """\
The base image is the one that this repository's images stand on, not nvidia/cuda, which would add gigabytes and whose
tag does not exist. The lists are copied with the core list that they include. Versions are those of
requirements.all.lock, because the plan's do not fit together. Source packages are built with setuptools<81. torch
comes from the same index as everything else. Debian's pip has to be told that it may install. In the plan's favour, pip
keeps no downloads in the images."""

# The plan's steps. {pip} is pip with this host's certificates and index.
INSTALL = "RUN apt-get update && apt-get install -y "
PLAN = {
    "core": [
        INSTALL + "gcc g++ libzmq3-dev python3-dev",
        "COPY requirements/requirements.core.txt requirements/requirements.all.lock /app/",
        "{pip} install -c /app/requirements.all.lock -r /app/requirements.core.txt",
        "WORKDIR /app",
    ],
    "gpu": [
        INSTALL + "python3-dev gcc g++ libzmq3-dev",
        "COPY requirements/requirements.core.txt requirements/requirements.gpu.txt requirements/requirements.all.lock /app/",
        "{pip} install -c /app/requirements.all.lock torch torchvision torchaudio",
        "{pip} install -c /app/requirements.all.lock -r /app/requirements.gpu.txt",
        "WORKDIR /app",
    ],
    "audio": [
        INSTALL + "gcc g++ libzmq3-dev ffmpeg portaudio19-dev python3-dev",
        "COPY requirements/requirements.core.txt requirements/requirements.audio.txt requirements/requirements.all.lock /app/",
        "{pip} install -c /app/requirements.all.lock -r /app/requirements.audio.txt",
        "WORKDIR /app",
    ],
}
PIP = (
    "RUN --mount=type=bind,source=scripts,target=/run/build/scripts --mount=type=secret,id=ca-bundle"
    " --mount=type=secret,id=pip-conf --mount=type=secret,id=pip-index-url --mount=type=secret,id=pip-extra-index-url"
    " echo 'setuptools<81' > /build.txt && PIP_BREAK_SYSTEM_PACKAGES=1 PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore"
    " PIP_CONSTRAINT=/build.txt sh /run/build/scripts/with-index.sh pip3"
)


def run(words: list[str]) -> str:
    return subprocess.run(words, check=True, cwd=ROOT, stdout=subprocess.PIPE, text=True).stdout


def made_by(builds: list[list[str]]) -> list[str]:
    """Tags of the images that builds end in, parents first."""
    return [build[build.index("--tag") + 1] for build in builds if "--target" not in build]


class Podman:
    """podman as the tool calls it on this host: with its options, and the secrets of its builds."""

    def __init__(self) -> None:
        lines = run([*XTASK, "build-images", "--dry-run", "--force"]).splitlines()
        every = [shlex.split(line) for line in lines if " build " in line and line.startswith("podman ")]
        builds = [build for build in every if any(word.startswith("LOCKS=") for word in build)]
        if not builds:
            sys.exit("no image with packages is in the manifest")
        first = builds[0]
        at = first.index("build")
        self.command = first[:at]
        self.options = []
        for option, value in zip(first[at:], first[at + 1 :]):
            if option in ("--ulimit", "--secret"):
                self.options += [option, value]
        self.base = next(word for word in first if word.startswith("BASE=")).removeprefix("BASE=")
        self.own = made_by(every)
        tags = [tag for tag in made_by(builds) if not tag.endswith("-tests:latest")]
        self.images = [tag.removeprefix("localhost/").removesuffix(":latest") for tag in tags]

    def build(self, tag: str, text: str) -> float:
        """Builds a Containerfile; returns the seconds it took."""
        # What was done before is on the disk when the clock starts, for both sides.
        os.sync()
        with tempfile.NamedTemporaryFile("w", suffix=".Containerfile") as file:
            file.write(text)
            file.flush()
            started = time.monotonic()
            words = ["build", "--tag", tag, "--file", file.name, *self.options, "--layers=false", "--pull=never", "."]
            ended = subprocess.run(
                [*self.command, *words], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
            )
            if ended.returncode:
                sys.exit(f"{ended.stdout[-4000:]}\ncannot build {tag}")
            return time.monotonic() - started

    def size(self, tag: str) -> int:
        images = json.loads(run([*self.command, "images", "--format", "json", tag]))
        return images[0]["Size"]

    def remove(self, tag: str) -> None:
        subprocess.run([*self.command, "rmi", "--force", tag], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def in_cache(self, script: str) -> None:
        """Runs a script in the folder of downloads that builds keep."""
        mount = f"--mount=type=cache,id={CACHE},target=/cache"
        tag = "localhost/benchmark-cache"
        self.build(tag, f"FROM {self.base}\nRUN {mount} cd /cache && {script}\n")
        self.remove(tag)


def plan(podman: Podman, parts: list[str]) -> list[tuple[str, float, int]]:
    rows = []
    base = podman.size(podman.base)
    for part in parts:
        tag = f"localhost/benchmark-plan-{part}"
        text = "\n".join([f"FROM {podman.base}", *PLAN[part], ""]).replace("{pip}", PIP)
        try:
            seconds = podman.build(tag, text)
            rows.append((f"plan: {part}", seconds, podman.size(tag) - base))
        finally:
            podman.remove(tag)
    return rows


def ours(podman: Podman, parts: list[str]) -> list[tuple[str, float, int]]:
    images = podman.images if parts == PARTS else [image for image in podman.images if image.split("-")[-1] in parts]
    podman.in_cache("mkdir -p .aside && find . -mindepth 1 -maxdepth 1 ! -name .aside -exec mv {} .aside/ \\;")
    # Without --force: what a container stands on is not taken away. A child comes behind its parent in the plan.
    found = run([*podman.command, "images", "--format", "{{.Repository}}:{{.Tag}}"]).split()
    for tag in reversed([tag for tag in podman.own if tag in found]):
        run([*podman.command, "rmi", tag])
    os.sync()
    try:
        report = json.loads(run([*XTASK, "build-images", "--force", "--format", "json", *images]))
    finally:
        podman.in_cache(
            "find . -mindepth 1 -maxdepth 1 ! -name .aside -exec rm -rf {} + "
            "&& find .aside -mindepth 1 -maxdepth 1 -exec mv {} . \\; && rmdir .aside"
        )
    rows = [
        (f"ours: {row['name']}", row["elapsed_ms"] / 1e3, row["unique_bytes"])
        for row in report["images"]
        if row["result"] == "built"
    ]
    # Images are built side by side, so that the whole is less than the sum.
    return [*rows, ("ours: all", report["elapsed_ms"] / 1e3, sum(size for _, _, size in rows))]


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--parts", default=",".join(PARTS), help="of the plan's images: core,gpu,audio")
    parts = arguments.parse_args().parts.split(",")
    podman = Podman()
    print(CORRECTED)
    print(f"\n{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start\n", flush=True)
    theirs = plan(podman, parts)
    theirs.append(("plan: all", sum(row[1] for row in theirs), sum(row[2] for row in theirs)))
    mine = ours(podman, parts)
    base = podman.size(podman.base)
    print(f"{'image':32} {'seconds':>8} {'added to the base, GB':>22}")
    for name, seconds, size in theirs + mine:
        print(f"{name:32} {seconds:8.0f} {size / 1e9:22.2f}")
    (_, their_seconds, their_bytes), (_, seconds, size) = theirs[-1], mine[-1]
    print(f"\ntime {seconds / their_seconds:.2f}, bytes {(size + base) / (their_bytes + base):.2f} of the plan's")
    print(f"(base image of {base / 1e9:.2f} GB counted once on both sides)")


if __name__ == "__main__":
    main()
