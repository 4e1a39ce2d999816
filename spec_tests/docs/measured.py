"""What was measured, as tables, from files that the measuring commands keep: bench, scan, zoo, claims, beside, words, shoot_out …"""

from statistics import median
from textwrap import fill

from sae_spec.spec_tests.core.cases import read_json
from sae_spec.spec_tests.core.clauses import REFERENCE
from sae_spec.spec_tests.docs.markdown import cell, table

BENCH = REFERENCE.parent / "torch_impl" / "program" / "bench" / "measured.json"
SCAN = BENCH.with_name("measured_scan.json")
MEASURED = REFERENCE.parent / "spec_tests" / "claims" / "measured"
NUMBERS = ("independent", "partial", "imperfect", "price-gain")              # claims that stand in MEASURED.md only
VERDICTS = {True: "**holds**", False: "does not hold"}


def claims():
    """What `make claims` found, in short: but for the claims that are formulas and numbers."""
    measured = read_json(MEASURED / "claims.json")["claims"].items()
    return table(["claim", "found"], [[cell(claim["sentence"]), VERDICTS[claim["holds"]]]
                                      for name, claim in measured if name not in NUMBERS])


def claims_in_full():
    """The same, with what each claim was held against."""
    measured = read_json(MEASURED / "claims.json")
    rows = [[name, cell(claim["sentence"]), VERDICTS[claim["holds"]], cell(claim["rule"])]
            for name, claim in measured["claims"].items()]
    return f"With {measured['seeds']} seeds each:\n\n" + table(["claim", "it says", "found", "held against"], rows)


def zoo():
    """What `make zoo` found: how well the detector tells absorbed pairs."""
    measured = read_json(MEASURED / "zoo.json")
    trained = {how: line for how, line in measured["by architecture"].items() if how not in ("closed form", "tied")}
    lines = {"detector": measured["detector"], "unclear pairs counted as not absorbed": measured["unclear as not"],
             "the nine kinds of world that the targets name": measured["named worlds"],
             "four kinds that nothing was fixed on": measured["unseen worlds"], "trained SAEs only": measured["trained only"],
             **{f"of these, {how}": line for how, line in trained.items()},
             **{f"weights alone: {name}": line for name, line in measured["weights alone"].items()}}
    head = (f"{measured['SAEs trained']} trained SAEs and {measured['SAEs written down']} written down, {measured['pairs']} pairs "
            f"of latents, one threshold ({measured['threshold']}); largest score of a tied SAE: "
            f"{measured['largest score of a tied SAE']:g}.")
    columns = ["", "absorbed pairs", "precision", "recall", "recall where told", "AUROC", "look-alikes taken for absorption"]
    return f"{head}\n\n" + table(columns, [[name, *zoo_cells(line)] for name, line in lines.items()])


def zoo_cells(line):
    """The numbers of one row of the zoo."""
    qualities = ("–" if line[name] is None else f"{line[name]:.3f}" for name in ("precision", "recall", "recall where told", "AUROC"))
    look_alikes = f"{line['look-alikes taken for absorption']:.1%}" if "look-alikes taken for absorption" in line else ""
    return [str(line["true positives"] + line["false negatives"]), *qualities, look_alikes]


def questions():
    """What a sum of bounded questions is worth on kinds of world left out, beside other scores and without each question."""
    measured = read_json(MEASURED / "detector.json")
    names = ("AUROC", "precision", "recall", "best F1", "unclear as not, best F1")
    cells = lambda line: ["–" if line[name] is None else f"{line[name]:.3f}" for name in names]
    lines = measured["scores"] | {f"the sum without “{name}”": line for name, line in measured["without"].items()}
    lines |= {f"the sum, and “{name}”": line for name, line in measured["with"].items()}
    kinds = {f"of these, {name}": line for name, line in measured["by kind"].items()}
    everything, verdicts = measured["scores"]["sum of questions"], measured["verdicts"]
    head = (f"{measured['kinds']} kinds of world, {everything['absorbed']} absorbed pairs, {everything['not']} that are not, "
            f"{everything['unclear']} unclear; {measured['judged pairs']} judged, with an expected calibration error of "
            f"{measured['calibration error of judged pairs']:.3f}. Of the pairs whose truth is clear and that are called absorbed "
            f"{verdicts['absorbed that are']:.3f} are; of the absorbed ones of which it can be told "
            f"{verdicts['absorbed that are told so']:.3f} are told so; of {verdicts['absorbed of which it cannot be told']:.3f} of "
            f"them, and {verdicts['clear pairs of which it cannot be told']:.3f} of all, it cannot be told.")
    rows = [[name, str(line["absorbed"]), *cells(line)] for name, line in (lines | kinds).items()]
    return f"{head}\n\n" + table(["", "absorbed pairs", *names], rows)


