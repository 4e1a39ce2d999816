// A sparse autoencoder (SAE) in one file of JavaScript, and a program that answers the suite's questions about it:
//
//     python -m sae_spec.spec_tests --command "node sae.js"
//
// An SAE writes a vector x of D numbers as a sum of a few directions out of a dictionary of M, with M far larger than D:
//
//     pre   = W_enc (x - b_dec) + b_enc       how much each of the M latents has to say
//     acts  = the few of them that may speak  which few: that is the activation; all others are exactly 0
//     recon = acts W_dec + b_dec              what they say together, which should be x again
//
// A batch is an array of rows, a row an array of numbers. W_enc and W_dec are arrays of M rows of D numbers: row i is what
// latent i listens to, and what it writes. d_x is the gradient of the loss by x. [ACT-5] is a clause: reference/CLAUSES.md.
"use strict";

class Refused extends Error {}          // a caller's mistake; the message names the argument
class Unsupported extends Error {}      // what this file does not have

function need(holds, argument, why) {
  if (!holds) throw new Refused(`${argument} ${why}`);
}

// ---------------------------------------------------------------- arithmetic

const sum = (row) => row.reduce((total, value) => total + value, 0);
const dot = (a, b) => a.reduce((total, value, i) => total + value * b[i], 0);
const norm = (row) => Math.sqrt(dot(row, row));
const add = (a, b) => a.map((value, i) => value + b[i]);
const minus = (a, b) => a.map((value, i) => value - b[i]);
const times = (factor, row) => row.map((value) => factor * value);
const zeros = (n) => Array(n).fill(0);
const sumOfRows = (rows, n) => rows.reduce(add, zeros(n));                       // (B, n) -> (n,)
const each = (rows, f) => rows.map((row, b) => row.map((value, i) => f(value, i, b)));
const weighted = (weights, rows, D) => {                                         // sum of weights[i] · rows[i]
  const total = zeros(D);
  rows.forEach((row, i) => weights[i] && row.forEach((value, d) => { total[d] += weights[i] * value; }));
  return total;
};
const outer = (a, b, M, D) =>                                                    // (M, D): sum over samples of a[s][i] · b[s][d]
  [...zeros(M).keys()].map((i) => weighted(a.map((row) => row[i]), b, D));

// ---------------------------------------------------------------- activations: who may speak

/** The places of a row's positive entries, the worthiest first; the sort is stable, so ties go to the lowest place [ACT-4, ACT-5]. */
function ranked(row, worth = (value) => value) {
  const worths = row.map(worth);
  return [...row.keys()].filter((i) => row[i] > 0).sort((i, j) => worths[j] - worths[i]);
}

/** The row with 0 everywhere but in these places. */
function only(row, places) {
  const kept = zeros(row.length);
  for (const i of places) kept[i] = row[i];
  return kept;
}

/** Down the ranking while any of the budget is left: the last may cost more than what is left [ACT-15]. */
function bought(places, priceOf, budget) {
  let spent = 0;
  return places.filter((i) => {
    const affordable = spent < budget;
    if (affordable) spent += priceOf(i);
    return affordable;
  });
}

/** A batch rule chooses from the whole batch laid out as one row, so one sample may have many more latents than another. */
function asOneRow(pre, choose) {
  const M = pre.length && pre[0].length;
  const acts = choose(pre.flat(), M);
  return pre.map((_, b) => acts.slice(b * M, (b + 1) * M));
}

/** What a latent would write, squared, for each unit of its price [ACT-14]. */
const density = ({ price, dec_norm }) => (value, i) => (value * dec_norm[i % price.length]) ** 2 / price[i % price.length];

