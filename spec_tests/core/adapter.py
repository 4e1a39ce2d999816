"""How the suite talks to an implementation.

An adapter is a plain module (or a program, see `adapters/subprocess_json.py`) with

    NAME, VERSION   strings
    DTYPES          the dtypes it has, among "float64", "float32", "float16", "bfloat16"
    run(operation, config, inputs, dtype) -> outputs

`inputs` and `outputs` are {name: float64 array}; `config` is a dictionary of plain values; `operation` is one of
OPERATIONS below. An adapter converts the inputs to `dtype`, computes, and converts back. It raises

    NotImplementedError(reason)   what it does not have: counted as unsupported, never as a pass
    ValueError(message)           for a caller's mistake, naming the argument

Nothing of this package needs importing to write one.
"""

import importlib
import importlib.util
import sys
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from types import ModuleType
from typing import NamedTuple

import numpy as np

DTYPES = ("float64", "float32", "float16", "bfloat16")


class Operation(NamedTuple):
    """One thing an implementation can be asked. A name in brackets is present where the config needs it."""

    meaning: str
    config: str
    inputs: str
    outputs: str


PARAMS = "W_dec, b_enc, b_dec, [W_enc], [log_threshold], [r_mag, b_mag]"
SAE = "activation, [k], [bandwidth], [subtract_b_dec], [prefixes]"
FACTORS = "[l1_coefficient], [l0_coefficient], [tanh_coefficient, tanh_scale], [tie_coefficient], [aux_coefficient, k_aux]"
OF_ACTIVATION = "pre, [theta], [price, dec_norm]; gated: shared, b_enc, r_mag, b_mag"
OF_COST = "see costs.py and auxiliary.py: x, recons | acts, W_dec, price | pre, theta, price | [W_enc], W_dec | …"
WORLD = "directions, parent, rate, rate_alone, group, mean, std"
STREAM = "[cuts]: rows after which the stream is cut and merged again, [times] it is repeated"

OPERATIONS = {
    "activation": Operation("an activation (or the step) by itself", "activation, [k]", OF_ACTIVATION, "acts"),
    "activation_backward": Operation(
        "its gradient", "activation, [k], [bandwidth]", OF_ACTIVATION + "; d_acts",
        "d_pre, [d_theta]; gated: d_shared, d_r_mag, d_b_mag"),
    "threshold": Operation("theta from its parameter", "", "log_threshold", "theta"),
    "threshold_backward": Operation("its gradient", "", "log_threshold, d_theta", "d_log_threshold"),
    "running_threshold": Operation("one update", "decay", "threshold, seen, kept", "threshold, seen"),
    "batch_topk_inference": Operation("batch_topk without a batch", "", "pre, threshold", "acts"),
    "budget_thresholds": Operation("batch_budget_topk as a jumprelu", "", "tau, price, dec_norm", "theta"),
    "encode": Operation("samples to activations", SAE, "x, " + PARAMS + ", [price], [inference_threshold]", "pre, acts"),
    "decode": Operation("activations to reconstructions", "[prefixes]", "acts, W_dec, b_dec", "recons"),
    "backward": Operation(
        "gradient of encode and decode from the cotangents given; one that is absent is zero",
        SAE, "x, " + PARAMS + ", [price], [d_pre], [d_acts], [d_recons]", "d_x and d_ of every parameter"),
    "firing_counts": Operation("how many samples each latent fired in", "", "acts", "counts"),
    "frequency": Operation("exact frequency", "", "counts, samples", "frequency"),
    "running_mean": Operation("one update of the running frequency", "decay", "mean, batches, acts", "mean, batches"),
    "running_frequency": Operation("its debiased value", "decay", "mean, batches", "frequency"),
    "price": Operation("the price of a frequency", "D, min_frequency", "frequency", "price"),
    "running_price": Operation("the price training uses", "decay, D, min_frequency", "mean, batches", "price"),
    "cost": Operation(
        "one cost", "cost: reconstruction | l1 | tanh | l0 | tie | aux | gate_reconstruction, [tied], [tanh_scale], [k_aux]",
        OF_COST, "cost"),
    "cost_backward": Operation(
        "its gradient", "the same, [bandwidth]", OF_COST + "; d_cost", "d_ of what gets a gradient: see the *_backward"),
    "objective": Operation(
        "the terms and their total's gradient", SAE + ", " + FACTORS + ", [warmth]",
        "x, " + PARAMS + ", price, dead", "every term by name, total, d_ of every parameter"),
    "train": Operation(
        "steps of training, one for each batch", SAE + ", " + FACTORS + ", and the keys of training.py",
        PARAMS + ", batches (S, B, D)",
        "every parameter, total (S,), tokens_since_fired, frequency_mean, frequency_batches, threshold, threshold_seen"),
    "normalize_rows": Operation("rows to norm 1", "", "W", "unit"),
    "project_gradient": Operation("what keeps the rows' norms", "", "d_W, W", "d_W"),
    "clip_gradients": Operation("joint norm at most max_grad_norm", "max_grad_norm", "any", "the same names"),
    "adam": Operation("one update", "step, learning_rate", "param, grad, first, second", "param, first, second"),
    "learning_rate": Operation("the schedule", "step, steps, learning_rate, warmup_steps, decay_steps", "", "rate"),
    "sparsity_warmth": Operation("the warm-up of sparsity", "step, sparsity_warmup_steps", "", "warmth"),
    "count_tokens": Operation("samples since last fired", "dead_after", "tokens_since_fired, acts", "tokens_since_fired, dead"),
    "initial_parameters": Operation("the start", "activation, tied, [initial_threshold]", "normals, b_dec", "every parameter"),
    "geometric_median": Operation("a robust centre", "", "data", "centre"),
    "toy_world": Operation("a world by name", "world, and its arguments by name", "normals", WORLD),
    "toy_sample": Operation("samples from draws", "", WORLD + ", uniforms, normals", "x, magnitudes"),
    "toy_cofiring": Operation("how often features fire together", "", "parent, rate, rate_alone, group", "cofiring"),
    "directions_with_cosine": Operation("unit vectors at one cosine", "rho", "normals", "directions"),
    "saebench": Operation(
        "SAEBench's shares of absorption", 'thresholds: "code", "paper" or numbers by name', "x, acts, W_dec, probe, main",
        "fraction, full"),
    "main_latents": Operation("those a feature is split among", "[gain]", "ranking, scores", "main"),
    "match": Operation("a latent for each feature", "", "W_dec, directions", "latent, cosine, mcc"),
    "firing_scores": Operation("latent j's firing against feature j", "", "fires, truth", "precision, recall, f1, dead"),
    "recall_hole": Operation("what the parent misses beside the child", "", "fires, parent, child", "hole"),
    "carried_share": Operation("what others write", "latent", "acts, W_dec, direction, samples", "share"),
    "hedging": Operation("cosines with another feature", "latent", "W_enc, W_dec, other", "encoder, decoder"),
    "absorption_patterns": Operation("what weights show", "[tied]", "[W_enc], W_dec", "alignment, gap"),
    "within_data": Operation("encoders within the span of the samples", "", "W_enc, x", "W_enc"),
    "cofiring": Operation("who fires with whom", STREAM, "x, acts, W_dec, b_dec", "fires, full, together, beside, both_full, lift, phi"),
    "absorption_score": Operation("the detector", STREAM + ", [tied]", "x, acts, W_dec, b_dec, [W_enc]",
                                  "score; silent, low, level, level_low, returned, disturbed, carried, coupled, followed, steady, cosine, enough"),
    "corrected_read_out": Operation("acts with what children carry", "[threshold]", "acts, score, W_dec", "A, read_out"),
    "meta_samples": Operation("what a meta-SAE is trained on", "", "W_dec, alive", "rows"),
    "variance_explained": Operation("by a reconstruction", "", "x, recon", "explained"),
    "shared_meta_latents": Operation("who uses the same meta-latent", "", "meta_acts", "shared"),
    "delta_family": Operation("SAEs with absorption delta", "delta, [unit]", "parent, child", "W_enc, W_dec"),
    "delta_l1": Operation("what L1 charges one", "p10, p11, delta", "", "cost"),
    "absorption_gain": Operation("what the price pays for absorption", "p10, p11, D", "", "gain"),
    "hedging_angle": Operation("one latent for two features", "p10, p11", "", "angle"),
    "gram_schmidt": Operation("what a tied SAE learns", "", "directions", "rows"),
}


