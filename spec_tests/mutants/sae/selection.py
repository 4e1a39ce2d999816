"""Mutants of ACT, second part: topk, batch_topk, abs_topk, and the gradient of every choice."""

import numpy as np

from sae_spec.spec_tests.mutants import mutant


def best(score, count):
    """Whether each entry is among the `count` best of its row; ties go to the lowest index."""
    place = np.argsort(np.argsort(-score, axis=-1, kind="stable"), axis=-1)
    return place < count


def above_last(score, count):
    """Whether each entry is at least its row's count-th best: ties let in more than `count`."""
    return score >= np.sort(score, axis=-1)[..., -int(count), None]


def column_major(right, pre, *more):
    """A batch rule asked with rows and columns exchanged: ties go down the columns."""
    M = pre.shape[-1]
    rows = pre.reshape(-1, M)
    k, *by_latent = more
    order = np.arange(rows.size).reshape(rows.shape).T.ravel()
    flat = np.zeros(rows.size)
    by_entry = [np.tile(array, len(rows))[order] for array in by_latent]
    flat[order] = right(rows.ravel()[order], k * len(rows), *by_entry)
    return flat.reshape(pre.shape)


# ---------------------------------------------------------------- topk, batch_topk, abs_topk

@mutant("topk: negative entries fill up to k", clause="ACT-4", target="selection.topk")
def negative_filler(right, pre, k):
    return np.where(best(pre, k), pre, 0.0)


@mutant("topk: ranked by size", clause="ACT-4", target="selection.topk")
def ranked_by_size(right, pre, k):
    return np.where(best(abs(pre), k), np.maximum(pre, 0.0), 0.0)


@mutant("topk: pre times the decoder's norm", clause="ACT-4", target="autoencoder.activate",
        seen_in=("SAELens 6.54.12",), where="rescale_acts_by_decoder_norm", convention=True)
def rescaled(right, shared, pre, params, config, price=None, inference_threshold=None):
    norm = np.linalg.norm(params["W_dec"], axis=1) if "topk" in config["activation"] else 1.0
    return right(shared, pre * norm, params, config, price, inference_threshold)


@mutant("topk: ties go to the highest index", clause="ACT-5", target="selection.topk",
        seen_in=("SAELens 6.54.12", "dictionary_learning 0.1.0", "sparsify 1.3.3"),
        where="torch.topk, which promises no order", convention=True)
def highest_index(right, pre, k):
    return right(pre[..., ::-1].copy(), k)[..., ::-1]


@mutant("topk: everything that equals the k-th is kept", clause="ACT-5", target="selection.topk",
        seen_in=("openai/sparse_autoencoder",), where="sharded_topk")
def keeps_all_ties(right, pre, k):
    return np.where(above_last(pre, k), np.maximum(pre, 0.0), 0.0)


@mutant("topk: k above M is cut to M", clause="ACT-6", target="selection.topk")
def large_k_accepted(right, pre, k):
    return right(pre, min(k, pre.shape[-1]))


@mutant("topk: k below 1 keeps nothing", clause="ACT-6", target="selection.topk")
def small_k_accepted(right, pre, k):
    return right(pre, k) if k > 0 else np.zeros_like(pre)


@mutant("topk: a fraction is cut off k", clause="ACT-6", target="selection.topk")
def fraction_accepted(right, pre, k):
    return right(pre, int(k))


@mutant("batch_topk: k for the whole batch", clause="ACT-12", target="selection.batch_topk",
        seen_in=("overcomplete 0.3.0",), convention=True)
def batch_keeps_k(right, pre, k):
    right(pre, k)
    return np.where(best(pre.reshape(-1), k).reshape(pre.shape), np.maximum(pre, 0.0), 0.0)


@mutant("batch_topk: everything that equals the last is kept", clause="ACT-12", target="selection.batch_topk",
        seen_in=("overcomplete 0.3.0",))