const ACTIVATIONS = {
  relu: ({ pre }) => each(pre, (value) => Math.max(value, 0)),
  topk: ({ pre }, k) => pre.map((row) => only(row, ranked(row).slice(0, k))),
  abs_topk: ({ pre }, k) => pre.map((row) => only(row, ranked(row.map(Math.abs)).slice(0, k))),
  batch_topk: ({ pre }, k) => asOneRow(pre, (row) => only(row, ranked(row).slice(0, Math.floor(k * pre.length)))),
  budget_topk: (i, k) => i.pre.map((row) => only(row, bought(ranked(row, density(i)), (at) => i.price[at], k))),
  batch_budget_topk: (i, k) => asOneRow(i.pre, (row, M) =>
    only(row, bought(ranked(row, density(i)), (at) => i.price[at % M], Math.floor(k * i.pre.length)))),
  jumprelu: ({ pre, theta }) => each(pre, (value, i) => (value > theta[i] ? value : 0)),       // off at equality [ACT-7]
  step: ({ pre, theta }) => each(pre, (value, i) => (value > theta[i] ? 1 : 0)),
  gated: ({ shared, b_enc, r_mag, b_mag }) => each(shared, (value, i) =>                       // a gate, and a magnitude [SAE-13]
    (value + b_enc[i] > 0 ? Math.max(Math.exp(r_mag[i]) * value + b_mag[i], 0) : 0)),
};

const WHOLE_K = ["topk", "abs_topk", "budget_topk"];
const MEAN_K = ["batch_topk", "batch_budget_topk"];           // k is the mean over the batch, and may be a fraction [ACT-29]
const PRICED = ["budget_topk", "batch_budget_topk"];

function activation({ activation: name, k }, inputs, M) {
  if (!(name in ACTIVATIONS)) throw new Unsupported(`activation ${name}`);
  const { price, theta } = inputs;
  if (WHOLE_K.includes(name)) need(Number.isInteger(k) && k >= 1 && k <= M, "k", `must be a whole number from 1 to ${M}, got ${k}`);
  if (MEAN_K.includes(name)) need(k > 0 && k <= M, "k", `must lie above 0 and be at most ${M}, got ${k}`);
  if (PRICED.includes(name)) need(price && price.every((value) => value >= 1), "price", "must be given, and at least 1");
  if (theta) need(theta.every((value) => value >= 0), "theta", "must not be negative");
  return ACTIVATIONS[name](inputs, k);
}

/** A gradient passes where the latent speaks, and nowhere else: a choice has no slope [ACT-19]. */
const whereActive = (acts, d_acts) => each(d_acts, (value, i, b) => (acts[b][i] !== 0 ? value : 0));

/** A threshold has no slope either. Near it, in an open window on pre [ACT-8], a jump of this height is taken for a slope. */
function thresholdGradient(d_acts, pre, theta, heights, bandwidth) {
  need(bandwidth > 0, "bandwidth", `must be above 0, got ${bandwidth}`);
  return theta.map((at, i) => -(heights[i] / bandwidth)
    * sum(d_acts.map((row, b) => (Math.abs(pre[b][i] - at) < bandwidth / 2 ? row[i] : 0))));
}

function activationBackward(config, inputs, M) {
  const { pre, theta, shared, r_mag, d_acts } = inputs;
  const acts = activation(config, inputs, M);
  switch (config.activation) {
    case "jumprelu":
      return { d_pre: whereActive(each(pre, (value, i) => value > theta[i] ? 1 : 0), d_acts),
               d_theta: thresholdGradient(d_acts, pre, theta, theta, config.bandwidth) };
    case "step":
      return { d_pre: each(pre, () => 0), d_theta: thresholdGradient(d_acts, pre, theta, theta.map(() => 1), config.bandwidth) };
    case "gated": {
      const d_b_mag = whereActive(acts, d_acts);                        // by sample; the gate itself gets nothing [SAE-14]
      const d_shared = each(d_b_mag, (value, i) => Math.exp(r_mag[i]) * value);
      const d_r_mag = each(d_shared, (value, i, b) => value * shared[b][i]);
      return { d_shared, d_r_mag: sumOfRows(d_r_mag, M), d_b_mag: sumOfRows(d_b_mag, M) };
    }
    default:
      return { d_pre: whereActive(acts, d_acts) };
  }
}

