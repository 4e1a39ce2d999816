"""The specification of sparse autoencoders (SAEs): float64 NumPy, formula beside code, every edge decided.

A language model uses more concepts than its activations have dimensions, so a single number among them rarely means
one thing. A sparse autoencoder takes the activations apart: it writes each vector as a sum of a few directions from a
large, learned dictionary, so that a direction can be read as one concept.

    acts  = activation((x - b_dec) @ W_enc.T + b_enc)     which concepts are in x, and how strongly: few are not 0
    recon = acts @ W_dec + b_dec                          x again, as a sum of their directions

It is trained without labels, to reconstruct x with few or small activations. That reward has a side effect: a latent
for a common concept may stay silent where a rarer one fires, because the rarer one's direction has come to contain
the common one ("feature absorption"). To train two SAEs in two seconds and see it happen in one of them:

    python -m sae_spec.reference.first_sae                (the code is first_sae.py)

Read the files in this order; each is short and needs only the ones before it.

An SAE, what it costs, and one step of training:

    sae/activations.py              relu, jumprelu, step: one pre-activation at a time
    sae/frequency.py                how often a latent fires, and what that makes it cost
    sae/selection.py                topk, batch_topk, abs_topk, budget_topk, batch_budget_topk: a choice among latents
    sae/inference.py                what the batch rules do when there is no batch
    sae/linear.py                   the encoder's product, decode, and what both refuse
    sae/gated.py                    the gated activation
    sae/constraints.py              decoder rows of norm 1, data of mean squared norm D
    sae/autoencoder.py              all of it put together, forward and backward; tied, untied, Matryoshka
    sae/costs.py                    reconstruction, L1, tanh, L0, tie penalty
    sae/auxiliary.py                AuxK and the gated auxiliary loss
    sae/objective.py                the sum of the costs and its gradient
    sae/initialization.py           the parameters before the first step
    sae/adam.py                     how far a gradient moves a parameter
    sae/training.py                 one whole step

Worlds whose true features are known:

    worlds/toy_models.py            what a world is, and how samples are drawn from it
    worlds/toy_worlds.py            the worlds
    worlds/theory.py                closed forms that trained SAEs must reproduce

What an SAE hides, and how to find it:

    absorption/patterns.py          what the weights show
    absorption/stream.py            who fires with whom
    absorption/evidence.py          what both together say of a pair of latents
    absorption/detector.py          which latent is absorbed into which, without the truth
    absorption/read_out.py          activations with what was absorbed put back
    absorption/ground_truth.py      the same questions with the truth at hand
    absorption/saebench.py          with a probe: SAEBench's metric, its edges decided
    absorption/meta_sae.py          an SAE of decoder rows

Notation, everywhere in this project:

    B batch (any number of leading dimensions)   D input dimension   M latents   G Matryoshka prefixes   F features
    x (B, D)   pre, acts (B, M)   recons (G, B, D)
    W_enc, W_dec (M, D)   b_enc, theta, log_threshold, price (M,)   b_dec (D,)

Both weight matrices are latent-major: row i of each is latent i's direction. A latent is what the SAE has; a
feature is a true direction of a toy world. `d_name` is the gradient of the loss by `name`, of the same shape.

A latent fires, or is on, where its activation is not 0; elsewhere it is silent. It is dead if it has been silent for
long. "The thread" is the public discussion of "Toy Models of Feature Absorption in SAEs", from which the hierarchy,
the frequency-aware cost and the question of tying come.

A sentence that starts with an id such as [ACT-7] is a clause: it decides something, and `spec_tests` checks it.
The id is an area and a number that is never reused.

What changed from one version to the next, clause by clause, is in CHANGES.md.

Configuration mistakes raise a ValueError that names the argument. Logarithms are natural unless a base is written.
"""

SPEC_VERSION = "0.4"
