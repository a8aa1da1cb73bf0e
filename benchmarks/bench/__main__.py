"""Benchmarks and faults on real podman: python3 benchmarks/bench COMMAND

    compare   our tool and its peers by turns: deploy, nothing to do, down, an agent that cannot start; and the scan
    report    writes the section of docs/benchmarks.md and its curves from what `compare` has measured

Nothing of the user's is touched: all names begin with --prefix, networks come from --subnet, ports from --first-port.
Needs podman and Python 3.11; the peers are fetched from the Python index and the distribution.
"""

import argparse
import json
import sys
import tempfile
from pathlib import Path

import compare
import host
import report
import scanning
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


def run_report(args: argparse.Namespace) -> int:
    read = json.loads(compare.saved(args.out).read_text())
    results = Results(read["facts"], read["notes"], [Sample(**sample) for sample in read["samples"]])
    for path in report.write(results, args.document):
        print(path)
    return 0


def main() -> int:
    args = arguments().parse_args()
    place = Place(args.prefix, args.subnet, args.first_port)
    try:
        if args.command == "compare":
            return run_compare(args, place)
        return run_report(args)
    except BenchError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