// ---------------------------------------------------------------- thresholds, which stand for a batch where there is none

function runningThreshold({ decay }, { threshold, seen, kept }) {
  need(decay >= 0 && decay < 1, "decay", "must be at least 0 and below 1");
  const active = kept.flat().filter((value) => value > 0);
  if (!active.length) return { threshold, seen };                       // nothing was learned [ACT-22]
  const smallest = active.reduce((least, value) => Math.min(least, value));
  return { threshold: seen ? decay * threshold + (1 - decay) * smallest : smallest, seen: seen + 1 };
}

/** The largest value that k a sample cannot pay for; those that equal it stay off with it [ACT-27]. */
function calibratedThreshold({ k }, { value, price }) {
  need(value.length, "value", "holds no samples");
  need(k > 0 && k <= price.length, "k", `must lie above 0 and be at most ${price.length}, got ${k}`);
  need(price.every((one) => one >= 1), "price", "must be at least 1");
  const row = value.flat();
  let spent = 0;
  const unpaid = ranked(row).find((at) => (spent += price[at % price.length]) > k * value.length);
  return { threshold: unpaid === undefined ? 0 : row[unpaid] };
}

function aboveThreshold({ pre, threshold }) {
  need(threshold >= 0, "threshold", "must not be negative");
  return { acts: each(pre, (value) => (value > threshold ? value : 0)) };
}

/** Denser than tau is the same as above theta; a latent that writes nothing never speaks [ACT-24, ACT-25]. */
function budgetThresholds({ tau, price, dec_norm }) {
  need(tau >= 0, "tau", "must not be negative");
  return { theta: price.map((one, i) => (dec_norm[i] ? Math.sqrt(tau * one) / dec_norm[i] : Infinity)) };
}

// ---------------------------------------------------------------- the autoencoder

const encoderOf = ({ W_enc, W_dec }) => W_enc || W_dec;                 // tied: one array does both [SAE-2]
const centred = ({ subtract_b_dec = true }, { x, b_dec }) => (subtract_b_dec ? x.map((row) => minus(row, b_dec)) : x);
const thetaOf = ({ theta, log_threshold }) => (log_threshold ? log_threshold.map(Math.exp) : theta);

/** What an activation is given: pre, and what else its rule reads. */
function readings(config, inputs) {
  const { W_dec, b_enc, r_mag, b_mag, price } = inputs;
  const shared = centred(config, inputs).map((row) => encoderOf(inputs).map((weights) => dot(row, weights)));
  const pre = shared.map((row) => add(row, b_enc));
  return { pre, shared, b_enc, r_mag, b_mag, price, theta: thetaOf(inputs), dec_norm: W_dec.map(norm) };
}

function encode(config, inputs, M) {
  const read = readings(config, inputs), threshold = inputs.inference_threshold;
  if (threshold === undefined || !MEAN_K.includes(config.activation)) return { pre: read.pre, acts: activation(config, read, M) };
  need(threshold >= 0, "inference_threshold", "must not be negative");
  if (config.activation === "batch_topk") return { pre: read.pre, acts: aboveThreshold({ pre: read.pre, threshold }).acts };
  need(read.price, "price", "must be given");
  const { theta } = budgetThresholds({ ...read, tau: threshold });
  return { pre: read.pre, acts: ACTIVATIONS.jumprelu({ pre: read.pre, theta }) };
}

/** How many latents each reconstruction may use; a Matryoshka SAE has several, each within the next [SAE-6, SAE-7]. */
function prefixesOf({ prefixes = null }, M) {
  const ends = prefixes || [M];
  need(ends.every((end, g) => Number.isInteger(end) && end > (g ? ends[g - 1] : 0)) && ends.at(-1) === M,
       "prefixes", `must be whole numbers that increase from at least 1 to ${M}`);
  return ends;
}

