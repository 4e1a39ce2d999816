"""python -m sae_spec.spec_tests.peers [NAME …]: measure other libraries, and make build/peers.html.

Exit status 1 where a library differs without a judgement, or a judgement no longer has a difference.
"""

import argparse
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor

from rich.progress import Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

from sae_spec.spec_tests.peers.libraries import HERE, make_environment, read_libraries
from sae_spec.spec_tests.peers.matrix import complaints, read_measured
from sae_spec.spec_tests.peers.measure import measured, run_suite, write
from sae_spec.spec_tests.peers.page import page
from sae_spec.torch_impl.training.atomic import replace_text

ROOT = HERE.parents[1]
PROCESSES = 2           # libraries at a time


def measure(library, effort, progress):
    """Run the suite for one library and write its JSON."""
    task = progress.add_task(f"{library.title} {library.version}", total=1)
    report, folder = run_suite(library, ROOT, effort)
    shutil.rmtree(library.replays, ignore_errors=True)
    try:
        write(library.measured, measured(library, report, folder))
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    progress.update(task, completed=1)


def main(argv=None):
    """Measure, write, complain; returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m sae_spec.spec_tests.peers", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME", help="only these libraries of libraries.toml")
    parser.add_argument("--effort", choices=("quick", "normal", "thorough"), default="normal", help="of the suite (normal)")
    parser.add_argument("--environments", action="store_true", help="make the environments and measure nothing")
    options = parser.parse_args(argv)
    libraries = read_libraries()
    unknown = set(options.names) - set(libraries)
    if unknown:
        parser.error(f"{sorted(unknown)[0]}: not among {', '.join(libraries)}")
    chosen = [libraries[name] for name in options.names or libraries]
    for name in sorted({library.environment for library in chosen}):
        make_environment(name, ROOT)
    if options.environments:
        return 0
    with Progress(SpinnerColumn(), TextColumn("{task.description}"), TimeElapsedColumn()) as progress, \
            ThreadPoolExecutor(PROCESSES) as pool:
        list(pool.map(lambda library: measure(library, options.effort, progress), chosen))
    found = read_measured(libraries)
    write_page(found)
    said = complaints(found)
    print("\n".join(said) or "every difference has its judgement, and every judgement its difference")
    return 1 if said else 0


def write_page(found):
    path = ROOT / "build" / "peers.html"
    path.parent.mkdir(exist_ok=True)
    replace_text(path, page(found))
    print(f"wrote {path.relative_to(ROOT)}")


if __name__ == "__main__":
    sys.exit(main())
