"""python -m sae_spec.spec_tests.claims.budgets [--seeds 2] [--out build/budgets] [--record]

Every remedy of the old budget rule is trained on the batches that topk, or batch_topk, is trained on: small worlds, a larger one
(D = 64, M = 512) and word embeddings. About a quarter of an hour on two cores.
"""

import argparse
import json
import time
from pathlib import Path

from sae_spec.spec_tests.claims import keep
from sae_spec.spec_tests.claims.budgets.experiment import judged, measure
from sae_spec.spec_tests.claims.page import document, page, verdict
from sae_spec.spec_tests.claims.registry import Claim
from sae_spec.torch_impl.training.atomic import replace_text



def main(argv=None):
    """Returns the exit status: 0 when all experiments ran, whatever they found."""
    parser = argparse.ArgumentParser(prog="python -m sae_spec.spec_tests.claims.budgets", description=__doc__)
    parser.add_argument("--seeds", type=int, default=2, help="how many for each small case (2)")
    parser.add_argument("--out", type=Path, default=Path("build/budgets"), help="where the page goes (build/budgets)")
    parser.add_argument("--record", action="store_true", help="keep the results")
    options, began = parser.parse_args(argv), time.time()
    options.out.mkdir(parents=True, exist_ok=True)
    claim = Claim("budgets", "A budget that is spent while any of it is left trains as well as topk.", "ACT-15", None)
    results = [(claim, judged(measure(options.seeds)), time.time() - began)]
    print(f"{verdict(results[0][1])}: {claim.sentence}")
    for name, found in results[0][1].numbers.items():
        print(name, *(f"    {who:34}{what}" for who, what in found.items()), sep="\n")
    as_json = json.dumps(document(results, options.seeds), indent=1) + "\n"
    replace_text(options.out / "budgets.html", page(results, options.seeds))
    keep(as_json, options.out / "budgets.json", "budgets.json" if options.record else None)
    print(f"{options.out / 'budgets.html'} is written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
