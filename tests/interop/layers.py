"""Layers without sequences, further than layers.json: groups, shapes and settings of each.

    python tests/interop/layers.py > tests/fixtures/layers_more.json

PyTorch rounds two constants to f32 in its derivatives: 1/6 in hardsigmoid, which is therefore left out,
and 1/alpha in celu, which has an alpha that survives it.
"""
import torch
from torch import nn

from common import case, write

torch.manual_seed(7)


def randn(*shape):
    return torch.randn(*shape)


def trained(module, *batches):
    """The module after these batches: its running statistics have moved."""
    module.train()
    for batch in batches:
        module(batch)
    return module


def grid(*shape):
    """Distinct numbers in no order, so that no maximum is shared."""
    count = torch.Size(shape).numel()
    return (torch.randperm(count).double() / count - 0.5).reshape(shape)


points = torch.tensor([-4.5, -2.0, -0.7, -0.1, 0.2, 0.9, 1.7, 2.8, 5.5, 7.0])

cases = [
    case("conv1d dilation", nn.Conv1d(2, 3, 3, dilation=2, padding=2), [randn(2, 2, 9)]),
    case("conv1d groups stride", nn.Conv1d(4, 6, 3, stride=2, groups=2), [randn(2, 4, 8)]),
    case("conv1d same", nn.Conv1d(2, 2, 4, padding="same"), [randn(1, 2, 7)]),
    case("conv1d no bias", nn.Conv1d(2, 2, 3, bias=False), [randn(1, 2, 7)]),
    case("conv2d same dilation", nn.Conv2d(2, 2, (3, 2), padding="same", dilation=2), [randn(1, 2, 6, 5)]),
    case("conv2d depthwise", nn.Conv2d(3, 6, 3, padding=(1, 0), groups=3), [randn(2, 3, 4, 5)]),
    case("conv2d sides", nn.Conv2d(1, 2, (2, 3), stride=(1, 2), padding=(0, 1)), [randn(2, 1, 4, 6)]),
    case("max_pool1d", nn.MaxPool1d(3, stride=2, padding=1), [grid(2, 2, 7)]),
    case("avg_pool1d", nn.AvgPool1d(3, stride=2, padding=1), [randn(2, 2, 7)]),
    case("avg_pool2d padding apart", nn.AvgPool2d((2, 3), padding=(1, 1), count_include_pad=False), [randn(1, 2, 5, 6)]),
    case("adaptive_avg_pool1d", nn.AdaptiveAvgPool1d(3), [randn(2, 2, 7)]),
    case("adaptive_avg_pool2d sides", nn.AdaptiveAvgPool2d((2, 3)), [randn(1, 2, 5, 7)]),
    case("adaptive_max_pool1d", nn.AdaptiveMaxPool1d(3), [grid(2, 2, 7)]),
    case("adaptive_max_pool2d", nn.AdaptiveMaxPool2d((3, 2)), [grid(1, 2, 5, 7)]),
    case("upsample 1d", nn.Upsample(scale_factor=3), [randn(2, 2, 3)]),
    case("upsample 2d", nn.Upsample(scale_factor=(2, 3)), [randn(1, 2, 3, 2)]),
    case("flatten", nn.Flatten(), [randn(2, 3, 2, 2)]),
    case("flatten axes", nn.Flatten(0, 1), [randn(2, 3, 4)]),
    case("batch_norm1d 3d", nn.BatchNorm1d(3), [randn(2, 3, 4)]),
    case("batch_norm1d settings", nn.BatchNorm1d(3, eps=1e-2, momentum=0.4), [randn(5, 3)]),
    case("batch_norm2d no affine", nn.BatchNorm2d(2, affine=False), [randn(2, 2, 3, 2)]),
    case("batch_norm1d no statistics", nn.BatchNorm1d(3, track_running_stats=False), [randn(4, 3)]),
    case("batch_norm1d no statistics eval", nn.BatchNorm1d(3, track_running_stats=False), [randn(4, 3)], train=False),
    case("batch_norm1d cumulative", trained(nn.BatchNorm1d(3, momentum=None), randn(5, 3), randn(4, 3)), [randn(6, 3)]),
    case("batch_norm2d trained eval", trained(nn.BatchNorm2d(2), 3 + randn(3, 2, 4, 4)), [randn(2, 2, 3, 3)], train=False),
    case("layer_norm two axes", nn.LayerNorm((3, 4)), [randn(2, 3, 4)]),
    case("layer_norm no bias", nn.LayerNorm(5, bias=False, eps=1e-3), [randn(2, 3, 5)]),
    case("layer_norm no affine", nn.LayerNorm(5, elementwise_affine=False), [randn(4, 5)]),
    case("group_norm of each channel", nn.GroupNorm(4, 4), [randn(2, 4, 3)]),
    case("group_norm one group", nn.GroupNorm(1, 4, affine=False), [randn(2, 4, 3, 2)]),
    case("group_norm two axes", nn.GroupNorm(2, 6, eps=1e-2), [randn(5, 6)]),
    case("rms_norm", nn.RMSNorm(5), [randn(3, 5)]),
    case("rms_norm two axes eps", nn.RMSNorm((3, 4), eps=1e-2), [randn(2, 3, 4)]),
    case("rms_norm no affine", nn.RMSNorm(5, elementwise_affine=False), [1e-8 * randn(3, 5)]),
    case("embedding padding_idx", nn.Embedding(5, 3, padding_idx=2), [torch.tensor([[1, 2, 4], [2, 1, 0]])]),
    case("prelu", nn.PReLU(), [randn(3, 4)]),
    case("prelu channels", nn.PReLU(3), [randn(2, 3, 4)]),
    case("relu6", nn.ReLU6(), [points]),
    case("leaky_relu", nn.LeakyReLU(), [points]),
    case("leaky_relu slope", nn.LeakyReLU(0.2), [points]),
    case("elu alpha", nn.ELU(1.7), [points]),
    case("celu", nn.CELU(0.5), [points]),
    case("selu", nn.SELU(), [points]),
    case("softsign", nn.Softsign(), [points]),
    case("hardtanh", nn.Hardtanh(), [points]),
    case("hardswish", nn.Hardswish(), [points]),
    case("log_sigmoid", nn.LogSigmoid(), [points]),
    case("sigmoid", nn.Sigmoid(), [points]),
    case("tanh", nn.Tanh(), [points]),
    case("softmax axis", nn.Softmax(dim=1), [randn(2, 3, 4)]),
    case("log_softmax axis", nn.LogSoftmax(dim=0), [randn(3, 4)]),
]

write("layers.py", cases)
