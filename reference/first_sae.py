"""A first SAE: train one on a world whose features are known, and look at what it learned.

    python -m sae_spec.reference.first_sae

The world has four features. One of them, the child, never comes without another, the parent, as "elephant" never
comes without "animal". Two SAEs are trained on it, with four latents and an L1 cost each.

In the untied one, the child's latent learns to write the parent as well, and the parent's latent is silent wherever
the child is: whoever reads it as "animal" misses every elephant. This is feature absorption. The cost rewards it,
because one activation is cheaper than two.

In the tied one, each latent reads along the same direction that it writes. To be silent beside the child, the
parent's latent would have to write "not the child" wherever it fires, so each of the two keeps to its own feature.

The functions that are called here are explained file by file, in the order that the package's docstring gives.
With another seed training may leave one of the four latents unused; then one feature has no latent to itself.
"""

import numpy as np

from .sae.autoencoder import encode
from .sae.initialization import initial_parameters
from .sae.training import initial_state, training_step
from .worlds.toy_models import draw
from .worlds.toy_worlds import hierarchy

CONFIG = {"activation": "relu", "l1_coefficient": 0.05, "steps": 1000, "learning_rate": 3e-3, "decay_steps": 300,
          "warmup_steps": 0, "sparsity_warmup_steps": 0, "max_grad_norm": None, "dead_after": 10_000,
          "priced": False, "frequency_decay": 0.99}


def train(world, rng, config):
    """The parameters of an SAE with a latent for each feature, after config["steps"] batches of 256 samples."""
    normals = rng.normal(size=world.directions.shape)       # (M, D), M = F
    state = initial_state(initial_parameters(normals, np.zeros(normals.shape[-1]), config))
    for _ in range(config["steps"]):
        x, _ = draw(world, rng, samples=256)                # (B, D)
        state, _ = training_step(state, x, config)
    return state.params


def main():
    """Train an untied SAE and a tied one; print what the latents nearest to parent and child write and fire on."""
    for tied in (False, True):
        rng, config = np.random.default_rng(0), CONFIG | {"tied": tied}
        world = hierarchy(rng, D=50)
        params, (parent, child) = train(world, rng, config), world.directions[:2]
        cos = params["W_dec"] @ np.stack([parent, child]).T # (M, 2)  decoder rows have norm 1
        _, _, acts = encode(np.stack([parent, parent + child]), params, config)   # (2, M)

        print("tied  " if tied else "untied", "           cosine with        activation on")
        print("                  parent  child      parent  parent + child")
        for feature, i in zip(("parent", "child"), cos.argmax(0)):
            numbers = np.round([*cos[i], *acts[:, i]], 2) + 0.0                   # + 0.0 turns -0.00 into 0.00
            print("{:>6}'s latent {:8.2f} {:6.2f} {:11.2f} {:15.2f}".format(feature, *numbers))


if __name__ == "__main__":
    try:
        main()
    except BrokenPipeError:                                 # a reader such as `head` has seen enough
        pass
