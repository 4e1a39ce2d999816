"""COST: every cost by itself, and their sum."""

from sae_spec.spec_tests.operations.autoencoder import CONFIG, GRADS, PARAMS, WRONG_PARAMS, WRONG_X, forward
from sae_spec.spec_tests.operations.autograd import gradient_of, gradients, leaves
from sae_spec.spec_tests.operations.mistakes import no_samples, values, without_thresholds
from sae_spec.spec_tests.operations.record import Area, signature

COST = Area("COST", "Costs")

ERRORS = {"x": "(B, D)", "recons": "(G, B, D)"}
CHARGED = {"acts": "(B, M)", "W_dec": "(M, D)", "price": "(M,)"}
COUNTED = {"pre": "(B, M)", "theta": "(M,)  thresholds", "price": "(M,)"}
WEIGHTS = {"[W_enc]": "(M, D)  untied only", "W_dec": "(M, D)"}
OF_THE_DEAD = {"residual": "(B, D)  x - recon", "pre": "(B, M)", "dead": "(M,)  1 for dead latents, else 0", "W_dec": "(M, D)"}
OF_THE_GATE = {"x": "(B, D)", "pre": "(B, M)", "W_dec": "(M, D)", "b_dec": "(D,)"}
TIED = {"[tied]": "true: W_dec encodes too, and there is no W_enc (false)"}
TANH_SCALE = {"tanh_scale": "what tanh is taken of is multiplied by it, above 0"}
K_AUX = {"k_aux": "how many dead latents may speak in a sample, a whole number of at least 1"}
WINDOW = {"bandwidth": "width of the window about a threshold, above 0"}
EMPTY = {"batch": no_samples()}
NUMBER, D_COST = {"cost": "()"}, {"d_cost": "()  gradient of the loss by this cost"}
WRONG_SCALE = {"tanh_scale": values("0 or negative", 0, -1)}
WRONG_K_AUX = {"k_aux": values("not a whole number of at least 1", 0, 0.5, 1.5)}


@COST.operation("one cost of a batch", turns_on="cost", variants={
    "reconstruction": signature({}, ERRORS, NUMBER, EMPTY),
    "l1": signature({}, CHARGED, NUMBER, EMPTY),
    "tanh": signature(TANH_SCALE, CHARGED, NUMBER, EMPTY | WRONG_SCALE),
    "l0": signature({"[bandwidth]": WINDOW["bandwidth"]}, COUNTED, NUMBER, EMPTY),
    "tie": signature(TIED, WEIGHTS, NUMBER),
    "aux": signature(K_AUX, OF_THE_DEAD, NUMBER, EMPTY | WRONG_K_AUX),
    "gate_reconstruction": signature({}, OF_THE_GATE, NUMBER, EMPTY),
})
def cost(on, config, **i):
    return {"cost": COSTS[config["cost"]](on, config, **i)}


COSTS = {
    "reconstruction": lambda on, c, x, recons: on.costs.reconstruction(x, recons),
    "l1": lambda on, c, acts, W_dec, price: on.costs.l1(acts, W_dec, price),
    "tanh": lambda on, c, acts, W_dec, price: on.costs.tanh(acts, W_dec, price, c["tanh_scale"]),
    "l0": lambda on, c, pre, theta, price: on.costs.l0(pre, theta, price),
    "tie": lambda on, c, W_dec, W_enc=None: on.costs.tie(W_enc, W_dec),
    "aux": lambda on, c, residual, pre, dead, W_dec: on.auxiliary.aux(residual, pre, dead != 0, W_dec, c["k_aux"]),
    "gate_reconstruction": lambda on, c, x, pre, W_dec, b_dec: on.auxiliary.gate_reconstruction(x, pre, W_dec, b_dec),
}


@cost.on("torch_impl")
def cost_with_window(on, config, **i):
    """The same, but l0 is told the window of its gradient when it is computed."""
    if config["cost"] == "l0":
        return {"cost": on.costs.l0(i["pre"], i["theta"], i["price"], config.get("bandwidth"))}
    return cost.function(on, config, **i)