RIVALS = MEASURED / "shoot_out.json"


def rivals():
    """The detector beside other scores on the same pairs, in short: single scores only, and what tells the truth last."""
    measured = read_json(RIVALS)
    names = ("AUROC", "best F1", "precision", "recall", "calibration error")
    lines = {name: line for name, line in measured["scores"].items() if not name.endswith("added up")}
    del lines["correlation of firing"]                      # nearly what lift says
    rows = [[rival(name, line), *decimals(line, names)] for name, line in lines.items()]
    return table(["score", *names], rows, right=names)


def shoot_out():
    """All that was measured of them."""
    measured = read_json(RIVALS)
    names = [name for name in measured["scores"]["this detector"] if name != "reversed"]
    head = (f"{measured['kinds']} kinds of world, {measured['absorbed']} absorbed pairs and {measured['not']} that are not; "
            f"{measured['judged']} of them judged, {measured['judged and absorbed']} of these absorbed.")
    rows = [[rival(name, line), *decimals(line, names)] for name, line in measured["scores"].items()]
    return f"{head}\n\n" + table(["score", *names], rows, right=names)


def rival(name, line):
    return f"**{name}**" if name == "this detector" else name + (" (reversed)" if line["reversed"] else "")


def decimals(line, names):
    return ["–" if line[name] is None else f"{line[name]:.3f}" for name in names]


def beside(path=MEASURED / "beside.json"):
    """What SAEs of this library and of SAELens explain after the same steps on the same batches."""
    measured = read_json(path)
    lines = [(ground, activation, found) for ground, by_activation in measured["grounds"].items()
             for activation, found in by_activation.items()]
    libraries = [name for name in lines[0][2] if name != "explains more"]
    rows = [[ground, activation, *(shares(found[library]) for library in libraries), found["explains more"] or "neither"]
            for ground, activation, found in lines]
    sizes = "M {M}, k {k}, {steps} steps of {B}, {seeds} seeds".format(**measured)
    heads = [name if name in ("ours", "SAELens") else f"ours, `{cell(name)}`" for name in libraries]
    return table(["data", "activation", *heads, "explains more"], rows) + f"\n\n{sizes}."


def shares(found):
    """A library's shares unexplained, in short."""
    reached = [share for share in found["unexplained"] if share is not None]
    if not reached:
        return "no such L0"
    return f"{median(reached):.4f} ({min(reached):.4f} to {max(reached):.4f}) at {found['rate']:g}"


def clipping(path=MEASURED / "clipping.json"):
    """The loss with gradients clipped over that without, by activation and data."""
    measured = read_json(path)
    kinds = next(iter(measured.values()))["ratios"]
    heads = ["{0}, {steps} steps".format(ground, **of) for ground, of in measured.items()]
    rows = [[kind, *(ratio_of(of["ratios"][kind]) for of in measured.values())] for kind in kinds]
    return table(["activation", *heads], rows, right=heads)


def knob(path=MEASURED / "knob.json"):
    """How far jumprelu's l0_coefficient reaches: the L0 nearest to each target."""
    measured = dict(sorted(read_json(path).items()))
    names = list(dict.fromkeys(name for of in measured.values() for name in of["targets"]))
    heads = ["true L0", "L0 at 0", *names]
    rows = [[ground, "yes" if of["falls"] else "**no**", f"{of['true l0']:.2f}", f"{of['free']:.1f}",
             *(aimed(of["targets"].get(name)) for name in names)] for ground, of in measured.items()]
    return table(["data", "falls", *heads], rows, right=heads)


def aimed(target):
    """The L0 that was reached, and the target where it was missed by more than 5 %."""
    if target is None:
        return "–"
    missed = abs(target["l0"] / target["wanted"] - 1) > 0.05
    return f"{target['l0']:.2f}" + (f" of {target['wanted']:.2f}" if missed else "")


def ratio_of(found):
    """A median, and the range where there are several."""
    return f"{median(found):.3f}" + (f" ({min(found):.3f} to {max(found):.3f})" if len(found) > 1 else "")


def words(path=MEASURED / "words.json"):
    """What absorption is of words: how much is found in each SAE, and the strongest pair of each of the families that lose most."""
    measured = read_json(path)
    saes, columns = measured["SAEs"], ("judged latents", "absorbed", "likely")
    counts = [[name, f"{sae['unexplained']:.3f}", f"{sae['l0']:.1f}", *(str(sae[which]) for which in columns)]
              for name, sae in saes.items()]
    families = sorted(((family["lost"], name, family["pairs"][0]) for name, sae in saes.items() for family in sae["families"]),
                      key=lambda line: -line[0])[:10]
    lines = [[name, *(cell(", ".join(pair[which][:4]) or "–") for which in ("parent", "child", "both")), f"{pair['probability']:.2f}",
              f"{pair['amount']:.2f}", str(pair["samples"])] for _, name, pair in families]
    head = (f"M {measured['M']}, {measured['steps']} steps, {measured['rows']} rows. Absorbed: pairs that the detector calls so; likely: "
            f"those of a probability above {measured['threshold']}, of which the families are.")
    found = table(["SAE", "parent alone", "child, the parent silent", "both", "probability", "amount", "samples"], lines)
    return (f"{head}\n\n{table(['SAE', 'unexplained', 'latents on', *columns], counts)}\n\n"
            f"The strongest pair of each of the ten families that lose most:\n\n{found}")


