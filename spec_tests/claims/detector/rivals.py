"""What others' scores say of every pair [p, c], each with the sign that it has for its authors.

    cosine       cos(W_dec[p], W_dec[c])                              the comparison of decoder rows, as everywhere
    gap          cos(W_dec[p], W_dec[c]) - cos(W_enc[p], W_enc[c])    [ABS-17]
    lift         (1 - l) / (1 + l), l = P(p and c) / (P(p) P(c))      [ABS-22], negative lift: 1 where the two never fire together, 0 if
                                                                      independent; it orders pairs as "fires more rarely", 1 - l, does
    phi          -(n11 n - n1 n2) / sqrt(n1 (n - n1) n2 (n - n2))     [ABS-23], negative correlation of firing; arXiv 2604.03436
    shared       max_k min(meta_acts[p, k], meta_acts[c, k])          [META-3], a meta-SAE on the decoder rows; arXiv 2502.04878
    ratio        max(0, 1 - P(p | c) / P(p | not c))                  irtk-jax 0.1.0, feature_absorption_detection
    coverage     P(p | c)                                             Tree SAE, arXiv 2605.07922, eq. 4
    likeness     cos(W_dec[p], d_c), d_c a linear probe for c         Tree SAE, eq. 5; its reconstruction condition, `rebuilt`, is that
                                                                      p's and c's rows are both among the five most like d_c
    projection   mean of min(q_c, want - q_p) / (that + q_p)          SAEBench 0.6.0, arXiv 2503.09532, [ABS-2] to [ABS-5], over the
                                                                      samples with p's feature in which c fires

What is adapted. P(p) counts firings: by [ABS-19] in lift and phi, activations above 0 in irtk-jax's ratio and above 1e-3 in Tree SAE's
coverage, as their authors have it. The meta-SAE is that of the claim "meta-sae", small as these SAEs are: half as many meta-latents as
rows, 2 on for each. Tree SAE's probe is the optimum of its balanced logistic loss, not 50 epochs of Adam; its conditions are for a child
that comes with its parent, not for one that absorbs it. SAEBench asks of a feature, not of a pair: here its probe is the true direction of
the feature that p is most like, its samples are those in which that feature truly is, p alone is main, and c is the only other latent. No
other score knows the truth.
"""

import numpy as np

from sae_spec.reference.absorption import meta_sae, saebench
from sae_spec.reference.absorption.evidence import quotient
from sae_spec.reference.absorption.stream import lift, observe, phi
from sae_spec.reference.sae.autoencoder import encode
from sae_spec.reference.sae.constraints import normalize_rows
from sae_spec.spec_tests.claims import fleet
from sae_spec.spec_tests.claims.detector.fit import logistic

FIRES = 1e-3         # Tree SAE: smaller activations are none
AMONG = 5            # Tree SAE: how many rows may be most like the probe
PROBED = 4000        # samples that a probe is fitted on
META = {"activation": "topk", "k": 2}


def rarely(stream):
    """How much more rarely than by chance two latents fire together, from -1 to 1.  (M, M)"""
    times = lift(stream)
    return (1 - times) / (1 + times)


def ratio(acts):
    """irtk-jax: how much more rarely p fires with c than without it; a c that never fires is taken to silence all.  (M, M)"""
    on = (acts > 0).astype(float)
    both, n = on.T @ on, on.sum(0)
    beside = np.nan_to_num(quotient(both, n))
    without = np.nan_to_num(quotient(n[:, None] - both, len(acts) - n))
    return np.where(without > 1e-10, np.maximum(0.0, 1 - beside / np.where(without > 1e-10, without, 1.0)), 0.0)


def coverage(acts):
    """Tree SAE: in how many of c's samples p fires; 0 where c never does.  (M, M)"""
    on = (acts > FIRES).astype(float)
    return np.nan_to_num(quotient(on.T @ on, on.sum(0)))


def likeness(x, acts, W_dec):
    """Tree SAE: cosine of every latent's row with the probe for each c, [row, c]; 0 for a c that fires never or always.  (M, M)"""
    result = np.zeros((len(W_dec), len(W_dec)))
    on, scale = acts[:PROBED] > FIRES, x[:PROBED].std()
    for c, yes in enumerate(on.T):
        if 0 < yes.sum() < len(yes):
            weight = np.where(yes, 0.5 / yes.sum(), 0.5 / (~yes).sum())
            probe = logistic(x[:PROBED] / scale, yes.astype(float), weight)[:-1]
            result[:, c] = normalize_rows(W_dec) @ normalize_rows(probe[None])[0]
    return result


def rebuilt(like):
    """Tree SAE's condition: p's and c's rows are both among the five most like c's probe.  like [row, c]; (M, M) bool"""
    above = (like[:, None] < like[None]).sum(1)             # (M, M)  how many rows are more like c's probe
    among = above < AMONG
    return among & np.diag(among)


def projection(x, acts, W_dec, probes, there):
    """SAEBench's fraction for pairs.  probes (M, D) and there (B, M): the direction of p's feature, and where it is; returns (M, M)"""
    result, limits = np.zeros((len(W_dec), len(W_dec))), saebench.CODE
    for p, probe in enumerate(probes):
        x_p, acts_p = x[there[:, p]], acts[there[:, p]]
        q, cos = saebench.contributions(acts_p, W_dec, probe)
        want, main = saebench.wanted(x_p, probe)[:, None], q[:, [p]]             # (b, 1)
        other = np.where((cos >= limits.partial_cos) & (q > 0), q, 0.0)          # (b, M)
        counts = (want > 0) & (main < want) & (other >= limits.partial_share * want) & (other > 0)
        taken = np.minimum(other, want - main)
        share = np.where(counts, np.where(main <= 0, 1.0, taken / np.where(counts, taken + main, 1.0)), 0.0)
        on = acts_p > 0
        result[p] = np.nan_to_num(quotient((share * on).sum(0), on.sum(0).astype(float)))
    return result


def shared(rows, seed, steps=1000):
    """How strongly latents share meta-latents, of S SAEs of one shape.  rows (S, M, D), of norm 1; returns (S, M, M)"""
    M = rows.shape[1]
    training = {"steps": steps, "batch_size": max(32, M), "learning_rate": 3e-3, "decay_steps": steps // 2}
    metas = fleet.train_on(rows, max(2, M // 2), META, training, seed=seed)
    return np.stack([meta_sae.shared_meta_latents(np.maximum(encode(one, meta, META)[2], 0)) for one, meta in zip(rows, metas)])


def scores(x, acts, W_dec, b_dec, probes, there):
    """{name: (M, M)} of all that are not in the detector's table and need no meta-SAE."""
    stream, like = observe(x, acts, W_dec, b_dec), likeness(x, acts, W_dec)
    return {"lift": rarely(stream), "phi": -phi(stream), "ratio": ratio(acts), "coverage": coverage(acts), "likeness": like,
            "rebuilt": rebuilt(like), "projection": projection(x, acts, W_dec, probes, there)}
