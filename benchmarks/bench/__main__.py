"""Benchmarks and faults on real podman: python3 benchmarks/bench COMMAND

    compare   our tool and its peers by turns: deploy, nothing to do, down, an agent that cannot start; and the scan
    report    writes the section of docs/benchmarks.md and its curves from what `compare` has measured
    volumes   many agents that share two named volumes, deployed and taken down again and again
    chaos     ends the tool at random moments, harms running agents, and looks whether the next run puts it right

Nothing of the user's is touched: all names begin with --prefix, networks come from --subnet, ports from --first-port.
Needs podman and Python 3.11; the peers are fetched from the Python index and the distribution.
"""

import argparse
import json
import signal
import sys
import tempfile
from pathlib import Path

import chaos_faults
import chaos_kill
import compare
import host
import report
import scanning
import volumes
from compare import Options, Results, Sample
from fixture import REPOSITORY, Place
from host import BenchError
from workshop import opened


def arguments() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="benchmarks/bench", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--xtask", metavar="PATH", help="program to use [default: what `cargo xtask` builds]")
    common.add_argument("--prefix", default="xbench", help="of all names [default: %(default)s]")
    common.add_argument("--subnet", default="10.239.0.0/16", help="a /16 for networks [default: %(default)s]")
    common.add_argument("--first-port", type=int, default=26000, help="of 2,400 on 127.0.0.1 [default: %(default)s]")
    common.add_argument("--seed", type=int, default=1, help="of everything random [default: %(default)s]")
    common.add_argument("--out", type=Path, default=REPOSITORY / "target/bench", help="folder for results")
    commands = parser.add_subparsers(dest="command", required=True)
    comparing = commands.add_parser("compare", parents=[common], help="our tool and its peers by turns")
    comparing.add_argument("--rounds", type=int, default=5, help="[default: %(default)s]")
    comparing.add_argument("--sizes", default="8,64,192", help="numbers of agents [default: %(default)s]")
    comparing.add_argument("--files", type=int, default=705, help="of the tree that is scanned [default: %(default)s]")
    comparing.add_argument("--minutes", type=float, default=120, help="no new measurement after [default: %(default)s]")
    comparing.add_argument("--only", choices=["containers", "scan"], help="one half")
    reporting = commands.add_parser("report", parents=[common], help="write docs/benchmarks.md and its curves")
    reporting.add_argument("--document", type=Path, default=REPOSITORY / "docs/benchmarks.md")
    sharing = commands.add_parser("volumes", parents=[common], help="agents that share two named volumes")
    sharing.add_argument("--agents", type=int, default=61, help="[default: %(default)s]")
    sharing.add_argument("--rounds", type=int, default=20, help="[default: %(default)s]")
    sharing.add_argument("--minutes", type=float, default=60, help="no new round after [default: %(default)s]")
    chaos = commands.add_parser("chaos", parents=[common], help="faults, and whether the next run repairs them")
    chaos.add_argument("what", nargs="?", choices=["kill", "faults", "all"], default="all")
    chaos.add_argument("--kills", type=int, default=100, help="`kill -9` of deploy, and of down [default: %(default)s]")
    chaos.add_argument("--interrupts", type=int, default=20, help="double Ctrl-C [default: %(default)s]")
    chaos.add_argument("--pairs", type=int, default=20, help="of runs at once [default: %(default)s]")
    chaos.add_argument("--minutes", type=float, default=10, help="of faults to running agents [default: %(default)s]")
    chaos.add_argument("--kill-minutes", type=float, default=120, help="no new kill after [default: %(default)s]")
    chaos.add_argument("--short", action="store_true", help="a few of each, in less than two minutes: for CI")
    return parser


def run_compare(args: argparse.Namespace, place: Place) -> int:
    sizes = tuple(int(size) for size in args.sizes.split(","))
    if not all(0 < size <= 192 for size in sizes):
        raise BenchError("--sizes: from 1 to 192 agents")
    options = Options(args.rounds, tuple(sorted(sizes)), args.minutes)
    results = Results(host.facts() | {"rounds": str(args.rounds)})
    try:
        if args.only != "containers":
            with tempfile.TemporaryDirectory(prefix=f"{place.prefix}-") as folder:
                scanning.run(args.xtask, Path(folder), args.files, max(args.rounds, 11), args.seed, results)
        if args.only != "scan":
            with opened(args.xtask, place) as workshop:
                compare.run(workshop, options, results)
    finally:
        args.out.mkdir(parents=True, exist_ok=True)
        compare.saved(args.out).write_text(json.dumps(results.as_json(), indent=1))
        print(report.Report(results).markdown())
    failed = [s for s in results.samples if s.problem and s.tool.startswith(report.OURS)]
    for sample in failed:
        print(f"error: {sample.case} {sample.size} {sample.verb}: {sample.problem}", file=sys.stderr)
    return 1 if failed else 0


def run_chaos(args: argparse.Namespace, place: Place) -> int:
    counts = chaos_kill.Counts(args.kills, args.kills, args.interrupts, args.pairs)
    kill_minutes, fault_minutes = args.kill_minutes, args.minutes
    if args.short:
        counts, kill_minutes, fault_minutes = chaos_kill.Counts(4, 3, 1, 1), 0.8, 0.6
    bad = 0
    with opened(args.xtask, place) as workshop:
        if args.what in ("kill", "all"):
            bad += chaos_kill.run(workshop, counts, args.seed, kill_minutes, may_stop=args.short)
        if args.what in ("faults", "all"):
            bad += chaos_faults.run(workshop, args.seed, fault_minutes)
    return 1 if bad else 0


def run_volumes(args: argparse.Namespace, place: Place) -> int:
    if not 0 < args.agents <= 192:
        raise BenchError("--agents: from 1 to 192")
    with opened(args.xtask, place) as workshop:
        return 1 if volumes.run(workshop, args.agents, args.rounds, args.minutes) else 0


def run_report(args: argparse.Namespace) -> int:
    read = json.loads(compare.saved(args.out).read_text())
    results = Results(read["facts"], read["notes"], [Sample(**sample) for sample in read["samples"]])
    for path in report.write(results, args.document):
        print(path)
    return 0


def main() -> int:
    args = arguments().parse_args()
    # Asked to end, it clears up as after Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    place = Place(args.prefix, args.subnet, args.first_port)
    try:
        if args.command == "compare":
            return run_compare(args, place)
        if args.command == "volumes":
            return run_volumes(args, place)
        if args.command == "chaos":
            return run_chaos(args, place)
        return run_report(args)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; everything of the benchmark's was removed", file=sys.stderr)
        return 130


if __name__ == "__main__":
    sys.exit(main())