def batch_keeps_all_ties(right, pre, k):
    if not pre.size:
        return right(pre, k)
    acts = right(pre, k)
    return np.where(pre >= acts[acts > 0].min(initial=np.inf), pre, 0.0)


@mutant("batch_topk: ties go down the columns", clause="ACT-12", target="selection.batch_topk")
def batch_column_major(right, pre, k):
    return column_major(lambda flat, count: np.where(best(flat, count), np.maximum(flat, 0.0), 0.0), pre, k)


@mutant("batch_topk: k for every row", clause="ACT-12", target="selection.batch_topk")
def batch_by_row(right, pre, k):
    right(pre, k)
    return np.where(best(pre, k), np.maximum(pre, 0.0), 0.0)


def of_the_batch(name, count):
    """A batch rule has count(k·B) in place of k, where that is a fraction."""
    @mutant(f"batch rules: {name}", clause="ACT-29", target="selection.of_the_batch")
    def wrong(right, pre, k):
        right(pre, k)
        return int(count(k, pre.size // pre.shape[-1]))


of_the_batch("a fraction of k is cut off before it is multiplied", lambda k, B: np.floor(k) * B)
of_the_batch("k·B is rounded up", lambda k, B: np.ceil(k * B))
of_the_batch("k·B is rounded to the nearest", lambda k, B: np.floor(k * B + 0.5))
of_the_batch("at least one entry is kept", lambda k, B: max(min(B, 1), np.floor(k * B)))
of_the_batch("k·B is rounded to the nearest but for less than one", lambda k, B: np.floor(k * B + 0.5 * (k * B >= 1)))


@mutant("batch rules: k is a whole number", clause="ACT-29", target="selection.of_the_batch")
def batch_whole_k(right, pre, k):
    if k != int(k):
        raise ValueError(f"k must be a whole number, got {k}")
    return right(pre, k)


@mutant("batch rules: k outside its range is brought into it", clause="ACT-29", target="selection.of_the_batch")
def batch_k_clipped(right, pre, k):
    return right(pre, min(max(k, 0.25), pre.shape[-1]))


@mutant("abs_topk: sign lost", clause="ACT-13", target="selection.abs_topk")
def sign_lost(right, pre, k):
    return abs(right(pre, k))


@mutant("abs_topk: after relu, so it does nothing", clause="ACT-13", target="selection.abs_topk",
        seen_in=("Language-Model-SAEs",))
def after_relu(right, pre, k):
    return right(np.maximum(pre, 0.0), k)


@mutant("abs_topk: among equals the positive goes first", clause="ACT-13", target="selection.abs_topk")
def positive_first(right, pre, k):
    return np.where(best(abs(pre) + (pre > 0) / 1024, k), pre, 0.0)


# ---------------------------------------------------------------- gradients

@mutant("selection: a zero among the k largest passes gradient", clause="ACT-19", target="selection.selection_backward",
        seen_in=("sparsify 1.3.3",))
def chosen_zero_passes(right, d_acts, acts):
    return np.where(acts >= 0, d_acts, 0.0)


@mutant("selection: a negative activation passes none", clause="ACT-19", target="selection.selection_backward")
def negative_blocked(right, d_acts, acts):
    return np.where(acts > 0, d_acts, 0.0)


@mutant("selection: gradient reaches the decoder's norms", clause="ACT-20", target="autoencoder.backward",
        seen_in=("SAELens 6.54.12",), where="rescale_acts_by_decoder_norm", convention=True)
def norm_gets_gradient(right, d_pre, d_acts, d_recons, batch, params, config):
    grads, acts = right(d_pre, d_acts, d_recons, batch, params, config), batch.acts
    M = acts.shape[-1]
    norm = np.maximum(np.linalg.norm(params["W_dec"], axis=1, keepdims=True), 1e-8)
    d_norm = (d_acts * acts).reshape(-1, M).sum(0)[:, None]
    return grads | {"W_dec": grads["W_dec"] + d_norm * params["W_dec"] / norm}