function decode(config, { acts, W_dec, b_dec }, M, D) {
  return { recons: prefixesOf(config, M).map((end) => acts.map((row) => add(weighted(row, W_dec.slice(0, end), D), b_dec))) };
}

/** Back through decode, the activation and encode; of d_pre, d_acts and d_recons those that are absent are zero. */
function backward(config, inputs, M, D) {
  const { x, W_dec, d_pre, d_acts, d_recons } = inputs, W_enc = encoderOf(inputs), ends = prefixesOf(config, M);
  const read = readings(config, inputs), acts = activation(config, read, M);
  const written = ends.map((_, g) => (d_recons ? d_recons[g] : x.map(() => zeros(D))));
  const heard = (i) => x.map((_, b) => sumOfRows(written.filter((_, g) => i < ends[g]).map((recon) => recon[b]), D));

  const d_W_dec = W_dec.map((_, i) => weighted(acts.map((row) => row[i]), heard(i), D));
  const byLatent = W_dec.map((row, i) => heard(i).map((gradient) => dot(gradient, row)));
  const d_chosen = each(acts, (_, i, b) => byLatent[i][b] + (d_acts ? d_acts[b][i] : 0));
  const { d_pre: through, d_shared, d_theta, d_r_mag, d_b_mag } = activationBackward(config, { ...read, d_acts: d_chosen }, M);

  const asked = d_pre || each(acts, () => 0);
  const by_pre = through ? asked.map((row, b) => add(row, through[b])) : asked;
  const by_shared = d_shared ? asked.map((row, b) => add(row, d_shared[b])) : by_pre;
  const d_W_enc = outer(by_shared, centred(config, inputs), M, D), d_x = by_shared.map((row) => weighted(row, W_enc, D));
  const back = config.subtract_b_dec === false ? zeros(D) : sumOfRows(d_x, D);       // b_dec is used twice [SAE-10]
  const grads = { d_x, d_b_enc: sumOfRows(by_pre, M), d_b_dec: minus(sumOfRows(written.flat(), D), back) };
  if (inputs.W_enc) Object.assign(grads, { d_W_enc, d_W_dec });
  else grads.d_W_dec = d_W_dec.map((row, i) => add(row, d_W_enc[i]));                // tied: the sum of both uses [SAE-9]
  if (inputs.theta) grads.d_theta = d_theta;
  if (inputs.log_threshold) grads.d_log_threshold = d_theta.map((value, i) => value * read.theta[i]);
  if (d_r_mag) Object.assign(grads, { d_r_mag, d_b_mag });
  return grads;
}

// ---------------------------------------------------------------- frequencies and prices: what is rare costs more

const fractionFiring = (acts, M) => counts(acts, M).map((count) => count / acts.length);
const counts = (acts, M) => sumOfRows(each(acts, (value) => (value !== 0 ? 1 : 0)), M);

function runningMean({ decay }, { acts, mean, batches }, M) {
  need(decay >= 0 && decay < 1, "decay", "must be at least 0 and below 1");
  if (!acts.length) return { mean, batches };
  return { mean: add(times(decay, mean), times(1 - decay, fractionFiring(acts, M))), batches: batches + 1 };
}

/** The average started at 0; this takes out what is left of that start. */
function runningFrequency({ decay }, { mean, batches }) {
  need(batches > 0, "batches", "must be at least 1");
  return { frequency: mean.map((value) => value / (1 - decay ** batches)) };
}

/** log_D max(D, 1 / frequency): 1 for all that fires at least once in D samples, 2 for once in D². */
function price({ D, min_frequency }, { frequency }) {
  need(D >= 2, "D", "must be at least 2");
  need(min_frequency > 0 && min_frequency <= 1, "min_frequency", "must lie above 0 and be at most 1");
  const floored = frequency.map((value) => Math.max(value, min_frequency));
  return { price: floored.map((value) => (value >= 1 / D ? 1 : -Math.log(value) / Math.log(D))) };      // exactly 1 [FREQ-6]
}