@COST.operation("the gradient of a cost", turns_on="cost", variants={
    "reconstruction": signature({}, ERRORS | D_COST, {"d_recons": "(G, B, D)"}, EMPTY),
    "l1": signature({}, CHARGED | D_COST, {"d_acts": "(B, M)", "d_W_dec": "(M, D)"}, EMPTY),
    "tanh": signature(TANH_SCALE, CHARGED | D_COST, {"d_acts": "(B, M)", "d_W_dec": "(M, D)"}, EMPTY),
    "l0": signature(WINDOW, COUNTED | D_COST, {"d_theta": "(M,)"}, EMPTY | {"bandwidth": values("0 or negative", 0, -1)}),
    "tie": signature(TIED, WEIGHTS | D_COST, {"[d_W_enc]": "(M, D)  untied only", "d_W_dec": "(M, D)"}),
    "aux": signature(K_AUX, OF_THE_DEAD | D_COST, {"d_pre": "(B, M)", "d_W_dec": "(M, D)"}, EMPTY | WRONG_K_AUX),
    "gate_reconstruction": signature({}, OF_THE_GATE | D_COST, {"d_pre": "(B, M)"}, EMPTY),
})
def cost_backward(on, config, d_cost, **i):
    name = config["cost"]
    if name == "reconstruction":
        return {"d_recons": on.costs.reconstruction_backward(d_cost, i["x"], i["recons"])}
    if name == "l0":
        return {"d_theta": on.costs.l0_backward(d_cost, i["pre"], i["theta"], i["price"], config["bandwidth"])}
    if name == "tie":
        d_W_enc, d_W_dec = on.costs.tie_backward(d_cost, i.get("W_enc"), i["W_dec"])
        return {"d_W_dec": d_W_dec} if config.get("tied") else {"d_W_enc": d_W_enc, "d_W_dec": d_W_dec}
    if name == "aux":
        arguments = i["residual"], i["pre"], i["dead"] != 0, i["W_dec"], config["k_aux"]
        return dict(zip(("d_pre", "d_W_dec"), on.auxiliary.aux_backward(d_cost, *arguments)))
    if name == "gate_reconstruction":
        return {"d_pre": on.auxiliary.gate_reconstruction_backward(d_cost, i["x"], i["pre"], i["W_dec"], i["b_dec"])}
    scale = [config["tanh_scale"]] if name == "tanh" else []
    d_acts, d_W_dec = getattr(on.costs, f"{name}_backward")(d_cost, i["acts"], i["W_dec"], i["price"], *scale)
    return {"d_acts": d_acts, "d_W_dec": d_W_dec}


@cost_backward.on("torch_impl")
def cost_by_autograd(on, config, d_cost, **inputs):
    outputs = cost_backward.values()[config["cost"]].outputs
    by = [name.removeprefix("d_") for name in outputs]
    return gradient_of(cost, "cost", on, config, by, d_cost, inputs)


FACTORS = {f"[{term}_coefficient]": f"the factor of {term}, finite and at least 0 (0)"
           for term in ("l1", "l0", "tanh", "tie", "aux")}
OF_TERMS = FACTORS | {"[tanh_scale]": TANH_SCALE["tanh_scale"], "[k_aux]": K_AUX["k_aux"]}
TERMS = {"reconstruction": "()", "[l1]": "()", "[l0]": "()", "[tanh]": "()", "[tie]": "()", "[aux]": "()",
         "[gate_reconstruction]": "()  gated", "total": "()"}
WRONG_FACTORS = {f"{term}_coefficient": values("negative or not finite", -0.5, float("inf"))
                 for term in ("l1", "l0", "tanh", "tie", "aux")}
WRONG_FACTORS["l0_coefficient"] = [WRONG_FACTORS["l0_coefficient"], without_thresholds()]


@COST.operation("everything that a batch is charged, term by term, and the gradient of the total",
                CONFIG | OF_TERMS | {"[warmth]": "factor on l1, l0 and tanh while they warm up, from 0 to 1 (1)"},
                {"x": "(B, D)"} | PARAMS | {"price": "(M,)  at least 1", "dead": "(M,)  1 for dead latents, else 0"},
                TERMS | GRADS, WRONG_X | WRONG_PARAMS | WRONG_FACTORS | EMPTY, parts=["backward", "cost", "cost_backward"])
def objective(on, config, x, price, dead, **params):
    batch = on.autoencoder.forward(x, params, config, price)
    given = on.objective.Given(price, dead != 0, config.get("warmth", 1.0))
    terms = on.objective.objective(batch, params, config, given)
    grads = on.objective.objective_backward(batch, params, config, given)
    return terms | {f"d_{name}": grad for name, grad in grads.items()}


@objective.on("torch_impl")
def objective_by_autograd(on, config, x, price, dead, **params):
    params, given = leaves(params, params), on.objective.Given(price, dead != 0, config.get("warmth", 1.0))
    terms = on.objective.objective(forward(on, config, x, params, price), params, config, given)
    return terms | gradients(on, [terms["total"]], [on.arrays.ones_like(terms["total"])], params)
