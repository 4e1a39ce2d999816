"""python -m sae_spec.spec_tests.claims.detector [--each 6] [--out build/detector] [--record]

Fits the detector's weights. Trains and writes down SAEs in worlds of many kinds, labels every pair by what is true in the samples, and
fits log odds to the answers with each kind left out in turn. Prints what the sum is worth beside scores that need less, kind by kind;
the sum without one of its questions, and with one more; and the weights. Everything goes to detector.json.
"""

import argparse
import json
import pickle
import sys
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.progress import track
from rich.table import Table

from sae_spec.reference.absorption import detector, patterns
from sae_spec.reference.absorption.evidence import Evidence
from sae_spec.spec_tests.claims import keep
from sae_spec.spec_tests.claims.detector.evidence import evidence
from sae_spec.spec_tests.claims.detector.fit import at, balanced, best_f1, calibration_error, left_out, logistic, reliability
from sae_spec.spec_tests.claims.detector.members import ARCHITECTURES, samples, trained, written_down
from sae_spec.spec_tests.claims.detector.questions import OTHERS
from sae_spec.spec_tests.claims.detector.worlds import KINDS
from sae_spec.spec_tests.claims.zoo import area, finite
from sae_spec.spec_tests.claims.zoo_labels import in_samples

SAMPLES = 10_000


def work(kinds):
    """(kind, architecture or None, seed) of all that is made; None is written down."""
    return [(kind, how, 100 * i + j) for i, kind in enumerate(kinds) for j, how in enumerate([*ARCHITECTURES, None])]


def members(kind, how, seed, each):
    """`each` SAEs; of one architecture in three with twice as many latents as features; a forest's are few and long trained."""
    if how is None:
        return [] if kind == "forest" else [written_down(kind, np.random.default_rng([seed, s])) for s in range(2 * each)]
    more = {"steps": 2500, "pool": 32_768} if kind == "forest" else {}
    return trained(kind, how, 1 if kind == "forest" else each, seed, twice=seed % 3 == 0 and kind != "forest", **more)


def pairs(member, seed):
    """Every ordered pair of a member as {name: (n,)}: the evidence, what is true, and the scores it is compared with."""
    x, magnitudes, acts = samples(member, np.random.default_rng([seed, 7]), SAMPLES)
    W_dec, b_dec = member.params["W_dec"], member.params["b_dec"]
    of_the_spec, others = evidence(x, acts, W_dec, b_dec)
    amount, label = in_samples(W_dec, member.wide.world.directions, b_dec, x, magnitudes, acts)
    table = of_the_spec._asdict() | others | {
        "amount": amount, "label": label, "gap": patterns.pattern_gap(member.params.get("W_enc", W_dec), W_dec)}
    apart = ~np.eye(len(W_dec), dtype=bool)
    return {name: values[apart] for name, values in table.items()}


def gathered(each, out):
    """All pairs as one table, made or read from `out`."""
    return joined(each, out, "", lambda saes, seed: [pairs(sae, seed) for sae in saes])


def joined(each, out, suffix, made):
    """One table of what made(SAEs, seed) gives of all pairs, an SAE at a time; SAEs and parts are kept in `out`."""
    parts = []
    for kind, how, seed in track(work(KINDS), "SAEs"):
        for part in of_group(out / f"{kind}-{how or 'written down'}-{each}-{seed}", suffix, made, kind, how, seed, each):
            parts.append(part | {"kind": np.full(len(part["label"]), kind), "how": np.full(len(part["label"]), str(how))})
    return {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}


def of_group(stem, suffix, made, kind, how, seed, each):
    """What is made of the SAEs of one kind and architecture."""
    def saes():
        return kept(Path(f"{stem}.saes.pickle"), lambda: list(members(kind, how, seed, each)))

    return kept(Path(f"{stem}{suffix}.pickle"), lambda: made(saes(), seed))


def kept(path, make):
    """What a file holds, or what `make` makes, kept there."""
    if not path.exists():
        path.write_bytes(pickle.dumps(make()))
    return pickle.loads(path.read_bytes())


def worth(score, label, threshold=0.5):
    """Numbers of one score over pairs; the unclear ones count in "unclear as not" only."""
    clear = label >= 0
    precision, recall = at(score[clear], label[clear], threshold)
    return {"AUROC": area(score[clear], label[clear]), "precision": precision, "recall": recall,
            "best F1": best_f1(score[clear], label[clear] == 1), "unclear as not, best F1": best_f1(score, label == 1),
            "absorbed": int((label == 1).sum()), "not": int((label == 0).sum()), "unclear": int((label < 0).sum())}


