"""What production has instead of hand-written gradients: the forward operation, and autograd over it.

torch comes in with the road; nothing here imports it.
"""


def gradients(on, outputs, cotangents, inputs):
    """{"d_" + name: gradient of sum(outputs · cotangents) by that input}; zero where nothing depends on it."""
    torch = on.arrays
    pairs = [(output, cotangent) for output, cotangent in zip(outputs, cotangents) if output.requires_grad]
    if not pairs:
        return {f"d_{name}": torch.zeros_like(tensor) for name, tensor in inputs.items()}
    grads = torch.autograd.grad([output for output, _ in pairs], list(inputs.values()),
                                [cotangent.to(output.dtype) for output, cotangent in pairs],
                                allow_unused=True, materialize_grads=True)
    return {f"d_{name}": grad for name, grad in zip(inputs, grads)}


def leaves(inputs, names):
    """Those of the named inputs that are there, asked for their gradient, in the order of the names."""
    return {name: inputs[name].requires_grad_() for name in names if name in inputs}


def gradient_of(forward, output, on, config, by, cotangent, inputs):
    """The gradient of one output of an operation by the named inputs."""
    learned = leaves(inputs, by)
    outputs = forward(on, config, inputs | learned)
    return gradients(on, [outputs[output]], [cotangent], learned)
