"""Where jumprelu's coefficient does not reach, would another window, or a cost of the distance to a target L0, reach further?

    python -m sae_spec.spec_tests.claims.training.windows [--ground tree] [--share 0 1 1.5] [--out build/windows]

A window of max(bandwidth, share · theta) grows with its threshold, so that samples far from a large threshold move it too. The target
cost is c · (L0 / target - 1)^2, felt by thresholds through the same window, with c of D, 10 D and 100 D. All else is `knob`'s.
CHANGES.md, TRAIN-22, has what came of it: neither became a clause.
"""

import argparse
import json
from contextlib import contextmanager
from pathlib import Path

import torch

from sae_spec.spec_tests.claims import fleet
from sae_spec.spec_tests.claims.training import grounds, knob
from sae_spec.torch_impl.training.atomic import replace_text

PRICES = (1, 10, 100)            # of the target cost, times D


class Through(torch.autograd.Function):
    """height(pre) where pre > theta, and d_theta by a window that may grow with theta; pre (S, B, M), theta (S, 1, M)."""

    @staticmethod
    def forward(ctx, pre, theta, bandwidth, share, is_step):
        ctx.save_for_backward(pre, theta)
        ctx.bandwidth, ctx.share, ctx.is_step = bandwidth, share, is_step
        return torch.where(pre > theta, 1.0 if is_step else pre, 0.0)

    @staticmethod
    def backward(ctx, d_out):
        pre, theta = ctx.saved_tensors
        width = (ctx.share * theta).clamp_min(ctx.bandwidth)                      # (S, 1, M)
        near = (pre - theta).abs() < width / 2
        d_theta = torch.where(near, -(1.0 if ctx.is_step else theta) / width * d_out, 0.0).sum(1, keepdim=True)
        d_pre = None if ctx.is_step else torch.where(pre > theta, d_out, 0.0)
        return d_pre, d_theta, None, None, None


def costing(target):
    """fleet.loss with c · (L0 / target - 1)^2 in place of c · L0; target (S,)."""
    def loss(x, params, config, coefficients, cost, warmth):
        acts, total = plain(x, params, config, {name: c for name, c in coefficients.items() if name != "l0_coefficient"}, cost, warmth)
        pre = torch.baddbmm(params["b_enc"].unsqueeze(1), x - params["b_dec"].unsqueeze(1), params["W_enc"].transpose(1, 2))
        l0 = fleet.step(pre.detach(), params["theta"].unsqueeze(1), config["bandwidth"]).sum((1, 2)) / x.shape[1]      # (S,)
        return acts, total + coefficients["l0_coefficient"] * warmth * (l0 / target - 1).square()

    plain = fleet.loss
    return loss


@contextmanager
def other(share, target=None):
    """A fleet whose thresholds learn through such a window and, if there is a target, by its cost."""
    kept = fleet.jumprelu, fleet.step, fleet.loss
    fleet.jumprelu = lambda pre, theta, bandwidth, check_inputs: Through.apply(pre, theta, bandwidth, share, False)
    fleet.step = lambda pre, theta, bandwidth, check_inputs=False: Through.apply(pre, theta, bandwidth, share, True)
    fleet.loss = fleet.loss if target is None else costing(torch.tensor(target))
    try:
        yield
    finally:
        fleet.jumprelu, fleet.step, fleet.loss = kept


def tried(ground, options):
    """{"share 1.5": {"by coefficient": lines, "by target": lines}}, a line as `knob.sweep` has it."""
    D, wanted = ground.train.shape[1], knob.targets(ground, options.M)
    pairs = [(float(price * D), want) for price in PRICES for want in wanted.values()]
    found = {}
    for share in options.share:
        with other(share):
            lines = knob.sweep(ground, knob.GRID, options)
        with other(share, [want for _, want in pairs]):
            aimed = knob.sweep(ground, [price for price, _ in pairs], options)
        found[f"share {share:g}"] = {"falls": knob.falls(lines), "by coefficient": lines, "by target": [
            {"wanted": want, **line} for (_, want), line in zip(pairs, aimed)]}
    return found


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m sae_spec.spec_tests.claims.training.windows", description=__doc__,
                                     formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--ground", action="append", choices=["embeddings", *grounds.WORLDS], help="may be repeated")
    parser.add_argument("--share", type=float, nargs="+", default=[0.0, 1.0, 1.5], help="of its threshold that a window is wide")
    parser.add_argument("--out", type=Path, default=Path("build/windows"))
    own = parser.parse_args(argv)
    torch.set_num_threads(1)
    own.out.mkdir(parents=True, exist_ok=True)
    results = {}
    for name in own.ground or grounds.WORLDS:
        ground, options = grounds.named(name), knob.defaults()
        options.M, options.share = 2 * ground.features or 768, own.share
        results[name] = tried(ground, options)
        for share, found in results[name].items():
            print(f"{name}, {share}: {'falls' if found['falls'] else 'does not fall'}  "
                  + "  ".join(f"{line['coefficient']:.3g}: {line['l0']:.2f}" for line in found["by coefficient"]))
            for line in found["by target"]:
                print(f"    target {line['wanted']:.2f}, c {line['coefficient']:g}: "
                      f"{line['l0']:.2f}, unexplained {line['unexplained']:.3f}")
    replace_text(own.out / "windows.json", json.dumps(results, indent=1) + "\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
