"""The detector's zoo, `make zoo`: python -m sae_spec.spec_tests.claims.zoo [--each 8] [--out build/zoo] [--split fixing]

SAEs trained and written down, in worlds whose truth is known, absorbing and not; the detector reads weights and
activations only. The `fixing` split is what its threshold was fixed on; the `evaluation` split has other seeds, other
parameters and kinds of world the first has not.
"""

import argparse
import json
from pathlib import Path

import numpy as np
from rich.progress import Progress

from sae_spec.reference.absorption.detector import ABSORBED, NOT_ABSORBED
from sae_spec.spec_tests.claims import keep
from sae_spec.spec_tests.claims.zoo_labels import pairs
from sae_spec.spec_tests.claims.zoo_members import ARCHITECTURES, closed_form, trained
from sae_spec.spec_tests.claims.zoo_worlds import COMMON, NAMED, UNSEEN

FIRST_SEED = {"fixing": 1_000, "evaluation": 12_000_000}
LOOK_ALIKES = ("overlap", "exclusive", "siblings")                      # no absorption, the weights of absorption


def members(split, each, folder, tick=lambda: None):
    """All of a split's SAEs: `each` of every kind and architecture, five times as many of every closed form."""
    kinds = list(COMMON if split == "fixing" else COMMON | UNSEEN)
    for i, kind in enumerate(kinds):
        for j, how in enumerate(ARCHITECTURES):
            yield from trained(split, kind, how, each, FIRST_SEED[split] + 100 * i + j, folder, tick)
        for seed in range(5 * each):
            yield closed_form(kind, np.random.default_rng([FIRST_SEED[split], i, seed]))
    for seed in range(each):
        yield closed_form("tied", np.random.default_rng([FIRST_SEED[split], seed]))


def measure(split, each, folder):
    """(kind, how, pairs) of every member, with a progress bar."""
    folder.mkdir(parents=True, exist_ok=True)
    kinds = len(COMMON) + (len(UNSEEN) if split != "fixing" else 0)
    total = kinds * (len(ARCHITECTURES) * (each + 100) + 5 * each) + each
    rows = []
    with Progress() as bar:
        task = bar.add_task(f"{split} zoo", total=total)
        tick = lambda: bar.advance(task)
        for number, member in enumerate(members(split, each, folder, tick)):
            rows.append((member.kind, member.how, pairs(member, FIRST_SEED[split] + number)))
            tick()
        bar.update(task, completed=total)
    return rows


def area(score, label):
    """Area under the ROC curve: how often a positive outscores a negative, ties counting half."""
    order = np.sort(score[label == 0])
    yes = score[label == 1]
    if not len(order) or not len(yes):
        return float("nan")
    below = np.searchsorted(order, yes, "left") + np.searchsorted(order, yes, "right")
    return float(below.mean() / 2 / len(order))


def verdicts(table, name, threshold, truth="label"):
    """Counts and quality of one score at one threshold on a table of pairs."""
    score, label = table[name], table[truth]
    said, hit, no = score > threshold, label == 1, label == 0
    tp, fp, fn = int((said & hit).sum()), int((said & no).sum()), int((~said & hit).sum())
    missed = int(((score < NOT_ABSORBED) & hit).sum()) if name == "score" else fn           # told that they are not
    hard = table["candidate"]
    return {"true positives": tp, "false positives": fp, "false negatives": fn,
            "true negatives": int((~said & no).sum()), "precision": tp / max(tp + fp, 1),
            "recall": tp / max(tp + fn, 1), "recall where told": tp / max(tp + missed, 1), "AUROC": area(score, label),
            "AUROC among candidates": area(score[hard], label[hard])}


def joined(rows, keep=lambda kind, how: True):
    chosen = [table for kind, how, table in rows if keep(kind, how)]
    return {name: np.concatenate([table[name] for table in chosen]) for name in rows[0][2]} if chosen else None


def best_threshold(table, name):
    """The threshold at which a score has the best F1: what a weight-only score is given, and the detector is not."""
    grid = np.quantile(table[name][table["label"] == 1], np.linspace(0, 0.5, 51))
    judged = [verdicts(table, name, t - 1e-9) for t in grid]
    f1 = [2 * v["precision"] * v["recall"] / max(v["precision"] + v["recall"], 1e-9) for v in judged]
    return float(grid[int(np.argmax(f1))] - 1e-9)