const runningPrice = (config, inputs) =>
  (inputs.batches ? price(config, runningFrequency(config, inputs)) : { price: inputs.mean.map(() => 1) });

// ---------------------------------------------------------------- costs, each with its gradient: [cost, { d_… }]

const mean = (numbers) => sum(numbers) / numbers.length;
const squaredError = (a, b) => mean(a.map((row, s) => { const error = minus(row, b[s]); return dot(error, error); }));
const errorGradient = (x, recon) => recon.map((row, b) => times(2 / x.length, minus(row, x[b])));       // by recon
const unit = (row) => (norm(row) ? times(1 / norm(row), row) : row);

/** What rows are charged that count by what a latent writes, |acts| · ‖W_dec‖, through a curve such as tanh, times its price. */
function charged({ acts, W_dec, price }, curve, slope) {
  const norms = W_dec.map(norm), B = acts.length;
  const written = each(acts, (value, i) => Math.abs(value) * norms[i]);
  const by_written = each(written, (value, i) => price[i] * slope(value) / B);
  const by_norm = sumOfRows(each(acts, (value, i, b) => by_written[b][i] * Math.abs(value)), W_dec.length);
  return [mean(written.map((row) => dot(price, row.map(curve)))),
          { d_acts: each(acts, (value, i, b) => by_written[b][i] * Math.sign(value) * norms[i]),
            d_W_dec: W_dec.map((row, i) => times(by_norm[i], unit(row))) }];
}

const COSTS = {
  reconstruction: ({ x, recons }) =>
    [sum(recons.map((recon) => squaredError(x, recon))), { d_recons: recons.map((recon) => errorGradient(x, recon)) }],
  l1: (inputs) => charged(inputs, (value) => value, () => 1),
  tanh: (inputs, { tanh_scale: scale }) => {
    need(scale > 0, "tanh_scale", "must be above 0");
    return charged(inputs, (value) => Math.tanh(scale * value), (value) => scale * (1 - Math.tanh(scale * value) ** 2));
  },
  l0: ({ pre, theta, price }, { bandwidth }, wantsGradient) => {
    const each_costs = each(pre, () => 1 / pre.length);
    return [mean(ACTIVATIONS.step({ pre, theta }).map((row) => dot(price, row))),
            wantsGradient && { d_theta: thresholdGradient(each_costs, pre, theta, price, bandwidth) }];
  },
  /** How far apart what a latent listens to and what it writes point, whatever their lengths. */
  tie: ({ W_enc, W_dec }) => {
    if (!W_enc) return [0, { d_W_dec: each(W_dec, () => 0) }];                                  // tied [COST-10]
    const cosines = W_dec.map((row, i) => dot(unit(row), unit(W_enc[i])));
    const by = (these, those) => these.map((row, i) => (norm(row) && norm(those[i])             // a zero row gets none [COST-11]
      ? times(-1 / (these.length * norm(row)), minus(unit(those[i]), times(cosines[i], unit(row)))) : zeros(row.length)));
    return [1 - mean(cosines), { d_W_enc: by(W_enc, W_dec), d_W_dec: by(W_dec, W_enc) }];
  },
  /** The dead latents that have most to say explain what the living have left over. */
  aux: ({ residual, pre, dead, W_dec }, { k_aux }) => {
    need(Number.isInteger(k_aux) && k_aux >= 1, "k_aux", `must be a whole number of at least 1, got ${k_aux}`);
    const M = W_dec.length, D = W_dec[0].length;
    if (!dead.some(Boolean)) return [0, { d_pre: each(pre, () => 0), d_W_dec: each(W_dec, () => 0) }];
    const acts = pre.map((row) => only(row, ranked(row.map((value, i) => (dead[i] ? value : 0))).slice(0, k_aux)));
    const recon = acts.map((row) => weighted(row, W_dec, D)), d_recon = errorGradient(residual, recon);
    return [squaredError(residual, recon),
            { d_pre: whereActive(acts, d_recon.map((row) => W_dec.map((direction) => dot(row, direction)))),
              d_W_dec: outer(acts, d_recon, M, D) }];
  },
  gate_reconstruction: ({ x, pre, W_dec, b_dec }) => {
    const acts = ACTIVATIONS.relu({ pre }), recon = acts.map((row) => add(weighted(row, W_dec, b_dec.length), b_dec));
    const d_recon = errorGradient(x, recon);
    return [squaredError(x, recon), { d_pre: whereActive(acts, d_recon.map((row) => W_dec.map((direction) => dot(row, direction)))) }];
  },
};