def told(probability, label, of):
    """What the verdicts of [ABS-44] are worth over the pairs whose truth is clear, with these probabilities."""
    absorbed = probability > detector.ABSORBED
    not_absorbed = ~detector.candidate(of) | of.enough & (probability < detector.NOT_ABSORBED)
    yes, clear = label == 1, label >= 0
    share = lambda part, whole: float((part & whole).sum() / max(whole.sum(), 1))
    return {"absorbed that are": share(yes, absorbed & clear),
            "absorbed that are told so": share(absorbed, yes & (absorbed | not_absorbed)),
            "absorbed of which it cannot be told": share(~(absorbed | not_absorbed), yes),
            "clear pairs of which it cannot be told": share(~(absorbed | not_absorbed), clear)}


def even(probability, of):
    """At most one half where the pair may be two siblings, [ABS-45]."""
    return np.where(detector.maybe_sibling(of), np.minimum(probability, 0.5), probability)


def report(table):
    """What is printed and kept."""
    of = Evidence(*(table[name] for name in Evidence._fields))
    label, kind, judged = table["label"], table["kind"], of.enough & detector.candidate(of)
    chosen = detector.answers(of)
    given = lambda answers: np.stack(list(answers.values()), -1)
    bare = lambda answers: left_out(given(answers), kind, label, judged)
    tried = lambda answers: even(bare(answers), of)
    without_45, seen = bare(chosen), judged & (label >= 0)
    said = even(without_45, of)
    weights = logistic(given(chosen)[seen], label[seen], balanced(kind[seen]))
    rivals = {"sum of questions": (said, 0.5), "decoder cosine": (np.where(judged, table["cosine"], 0), 0.3),
              "sum of questions, without ABS-45": (without_45, 0.5),
              "pattern gap": (np.where(judged, table["gap"], 0), 0.3), "fires more rarely": (np.where(judged, table["rarer"], 0), 0.5)}
    without = {name: worth(tried({other: chosen[other] for other in chosen if other != name}), label)
               for name in track(chosen, "without a question")}
    more = {name: worth(tried(chosen | {name: detector.answer(table[name], question)}), label)
            for name, question in track(OTHERS.items(), "with one more")}
    return {"kinds": len(np.unique(kind)), "judged pairs": int(judged.sum()), "weights": dict(zip([*chosen, "1"], weights.tolist())),
            "scores": {name: worth(score, label, threshold) for name, (score, threshold) in rivals.items()},
            "verdicts": told(said, label, of), "calibration error of judged pairs": calibration_error(said[seen], label[seen]),
            "reliability": reliability(said[seen], label[seen]), "without": without, "with": more,
            "by kind": {each: worth(said[kind == each], label[kind == each]) for each in np.unique(kind)}}


def show(result, console):
    columns = ("AUROC", "precision", "recall", "best F1", "unclear as not, best F1", "absorbed", "not", "unclear")
    titles = {"each kind left out": "scores", "without one question": "without", "with one more": "with", "by kind": "by kind"}
    for title, rows in ((title, result[name]) for title, name in titles.items()):
        table = Table(title=title)
        table.add_column("")
        for name in columns:
            table.add_column(name, justify="right")
        for name, row in rows.items():
            table.add_row(str(name), *(f"{row[column]:.3f}" if isinstance(row[column], float) else str(row[column]) for column in columns))
        console.print(table)
    console.print("weights", {name: round(value, 2) for name, value in result["weights"].items()})
    console.print("verdicts", {name: round(value, 3) for name, value in result["verdicts"].items()})
    console.print(f"expected calibration error of judged pairs: {result['calibration error of judged pairs']:.3f}")


def options_of(argv, prog, description):
    """Those of an experiment on these SAEs; its folder is made."""
    parser = argparse.ArgumentParser(prog=prog, description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=6, help="SAEs of every kind and architecture (6)")
    parser.add_argument("--out", type=Path, default=Path("build/detector"), help="where SAEs, tables and results are kept")
    parser.add_argument("--record", action="store_true", help="keep what was found for README.md and MEASURED.md")
    options = parser.parse_args(argv)
    import torch

    torch.set_num_threads(1)
    options.out.mkdir(parents=True, exist_ok=True)
    return options


def main(argv=None):
    options = options_of(argv, "python -m sae_spec.spec_tests.claims.detector", __doc__)
    table, console = gathered(options.each, options.out), Console(width=None if sys.stdout.isatty() else 150)
    result = report(table)
    show(result, console)
    keep(json.dumps(finite(result), indent=1) + "\n", options.out / "detector.json", "detector.json" if options.record else None)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
