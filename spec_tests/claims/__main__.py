"""python -m sae_spec.spec_tests.claims: try every claim, write claims.json and claims.html."""

import argparse
import json
import sys
import time
from pathlib import Path


MEASURED = Path(__file__).resolve().parent / "measured"


def options_of(argv):
    """The command's parser and what it read; a mistake in it ends the program."""
    parser = argparse.ArgumentParser(prog="python -m sae_spec.spec_tests.claims", description=__doc__)
    parser.add_argument("--only", action="append", help="only this claim; may be repeated")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds for each claim (5)")
    parser.add_argument("--out", type=Path, default=Path("build/claims"), help="where the page goes (build/claims)")
    parser.add_argument("--record", action="store_true", help="keep the results for README's table")
    options = parser.parse_args(argv)
    if options.record and options.only:
        parser.error("--record keeps all claims: leave out --only")
    if options.seeds < 1:
        parser.error("--seeds must be at least 1")
    return parser, options


def main(argv=None):
    """Returns the exit status: 0 when all experiments ran, whatever they found."""
    parser, options = options_of(argv)
    try:
        import torch
        from rich.progress import Progress

        # importing them registers their claims, in this order
        from sae_spec.spec_tests.claims import published, untying, pricing, finding, readout  # noqa: F401
        from sae_spec.spec_tests.claims.page import document, page, verdict
        from sae_spec.spec_tests.claims.registry import CLAIMS
        from sae_spec.torch_impl.training.atomic import replace_text
    except ModuleNotFoundError as error:
        print(f"{error.name} is missing: pip install 'sae-spec[demo]'", file=sys.stderr)
        return 2
    unknown = set(options.only or ()) - set(CLAIMS)
    if unknown:
        parser.error(f"no claim {sorted(unknown)[0]!r}; there are {', '.join(CLAIMS)}")
    torch.set_num_threads(1)                                # steps this small only lose by a second one
    options.out.mkdir(parents=True, exist_ok=True)
    chosen, results = [CLAIMS[name] for name in CLAIMS if not options.only or name in options.only], []
    with Progress() as bar:
        for claim in chosen:
            task, began = bar.add_task(claim.name, total=None), time.time()
            outcome = claim.experiment(options.seeds, lambda: bar.advance(task))
            results.append((claim, outcome, time.time() - began))
            bar.update(task, total=1, completed=1)
            bar.print(f"{verdict(outcome):5}  {claim.name}: {claim.sentence}")
    as_json = json.dumps(document(results, options.seeds), indent=1) + "\n"
    texts = {options.out / "claims.json": as_json, options.out / "claims.html": page(results, options.seeds)}
    if options.record:
        texts[MEASURED / "claims.json"] = as_json
    for path, text in texts.items():
        replace_text(path, text)
    print(f"{options.out / 'claims.html'} is written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
