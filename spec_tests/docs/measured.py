"""README's tables of what was measured, from files that the measuring commands keep: bench, zoo, claims."""

from textwrap import fill

from sae_spec.spec_tests.core.cases import read_json
from sae_spec.spec_tests.core.clauses import REFERENCE

BENCH = REFERENCE.parent / "torch_impl" / "program" / "bench" / "measured.json"
KEPT = REFERENCE.parent / "spec_tests" / "claims" / "measured"


def cell(text):
    return text.replace("|", "\\|")


def claims():
    """What `make claims` found, from the file that `--record` wrote."""
    found = read_json(KEPT / "claims.json")
    rows = [f"| {name} | {cell(claim['sentence'])} | {'**holds**' if claim['holds'] else 'does not hold'} | {cell(claim['rule'])} |"
            for name, claim in found["claims"].items()]
    return "\n".join([f"With {found['seeds']} seeds each:", "", "| claim | it says | found | held against |",
                      "|---|---|---|---|", *rows])


def zoo():
    """What `make zoo` found, from the file that `--record` wrote."""
    found = read_json(KEPT / "zoo.json")
    quality = lambda line: " | ".join("–" if line[name] is None else f"{line[name]:.3f}" for name in ("precision", "recall", "AUROC"))
    look_alikes = lambda line: f"{line['look-alikes taken for absorption']:.1%}" if len(line) > 8 else ""
    lines = {"detector": found["detector"], "unclear pairs counted as not absorbed": found["unclear as not"],
             "the nine kinds of world that the targets name": found["named worlds"],
             "four kinds that nothing was fixed on": found["unseen worlds"], "trained SAEs only": found["trained only"],
             **{f"of these, {how}": line for how, line in found["by architecture"].items() if how not in ("closed form", "tied")},
             **{f"weights alone: {name}": line for name, line in found["weights alone"].items()}}
    rows = [f"| {name} | {line['true positives'] + line['false negatives']} | {quality(line)} | {look_alikes(line)} |"
            for name, line in lines.items()]
    head = (f"{found['SAEs trained']} trained SAEs and {found['SAEs written down']} written down, {found['pairs']} pairs of latents, "
            f"one threshold ({found['threshold']}); largest score of a tied SAE: {found['largest score of a tied SAE']:g}.")
    return "\n".join([head, "", "| | absorbed pairs | precision | recall | AUROC | look-alikes taken for absorption |",
                      "|---|---|---|---|---|---|", *rows])


def bench():
    """What the kept sessions on a CPU found: one step of each subject, a column for each number of latents."""
    found = [each for each in read_json(BENCH) if each["settings"]["device"] == "cpu"]
    widths = [f"M = {each['settings']['M']}" for each in found]
    head = ["one step", *(f"time, {width}" for width in widths), *(f"memory, {width}" for width in widths)]
    columns = [each["subjects"] for each in found]
    rows = [[cell(label(name, columns[0][name])), *(times(each[name]) for each in columns),
             *(megabytes(each[name]) for each in columns)] for name in columns[0]]
    lines = ["| " + " | ".join(row) + " |" for row in (head, ["---", *["--:"] * (len(head) - 1)], *rows)]
    return "\n".join([*lines, "", conditions(found)])


def label(name, subject):
    """Of another library with the version that was measured; ours is this one."""
    return f"{name} {subject.get('version', '')}".strip()


def times(subject):
    return "failed" if "error" in subject else f"{subject['paired_ratio']:.2f}"


def megabytes(subject):
    return f"{subject['peak_bytes'] / 2**20:.0f} MB" if subject.get("peak_bytes") is not None else ""


def conditions(found):
    """The sentence under the table."""
    s, machine = found[0]["settings"], found[0]["machine"]
    products = (f"{1e3 * each['subjects']['product']['median']:.0f} ms" for each in found)
    text = (f"Time: in units of the encoder's product alone, which took {' and '.join(products)} there; median of the ratios within "
            f"{found[0]['rounds']} rounds in turn. Memory: peak above parameters, gradients and moments, without mapped files (the product: what it "
            "returns). bf16: with the encoder's product in bfloat16. encode: inference alone, to the latents that are on. "
            f"D = {s['D']}, k = {s['k']}, {s['B']} samples; {machine['device']}, "
            f"{machine['threads']} threads on {machine['cores']} cores, torch {machine['torch']}.")
    return fill(text, 120)
