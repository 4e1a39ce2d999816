"""python -m sae_spec.spec_tests.claims.detector.shoot_out [--each 6] [--out build/detector] [--record]

The detector beside what others would say of the same pairs of the same SAEs (`rivals.py` has the formulas): 32 kinds of world, labels by
what truly is in the samples. Everybody has the best of what can be given without changing the order of the score:

    sign         the one with the larger area; "reversed" says that it is not its authors'
    pairs        those that the detector judges, with enough samples and cosines from .05 to .98: areas are of these, and elsewhere nobody
                 says "absorbed". Area and best F1 of all pairs, without that help, are beside, with the sign that is best there
    threshold    the best one with hindsight; and its own where its authors name one, for the detector .8
    probability  of the detector the weights' that have not seen the kind of world; of others log odds fitted in the same way to the single
                 score, w · score + b, so that a calibration error can be compared
"""

import json

import numpy as np
from rich.console import Console
from rich.table import Table

from sae_spec.reference.absorption import detector
from sae_spec.reference.absorption.evidence import Evidence
from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.spec_tests.claims import keep
from sae_spec.spec_tests.claims.detector import __main__ as experiment
from sae_spec.spec_tests.claims.detector import rivals
from sae_spec.spec_tests.claims.detector.fit import at, best, calibration_error, left_out
from sae_spec.spec_tests.claims.detector.members import samples
from sae_spec.spec_tests.claims.zoo import area, finite

OURS = "this detector"
NAMES = {                        # how a score is called in the tables
    "projection": "SAEBench's projection, told the true features", "cosine": "decoder cosine", "gap": "pattern gap",
    "likeness": "Tree SAE's reconstruction", "coverage": "Tree SAE's coverage", "shared": "shared meta-latent",
    "ratio": "irtk-jax's ratio", "lift": "lift: fires more rarely", "phi": "correlation of firing"}
TOLD = "projection"              # the one that knows the truth
COLUMNS = ("AUROC", "best F1", "precision", "recall", "own precision", "own recall", "calibration error", "log loss saved",
           "AUROC, all pairs", "best F1, all pairs", "worst kind's AUROC")


def of_saes(saes, seed):
    """What rivals say of all pairs of SAEs of one shape, in the samples that the detector is asked about."""
    shared = rivals.shared(np.stack([normalize_rows(sae.params["W_dec"]) for sae in saes]), seed) if saes else []
    return [of_sae(sae, seed, meta) for sae, meta in zip(saes, shared)]


def of_sae(sae, seed, shared):
    """{name: (n,)} of one; "cosine" again and "label" empty, so that the two tables can be laid side by side."""
    x, magnitudes, acts = samples(sae, np.random.default_rng([seed, 7]), experiment.SAMPLES)
    W_dec, directions = sae.params["W_dec"], sae.wide.world.directions
    unit = normalize_rows(W_dec)
    of = np.abs(unit @ directions.T).argmax(-1)             # (M,)  each latent's feature
    table = rivals.scores(x, acts, W_dec, sae.params["b_dec"], directions[of], magnitudes[:, of] > 0)
    apart = ~np.eye(len(W_dec), dtype=bool)
    return {name: values[apart] for name, values in (table | {"shared": shared, "beside": unit @ unit.T, "label": apart}).items()}


def gathered(each, out):
    """The detector's table of all pairs and the rivals', side by side."""
    ours = experiment.gathered(each, out)
    theirs = experiment.joined(each, out, ".rivals", of_saes)
    if not np.array_equal(theirs["kind"], ours["kind"]) or not np.allclose(theirs.pop("beside"), ours["cosine"], atol=1e-6):
        raise ValueError(f"{out} holds pairs of other SAEs: empty it")
    return theirs | ours


def saved(probability, label):
    """Share of the log loss of one probability for all pairs that these probabilities save."""
    loss = lambda p: -np.mean(np.log(np.where(label == 1, p, 1 - p)))
    return float(1 - loss(np.clip(probability, 1e-12, 1 - 1e-12)) / loss(np.full(len(label), label.mean())))


def judge(score, table, judged, probability=None, own=None):
    """One row; own: where the score says "absorbed" by its own threshold."""
    label, kind = table["label"], table["kind"]
    clear = label >= 0
    seen = judged & clear
    turned, told = of_sign(score, label, seen)
    among = np.where(judged, told, -np.inf)
    if probability is None:
        probability = left_out(told[:, None], kind, label, judged)
    by_kind = [area(told[here], label[here]) for each in np.unique(kind) for here in [seen & (kind == each)]]
    precision, recall = (None, None) if own is None else at((own & judged).astype(float), label)
    alone = of_sign(score, label, clear)[1][clear]
    return best(among[clear], label[clear] == 1) | {
        "reversed": turned, "AUROC": area(told[seen], label[seen]), "own precision": precision, "own recall": recall,
        "calibration error": calibration_error(probability[seen], label[seen]), "log loss saved": saved(probability[seen], label[seen]),
        "AUROC, all pairs": area(alone, label[clear]), "best F1, all pairs": best(alone, label[clear] == 1)["best F1"],
        "worst kind's AUROC": float(np.nanmin(by_kind))}


def of_sign(score, label, where):
    """Whether the score has the larger area with the other sign, and the score with the better one."""
    turned = area(-score[where], label[where]) > area(score[where], label[where])
    return bool(turned), -score if turned else score


def report(table):
    """{"pairs": …, "scores": {name: row}}, ours first, the others by their best F1."""
    of = Evidence(*(table[name] for name in Evidence._fields))
    label, judged = table["label"], of.enough & detector.candidate(of)
    together = lambda names: left_out(np.stack([table[name].astype(float) for name in names], -1), table["kind"], label, judged)
    said = experiment.even(left_out(np.stack(list(detector.answers(of).values()), -1), table["kind"], label, judged), of)
    others = {name: judge(table[key], table, judged, own=table["rebuilt"] if key == "likeness" else None) for key, name in NAMES.items()}
    for name, keys in {"Tree SAE's two conditions, added up": ["coverage", "likeness"],
                       "all others without the truth, added up": [key for key in NAMES if key != TOLD]}.items():
        sum_of = together(keys)
        others[name] = judge(sum_of, table, judged, sum_of)
    rows = {OURS: judge(said, table, judged, said, said > detector.ABSORBED)}
    rows |= dict(sorted(others.items(), key=lambda row: -row[1]["best F1"]))
    return {"kinds": len(np.unique(table["kind"])), "absorbed": int((label == 1).sum()), "not": int((label == 0).sum()),
            "judged": int((judged & (label >= 0)).sum()), "judged and absorbed": int((judged & (label == 1)).sum()), "scores": rows}


def show(result, console):
    shown = Table(title="{absorbed} absorbed pairs, {not} that are not; {judged} judged".format(**result))
    shown.add_column("")
    for name in COLUMNS:
        shown.add_column(name, justify="right")
    for name, row in result["scores"].items():
        cells = ("–" if row[column] is None else f"{row[column]:.3f}" for column in COLUMNS)
        shown.add_row(name + (" (reversed)" if row["reversed"] else ""), *cells)
    console.print(shown)


def main(argv=None):
    options = experiment.options_of(argv, "python -m sae_spec.spec_tests.claims.detector.shoot_out", __doc__)
    result = report(gathered(options.each, options.out))
    show(result, Console(width=200))
    keep(json.dumps(finite(result), indent=1) + "\n", options.out / "shoot_out.json", "shoot_out.json" if options.record else None)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