@dataclass
class Bound:
    """An adapter at one dtype, as tests call it: `adapter("price", {"D": 4, …}, frequency=…)["price"]`."""

    module: ModuleType
    dtype: str = "float64"
    calls: list = field(default_factory=list)      # what this example asked, for the replay file
    unsupported: list = field(default_factory=list)     # the NotImplementedErrors of this property's examples

    @property
    def name(self):
        return self.module.NAME

    def __call__(self, operation, config=None, **inputs):
        config = dict(config or {})
        inputs = {name: np.array(value, dtype=np.float64) for name, value in inputs.items() if value is not None}
        self.calls.append({"operation": operation, "config": config, "inputs": inputs})
        # A copy: an implementation that writes into its inputs must not disturb the test that owns them.
        given = {name: value.copy() for name, value in inputs.items()}
        outputs = self.module.run(operation, dict(config), given, self.dtype)
        return {name: np.asarray(value, dtype=np.float64) for name, value in outputs.items()}

    def error(self, operation, config=None, **inputs):
        """The message of the ValueError that this call must raise."""
        try:
            outputs = self(operation, config, **inputs)
        except NotImplementedError:
            raise
        except ValueError as error:
            return str(error)
        raise AssertionError(f"{operation} {config} should have raised a ValueError, it returned {sorted(outputs)}")


def load_adapter(name_or_path):
    """An adapter module: one of ours by name, an importable module by dotted name, or a file by path."""
    name = str(name_or_path)
    try:
        module = _from_file(name) if name.endswith(".py") else _import(name)
    except (ValueError, ImportError):
        raise
    except Exception as error:
        at = traceback.extract_tb(error.__traceback__)[-1]
        where = "" if isinstance(error, SyntaxError) else f" ({at.filename}, line {at.lineno})"
        raise ValueError(f"--adapter {name}: cannot be loaded: {type(error).__name__}: {error}{where}") from None
    missing = [word for word in ("NAME", "VERSION", "DTYPES", "run") if not hasattr(module, word)]
    if missing:
        raise ValueError(f"--adapter {name}: the adapter lacks {', '.join(missing)}")
    unknown = set(module.DTYPES) - set(DTYPES)
    if unknown:
        raise ValueError(f"--adapter {name}: unknown dtypes {sorted(unknown)}, known are {', '.join(DTYPES)}")
    return module


def _from_file(name):
    path = Path(name)
    if not path.is_file():
        raise ValueError(f"--adapter {name}: there is no such file")
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    sys.modules.setdefault(path.stem, module)
    spec.loader.exec_module(module)
    return module


def _import(name):
    ours = f"sae_spec.spec_tests.adapters.{name}"
    if "." not in name and importlib.util.find_spec(ours):
        return importlib.import_module(ours)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name != name:
            raise
        own = sorted(p.stem for p in (Path(__file__).parents[1] / "adapters").glob("*.py") if p.stem != "__init__")
        raise ValueError(f"--adapter {name}: neither one of ours ({', '.join(own)}), nor a module, nor a .py file") from None