function cost(config, inputs, wantsGradient) {
  if (!(config.cost in COSTS)) throw new Unsupported(`cost ${config.cost}`);
  const batch = inputs.x || inputs.acts || inputs.pre;
  if (batch) need(batch.length, "batch", "must not be empty");                                  // [COST-1]
  return COSTS[config.cost](inputs, config, wantsGradient);
}

function costBackward(config, inputs) {
  const [, gradients] = cost(config, inputs, true);
  const scaled = (value) => (Array.isArray(value) ? value.map(scaled) : inputs.d_cost * value);
  return Object.fromEntries(Object.entries(gradients).map(([name, gradient]) => [name, scaled(gradient)]));
}

// ---------------------------------------------------------------- what can be asked: (config, inputs, M, D) => outputs

const OPERATIONS = {
  activation: (config, inputs, M) => ({ acts: activation(config, inputs, M) }),
  activation_backward: activationBackward,
  threshold: (_, { log_threshold }) => ({ theta: log_threshold.map(Math.exp) }),
  threshold_backward: (_, { log_threshold, d_theta }) =>
    ({ d_log_threshold: d_theta.map((gradient, i) => gradient * Math.exp(log_threshold[i])) }),
  running_threshold: runningThreshold,
  calibrated_threshold: calibratedThreshold,
  batch_topk_inference: (_, inputs) => aboveThreshold(inputs),
  budget_thresholds: (_, inputs) => budgetThresholds(inputs),
  encode, decode, backward,
  firing_counts: (_, { acts }, M) => ({ counts: counts(acts, M) }),
  frequency: (_, { counts, samples }) => {
    need(samples > 0, "samples", "must be at least 1");
    return { frequency: times(1 / samples, counts) };
  },
  running_mean: runningMean,
  running_frequency: runningFrequency,
  price, running_price: runningPrice,
  cost: (config, inputs) => ({ cost: cost(config, inputs)[0] }),
  cost_backward: costBackward,
};

// ---------------------------------------------------------------- the pipe: one JSON object a line, one reply to each

const WHO = { protocol: 1, name: "sae.js", version: "1", dtypes: ["float64", "float32"], operations: Object.keys(OPERATIONS) };
const ROUNDED = { float64: (value) => value, float32: Math.fround };     // inputs are rounded, and each result once [SAE-15]
const NOT_FINITE = { NaN, Infinity, "-Infinity": -Infinity };
const BY_LATENT = ["pre", "acts", "shared", "kept", "value"];           // (B, M), B being any number of leading dimensions
const BY_DIMENSION = ["x", "residual"];                                 // (B, D); recons are (G, B, D)

const deep = (f, data) => (Array.isArray(data) ? data.map((item) => deep(f, item)) : f(data));
const fromText = (item) => NOT_FINITE[item] ?? item;
const toText = (value) => (Number.isFinite(value) ? value : String(value));
const mapped = (object, f) => Object.fromEntries(Object.entries(object).map(([name, value]) => [name, f(value, name)]));
const shapeOf = (data) => (Array.isArray(data) ? [data.length, ...(data.length ? shapeOf(data[0]) : [])] : []);

