"""SAE: encode, decode and the way back."""

import numpy as np

from sae_spec.spec_tests.operations.activations import K
from sae_spec.spec_tests.operations.autograd import gradients, leaves
from sae_spec.spec_tests.operations.mistakes import altered, missing, no_count_of_latents, not_finite, number, values
from sae_spec.spec_tests.operations.record import Area

SAE = Area("SAE", "Autoencoders")

CONFIG = {
    "activation": "relu | topk | batch_topk | abs_topk | jumprelu | gated | budget_topk | batch_budget_topk",
    "[k]": K["k"],
    "[bandwidth]": "width of the window about a threshold, above 0",
    "[subtract_b_dec]": "false: the encoder leaves b_dec out (true)",
    "[prefixes]": "Matryoshka: whole numbers that increase up to M ([M])",
}
PARAMS = {"W_dec": "(M, D)", "b_enc": "(M,)", "b_dec": "(D,)", "[W_enc]": "(M, D)  untied only",
          "[theta]": "(M,)  jumprelu: thresholds, at least 0", "[log_threshold]": "(M,)  jumprelu, in theta's place: their logarithms",
          "[r_mag]": "(M,)  gated", "[b_mag]": "(M,)  gated"}
PRICE = {"[price]": "(M,)  the budget rules: at least 1"}
GRADS = {"d_" + name if name[0] != "[" else f"[d_{name[1:]}": text for name, text in PARAMS.items()}
# What every operation that is given parameters refuses: wrong shapes, and numbers that are not finite.
WRONG_PARAMS = {name: [not_finite(), altered("of the wrong shape", lambda array: array[..., np.newaxis])]
                for name in ("W_dec", "b_enc", "b_dec", "W_enc", "theta", "log_threshold", "r_mag", "b_mag")}
WRONG_PARAMS["theta"].append(number("negative", -0.5))
WRONG_X = {"x": [not_finite(), altered("of the wrong shape", lambda x: np.concatenate([x, x], -1))]}
WRONG_PREFIXES = {"prefixes": values("not whole numbers that increase from at least 1 to M",
                                     [], [0], [1, 1], [1.5], [10**6])}


@SAE.operation("samples to pre-activations and activations",
               CONFIG, {"x": "(B, D)"} | PARAMS | PRICE | {
                   "[inference_threshold]": "state ()  the running estimate: batch rules then choose sample by sample"},
               {"pre": "(B, M)", "acts": "(B, M)"}, WRONG_X | WRONG_PARAMS | {"k": no_count_of_latents(), "price": missing()},
               parts=["activation"])
def encode(on, config, x, price=None, inference_threshold=None, **params):
    _, pre, acts = on.autoencoder.encode(x, params, config, price, inference_threshold)
    return {"pre": pre, "acts": acts}


@encode.on("torch_impl")
def encode_either_way(on, config, x, price=None, inference_threshold=None, **params):
    outputs = dense_forward(on, config, x, params, price, inference_threshold)
    return {"pre": outputs["pre"], "acts": outputs["acts"]}


@SAE.operation("activations to reconstructions, one for each prefix of the latents",
               {"[prefixes]": CONFIG["[prefixes]"]}, {"acts": "(B, M)", "W_dec": "(M, D)", "b_dec": "(D,)"},
               {"recons": "(G, B, D)"}, WRONG_PREFIXES)
def decode(on, config, acts, **params):
    return {"recons": on.linear.decode(acts, params, config.get("prefixes"))}


@decode.on("torch_impl")
def decode_either_way(on, config, acts, **params):
    rows = acts.reshape(-1, acts.shape[-1])
    recons = on.linear.decode(rows if is_dense(on) else listed(on, rows), params, config.get("prefixes"))
    return {"recons": recons.reshape(len(recons), *acts.shape[:-1], recons.shape[-1]).to(acts.dtype)}


@SAE.operation("the gradient of encode and decode together, from the cotangents given; one that is absent is zero",
               CONFIG, {"x": "(B, D)"} | PARAMS | PRICE | {
                   "[d_pre]": "(B, M)", "[d_acts]": "(B, M)", "[d_recons]": "(G, B, D)"},
               {"d_x": "(B, D)"} | GRADS, WRONG_PREFIXES, parts=["encode", "decode", "activation_backward"])
def backward(on, config, x, price=None, d_pre=None, d_acts=None, d_recons=None, **params):
    batch = on.autoencoder.forward(x, params, config, price)
    wanted = (np.zeros_like(output) if cotangent is None else cotangent
              for output, cotangent in ((batch.pre, d_pre), (batch.acts, d_acts), (batch.recons, d_recons)))
    grads = on.autoencoder.backward(*wanted, batch, params, config)
    return {f"d_{name}": grad for name, grad in grads.items()}


@backward.on("torch_impl")
def backward_by_autograd(on, config, price=None, d_pre=None, d_acts=None, d_recons=None, **inputs):
    learned = leaves(inputs, inputs)
    params = {name: tensor for name, tensor in learned.items() if name != "x"}
    outputs = dense_forward(on, config, learned["x"], params, price)
    cotangents = {"pre": d_pre, "acts": d_acts, "recons": d_recons}
    given = [name for name in outputs if cotangents[name] is not None]
    return gradients(on, [outputs[name] for name in given], [cotangents[name] for name in given], learned)


# ---------------------------------------------------------------- production's two ways

def forward(on, config, x, params, price=None, inference_threshold=None):
    """Batch: dense, or with SAE_SPEC_KERNELS=torch or interpreter pre and acts as Entries."""
    encoded = (on.autoencoder if is_dense(on) else on.sparse_autoencoder).encode(x, params, config, price, inference_threshold)
    return on.autoencoder.Batch(x, *encoded, on.linear.decode(encoded[-1], params, config.get("prefixes")))


def is_dense(on):
    """Whether all of a matrix is computed, as it is unless the environment forces another path."""
    return on.package.kernels.forced() in ("", "dense")


def listed(on, rows):
    """The Entries of a tensor (B, M)."""
    sparse, (sample, latent) = on.package.sparse.entries, rows.nonzero(as_tuple=True)
    offsets = sparse.counted_offsets(on.arrays.bincount(sample, minlength=len(rows)))
    return sparse.Entries(rows[sample, latent], sparse.Places(latent, offsets, rows.shape[1]))


def dense_forward(on, config, x, params, price=None, inference_threshold=None):
    """{"pre", "acts", "recons"} as tensors, whichever way they were computed."""
    _, _, pre, acts, recons = forward(on, config, x, params, price, inference_threshold)
    if not on.arrays.is_tensor(acts):
        everywhere = {"activation": "abs_topk", "k": len(params["W_dec"])}      # chooses every place
        pre = forward(on, config | everywhere, x, params, price, inference_threshold).pre
        pre, acts = (entries.dense().view(*x.shape[:-1], entries.places.M) for entries in (pre, acts))
        recons = recons.view(len(recons), *x.shape)
    return {"pre": pre, "acts": acts, "recons": recons}
