"""The specification of sparse autoencoders (SAEs): float64 NumPy, formula beside code, every edge decided.

Read it in this order; each file is short and needs only the ones before it.

    activations.py      relu, jumprelu, step: one pre-activation at a time
    selection.py        topk, batch_topk, abs_topk, budget_topk, batch_budget_topk: which latents may speak
    inference.py        what the batch rules do when there is no batch
    gated.py            the gated activation
    constraints.py      decoder rows of norm 1
    autoencoder.py      encode, decode and the way back; tied, untied, Matryoshka
    frequency.py        how often a latent fires and what that makes it cost
    costs.py            reconstruction, L1, tanh, L0, tie penalty
    auxiliary.py        AuxK and the gated auxiliary loss
    objective.py        the sum of the costs and its gradient
    initialization.py   the parameters before the first step
    training.py         one whole step

and, on what an SAE hides:

    toy_models.py       worlds whose true features are known;  toy_worlds.py  the worlds
    theory.py           closed forms that trained SAEs must reproduce
    absorption.py       patterns in the weights, and who fires with whom
    detector.py         which latent is absorbed into which, without the truth; the corrected read-out
    ground_truth.py     the same with the truth at hand
    saebench.py         with a probe: SAEBench's metric, its edges decided
    meta_sae.py         an SAE of decoder rows

Notation, everywhere in this project:

    B batch (any number of leading dimensions)   D input dimension   M latents   G Matryoshka prefixes
    x (B, D)   pre, acts (B, M)   recons (G, B, D)
    W_enc, W_dec (M, D)   b_enc, theta, log_threshold, price (M,)   b_dec (D,)

Both weight matrices are latent-major: row i of each is latent i's direction. A latent is what the SAE has; a
feature is a true direction of a toy world. `d_name` is the gradient of the loss by `name`, of the same shape.

A sentence that starts with an id such as [ACT-7] is a clause: it decides something, and `spec_tests` checks it.
The id is an area and a number that is never reused.

Configuration mistakes raise a ValueError that names the argument. Logarithms are natural unless a base is written.
"""

SPEC_VERSION = "0.1"
