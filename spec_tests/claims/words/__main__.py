"""python -m sae_spec.spec_tests.claims.words [--M 2048] [--steps 1500] [--out build/words] [--record]

SAEs of four architectures are trained on MiniLM's word embeddings, one row a token, and `sae-spec absorption --labels` says
which latents are absorbed, in tokens. The page begins with all families; about ten minutes on one core.
"""

import argparse
import json
from pathlib import Path

import torch

from sae_spec.spec_tests.claims import keep
from sae_spec.spec_tests.claims.words.experiment import LIKELY, SUBJECTS, ask, embeddings, write_data
from sae_spec.torch_impl.pages import render
from sae_spec.torch_impl.training.atomic import replace_text



def main(argv=None):
    """Returns the exit status: 0 when all reports are written, whatever they say."""
    parser = argparse.ArgumentParser(prog="python -m sae_spec.spec_tests.claims.words", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sae", action="append", choices=SUBJECTS, help="only this architecture; may be repeated")
    parser.add_argument("--M", type=int, default=2048, help="latents (2048)")
    parser.add_argument("--steps", type=int, default=1500, help="training steps (1500)")
    parser.add_argument("--out", type=Path, default=Path("build/words"), help="where the pages go (build/words)")
    parser.add_argument("--record", action="store_true", help="keep the results for MEASURED.md")
    options = parser.parse_args(argv)
    if options.record and options.sae:
        parser.error("--record keeps all architectures: leave out --sae")
    torch.set_num_threads(1)
    rows, words = embeddings()
    write_data(rows, words, options.out)
    found = {"M": options.M, "steps": options.steps, "threshold": LIKELY, "rows": len(rows), "SAEs": {}}
    for name in options.sae or SUBJECTS:
        found["SAEs"][name] = ask(name, rows, options.M, options.steps, options.out)
    keep(json.dumps(found, indent=1, ensure_ascii=False) + "\n", options.out / "words.json", "words.json" if options.record else None)
    replace_text(options.out / "words.html", render(Path(__file__).with_name("words.html"), found=found))
    print(f"{options.out / 'words.html'} is written")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