/** The lengths M and D, and the leading dimensions, of what is asked. */
function sizesOf(tensors) {
  const shapeOfOne = (names) => names.map((name) => tensors[name]?.shape).find(Boolean);
  const byLatent = shapeOfOne(BY_LATENT), byDimension = shapeOfOne(BY_DIMENSION), [M, D] = tensors.W_dec?.shape ?? [];
  return { M: M ?? byLatent?.at(-1), D: D ?? byDimension?.at(-1), lead: (byLatent ?? byDimension ?? []).slice(0, -1) };
}

/** An autoencoder's shapes are what W_dec says, and all its numbers are finite [SAE-11, SAE-12]. */
function checkAutoencoder(tensors, { M, D, lead }) {
  const shapes = { W_dec: [M, D], W_enc: [M, D], b_dec: [D], x: [...lead, D] };
  need(tensors.W_dec.shape.length === 2, "W_dec", "must be (M, D)");
  for (const name of ["W_dec", "W_enc", "b_dec", "x", "b_enc", "theta", "log_threshold", "r_mag", "b_mag"]) {
    if (!tensors[name]) continue;
    const { shape, data } = tensors[name], wanted = shapes[name] ?? [M];
    need(String(shape) === String(wanted), name, `must have the shape (${wanted}), it has (${shape})`);
    need([data].flat(Infinity).every(Number.isFinite), name, "must be finite");
  }
}

/** A batch as rows, whatever its leading dimensions: (…, n) -> (B, n). All other arrays are as they come. */
function asRows(name, data, shape) {
  const rows = (part, dimensions) => (dimensions > 2 ? rows(part.flat(), dimensions - 1) : dimensions < 2 ? [part] : part);
  if (name.endsWith("recons")) return data.map((recon) => rows(recon, shape.length - 1));
  return [...BY_LATENT, ...BY_DIMENSION].includes(name.replace("d_", "")) ? rows(data, shape.length) : data;
}

/** The inverse: an output with its shape. */
function asTensor(name, value, { M, D, lead }) {
  const chunks = (rows, n) => [...Array(n).keys()].map((at) => rows.slice(at * rows.length / n, (at + 1) * rows.length / n));
  const nested = ([n, ...inner], rows) => (inner.length ? chunks(rows, n).map((part) => nested(inner, part)) : rows);
  const batch = (rows) => (lead.length ? nested(lead, rows) : rows[0]), base = name.replace("d_", "");
  if (base === "recons") return { shape: [value.length, ...lead, D], data: value.map(batch) };
  if (BY_LATENT.includes(base)) return { shape: [...lead, M], data: batch(value) };
  if (BY_DIMENSION.includes(base)) return { shape: [...lead, D], data: batch(value) };
  return { shape: shapeOf(value), data: value };
}

function answer({ operation, config, inputs, dtype }) {
  if (operation === "hello") return WHO;
  if (!OPERATIONS[operation]) throw new Unsupported(operation);
  const round = ROUNDED[dtype];
  const tensors = mapped(inputs, ({ shape, data }) => ({ shape, data: deep((item) => round(fromText(item)), data) }));
  const sizes = sizesOf(tensors);
  if (tensors.x && tensors.b_enc) checkAutoencoder(tensors, sizes);
  const given = mapped(tensors, ({ shape, data }, name) => asRows(name, data, shape));
  const outputs = OPERATIONS[operation](mapped(config, (value) => deep(fromText, value)), given, sizes.M, sizes.D);
  return { outputs: mapped(outputs, (value, name) => asTensor(name, deep((number) => toText(round(number)), value), sizes)) };
}

function reply(request) {
  try {
    return { id: request.id, ...answer(request) };
  } catch (error) {
    if (error instanceof Unsupported) return { id: request.id, unsupported: error.message };
    if (error instanceof Refused) return { id: request.id, error: error.message };
    return { id: request.id, failed: error.stack };
  }
}

require("node:readline").createInterface({ input: process.stdin })
  .on("line", (line) => console.log(JSON.stringify(reply(JSON.parse(line)))));