def sessions_on_a_cpu():
    return [session for session in read_json(BENCH) if session["settings"]["device"] == "cpu"]


def speed():
    """One step at the largest number of latents that was measured, in a sentence: ours in float32, and other libraries."""
    session = sessions_on_a_cpu()[-1]
    subjects, s = session["subjects"], session["settings"]
    names = [name for name in subjects if name in ("topk", "batch_topk") or subjects[name].get("version")]
    told = ", ".join(f"{label(name, subjects[name])} {times(subjects[name])} ({megabytes(subjects[name])})" for name in names)
    return fill(f"{told}; the product {megabytes(subjects['product'])}. M = {s['M']}, D = {s['D']}, k = {s['k']}, {s['B']} samples, "
                f"{session['machine']['threads']} threads of a CPU.", 130)


def bench():
    """What the kept sessions on a CPU found: one step of each subject, a column for each number of latents."""
    sessions = sessions_on_a_cpu()
    widths = [f"M = {session['settings']['M']}" for session in sessions]
    head = ["one step", *(f"time, {width}" for width in widths), *(f"memory, {width}" for width in widths)]
    columns = [session["subjects"] for session in sessions]
    rows = [[cell(label(name, columns[0][name])), *(times(subjects[name]) for subjects in columns),
             *(megabytes(subjects[name]) for subjects in columns)] for name in columns[0]]
    return table(head, rows, right=head[1:]) + f"\n\n{conditions(sessions)}"


def scan():
    """What finding absorption at scale costs, beside bare products."""
    measured = read_json(SCAN)
    s, machine, (before, after) = measured["settings"], measured["machine"], measured["load"]
    rows = [[SCAN_ROWS[name].format(**s), *(spread(found[column]) for column in ("ratio", "cpu_ratio")),
             f"{found['seconds'][0]:.1f} s", f"{found['cpu'][0]:.1f} s", megabytes(found)] for name, found in measured["subjects"].items()]
    text = (f"Ratios: to the product above, within a round; median (least to most) of {s['rounds']} rounds. Memory: peak above weights, "
            f"samples and what else was there. D = {s['D']}, {s['top']} candidates per latent, k = {s['k']}; {machine['device']}, "
            f"{s['threads']} of {machine['cores']} cores' threads, load {before} before and {after} after, torch {machine['torch']}. "
            "On a machine that is busy the processor's time says more than the clock's.")
    heads = ["time, ratio", "processor, ratio", "time", "processor", "memory"]
    return table(["", *heads], rows, right=heads) + f"\n\n{fill(text, 120)}"


SCAN_ROWS = {
    "product of decoder rows": "product of {M} decoder rows with each other, {block} x {block} at once",
    "candidates": "their candidate pairs", "evidence": "evidence and probability of all of these pairs",
    "encoder's product": "encoder's product of {samples} samples, M = {stream_M}",
    "find_absorption": "`find_absorption` on these, to the report"}


def spread(numbers):
    """A median and its range."""
    return "{:.2f} ({:.2f} to {:.2f})".format(*numbers)


def label(name, subject):
    """Of another library with the version that was measured; ours is this one."""
    return f"{name} {subject.get('version', '')}".strip()


def times(subject):
    return "failed" if "error" in subject else f"{subject['paired_ratio']:.2f}"


def megabytes(subject):
    return f"{subject['peak_bytes'] / 2**20:.0f} MB" if subject.get("peak_bytes") is not None else ""


def conditions(sessions):
    """The sentence under the table."""
    s, machine = sessions[0]["settings"], sessions[0]["machine"]
    products = (f"{1e3 * session['subjects']['product']['median']:.0f} ms" for session in sessions)
    text = (f"Time: in units of the encoder's product alone, which took {' and '.join(products)} there; median of the ratios "
            f"within {sessions[0]['rounds']} rounds in turn. Memory: peak above parameters, gradients and moments, without mapped "
            "files (the product: what it returns). bf16: with the encoder's product in bfloat16. encode: inference alone, to the "
            "latents that are on. "
            f"D = {s['D']}, k = {s['k']}, {s['B']} samples; {machine['device']}, "
            f"{machine['threads']} threads on {machine['cores']} cores, torch {machine['torch']}.")
    return fill(text, 120)