def report(rows):
    """Everything that is printed and saved."""
    everything = joined(rows)
    apart = everything["label"] == -1
    result = {
        "SAEs trained": sum(how != "closed form" for _, how, _ in rows),
        "SAEs written down": sum(how == "closed form" for _, how, _ in rows),
        "pairs": len(apart), "pairs in between or unclear": int(apart.sum()), "threshold": ABSORBED,
        "of these called absorbed": int((everything["score"][apart] > ABSORBED).sum()),
        "largest score of a tied SAE": float(joined(rows, lambda *who: "tied" in who)["score"].max()),
        "detector": verdicts(everything, "score", ABSORBED),
        "unclear as not": verdicts(everything, "score", ABSORBED, "strict"),
        "trained only": verdicts(joined(rows, lambda kind, how: how != "closed form"), "score", ABSORBED),
        "named worlds": verdicts(joined(rows, lambda kind, how: kind in (*NAMED, "tied")), "score", ABSORBED),
        "unseen worlds": verdicts(joined(rows, lambda kind, how: kind in UNSEEN) or everything, "score", ABSORBED),
        "by world": {}, "by architecture": {}, "weights alone": {}}
    kinds, hows = dict.fromkeys(k for k, _, _ in rows), dict.fromkeys(h for _, h, _ in rows)
    for title, names, at in (("by world", kinds, 0), ("by architecture", hows, 1)):
        for name in names:
            result[title][name] = verdicts(joined(rows, lambda *who: who[at] == name), "score", ABSORBED)
    untied = joined(rows, lambda kind, how: "tied" not in (kind, how))
    control = joined(rows, lambda kind, how: kind in LOOK_ALIKES and how != "tied")
    for name in ("gap", "unaligned"):
        threshold = best_threshold(untied, name)
        result["weights alone"][name] = {
            "threshold, fixed with hindsight": threshold, **verdicts(untied, name, threshold),
            "look-alikes taken for absorption": share_said(control, name, threshold),
            "AUROC against look-alikes": against(everything, control, name)}
    result["detector"]["look-alikes taken for absorption"] = share_said(control, "score", ABSORBED)
    result["detector"]["AUROC against look-alikes"] = against(everything, control, "score")
    errors = np.abs(everything["amount"] - everything["shortfall"])[everything["label"] == 1]
    result["detector"]["median |amount - true shortfall|"] = float(np.median(errors)) if len(errors) else None
    return result


def share_said(table, name, threshold):
    """Of the candidate pairs of worlds without absorption, the share a score calls absorbed."""
    return float((table[name] > threshold)[table["candidate"]].mean())


def against(table, control, name):
    """How often an absorbed pair, of any world, outscores a candidate pair of a world without absorption."""
    yes, no = table[name][table["label"] == 1], control[name][control["candidate"]]
    return area(np.concatenate([yes, no]), np.repeat([1, 0], [len(yes), len(no)]))


def show(result):
    head = f"{result['SAEs trained']} trained, {result['SAEs written down']} written down, {result['pairs']} pairs"
    print(f"{head}, {result['pairs in between or unclear']} of them in between or "
          f"unclear ({result['of these called absorbed']} called absorbed); threshold {result['threshold']}")
    columns = ("precision", "recall", "recall where told", "AUROC", "AUROC among candidates", "true positives", "false positives",
               "false negatives", "true negatives")
    lines = {"detector": result["detector"], "  unclear as not": result["unclear as not"],
             "  trained only": result["trained only"],
             "  named worlds": result["named worlds"], "  unseen worlds": result["unseen worlds"],
             **{f"  {n}": v for n, v in result["by world"].items()},
             **{f"  {n}": v for n, v in result["by architecture"].items()},
             **{f"weights: {n}": v for n, v in result["weights alone"].items()}}
    heads = (c.replace("true ", "T").replace("false ", "F").removeprefix("recall ")[:10] for c in columns)
    print(" " * 22 + "  ".join(f"{head:>10}" for head in heads))
    for name, line in lines.items():
        cells = [f"{line[c]:10.3f}" if isinstance(line[c], float) else f"{line[c]:10}" for c in columns]
        print(f"{name:22}" + "  ".join(cells))
    print(f"largest score of a tied SAE: {result['largest score of a tied SAE']}")
    shares = {"detector": result["detector"], **result["weights alone"]}
    print("look-alikes taken for absorption: " + ", ".join(
        f"{name} {line['look-alikes taken for absorption']:.1%} (AUROC against them "
        f"{line['AUROC against look-alikes']:.3f})" for name, line in shares.items()))


def finite(value):
    """The same with None where a number is NaN: JSON has none."""
    if isinstance(value, dict):
        return {name: finite(each) for name, each in value.items()}
    return None if value != value else value


def main(argv=None):
    """Returns the exit status: 0 where the detector holds what is asked of it in the worlds that this was asked for."""
    parser = argparse.ArgumentParser(prog="python -m sae_spec.spec_tests.claims.zoo", description=__doc__)
    parser.add_argument("--each", type=int, default=8, help="SAEs of every kind and architecture (8)")
    parser.add_argument("--out", type=Path, default=Path("build/zoo"), help="where SAEs and results are kept")
    parser.add_argument("--split", choices=FIRST_SEED, default="evaluation")
    parser.add_argument("--record", action="store_true", help="keep what was found for README's table")
    options = parser.parse_args(argv)
    import torch

    torch.set_num_threads(1)
    result = report(measure(options.split, options.each, options.out))
    show(result)
    path = options.out / f"{options.split}.json"
    keep(json.dumps(finite(result), indent=1) + "\n", path, "zoo.json" if options.record else None)
    print(f"{path} is written")
    detector = result["named worlds"]
    holds = detector["precision"] >= 0.95 and detector["recall where told"] >= 0.95 and detector["AUROC"] >= 0.98
    return 0 if holds and result["largest score of a tied SAE"] <= ABSORBED else 1


if __name__ == "__main__":
    raise SystemExit(main())
