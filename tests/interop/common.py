"""What the programs share that ask PyTorch for fixtures in the format of layers.json.

Each case is one forward and backward of a layer or function in f64: the gradients are those of the
sum of outputs times weights.
"""
import json

import torch

torch.set_default_dtype(torch.float64)


def dump(t):
    return None if t is None else {"shape": list(t.shape), "data": t.detach().double().flatten().tolist()}


def case(name, module, inputs, forward=None, train=True, description=None):
    """One case. Integer inputs get no gradient. `forward(*inputs)` replaces `module(*inputs)`."""
    module = module if module is not None else torch.nn.Module()
    module.train(train)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(torch.rand(parameter.shape, generator=generator) - 0.5)
    state = {n: dump(b) for n, b in module.named_buffers()}
    inputs = [x.detach().clone().requires_grad_(x.is_floating_point()) for x in inputs]
    outputs = (forward or module)(*inputs)
    outputs = list(outputs) if isinstance(outputs, (tuple, list)) else [outputs]
    weights = [torch.randn(y.shape, generator=generator) if y.dim() else torch.ones(()) for y in outputs]
    sum((y * w).sum() for y, w in zip(outputs, weights)).backward()
    return name, {
        "layer": description or str(module),
        "parameters": {n: dump(p) for n, p in module.named_parameters()},
        "buffers": state,
        "inputs": [dump(x) for x in inputs],
        "outputs": [dump(y) for y in outputs],
        "weights": [dump(w) for w in weights],
        "input_grads": [dump(x.grad) for x in inputs],
        "parameter_grads": {n: dump(p.grad) for n, p in module.named_parameters() if p.grad is not None},
        "buffers_after": {n: dump(b) for n, b in module.named_buffers()},
    }


def write(program, cases):
    """Prints a fixture, one case a line."""
    lines = ",\n".join(f"    {json.dumps(name)}: {json.dumps(body)}" for name, body in cases)
    source = f"PyTorch {torch.__version__}, CPU, f64; tests/interop/{program}"
    print(f'{{\n  "source": {json.dumps(source)},\n  "cases": {{\n{lines}\n  }}\n}}')
