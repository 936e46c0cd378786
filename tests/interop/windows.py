"""Transposed convolutions, pools with dilation and in ceil mode, and linear upsampling, in the format of layers.json.

    python tests/interop/windows.py > tests/fixtures/windows.json
"""
import torch
from torch import nn

from common import case, write

torch.manual_seed(11)


def randn(*shape):
    return torch.randn(*shape)


def grid(*shape):
    """Distinct numbers in no order, so that no maximum is shared."""
    count = torch.Size(shape).numel()
    return (torch.randperm(count).double() / count - 0.5).reshape(shape)


def upsample(mode, factor, align_corners):
    return nn.Upsample(scale_factor=factor, mode=mode, align_corners=align_corners)


cases = [
    case("conv_transpose1d", nn.ConvTranspose1d(3, 2, 3), [randn(2, 3, 4)]),
    case("conv_transpose1d stride", nn.ConvTranspose1d(2, 3, 4, stride=3, padding=1, output_padding=2), [randn(2, 2, 4)]),
    case("conv_transpose1d groups dilation", nn.ConvTranspose1d(4, 6, 3, dilation=2, groups=2), [randn(1, 4, 5)]),
    case("conv_transpose2d", nn.ConvTranspose2d(2, 3, 3), [randn(1, 2, 3, 4)]),
    case("conv_transpose2d stride", nn.ConvTranspose2d(2, 3, 3, stride=2, padding=1, output_padding=1), [randn(2, 2, 3, 2)]),
    case(
        "conv_transpose2d sides",
        nn.ConvTranspose2d(2, 2, (2, 3), stride=(1, 3), padding=(1, 0), output_padding=(0, 2), dilation=(3, 1)),
        [randn(1, 2, 3, 3)],
    ),
    case("conv_transpose2d depthwise", nn.ConvTranspose2d(3, 6, 3, stride=2, groups=3), [randn(2, 3, 2, 3)]),
    case("conv_transpose2d no bias", nn.ConvTranspose2d(4, 2, 1, groups=2, bias=False), [randn(1, 4, 2, 2)]),
    case("conv_transpose2d one element", nn.ConvTranspose2d(1, 1, 2, stride=2), [randn(1, 1, 1, 1)]),
    case("max_pool1d ceil", nn.MaxPool1d(3, stride=2, ceil_mode=True), [grid(1, 2, 6)]),
    case("max_pool1d dilation", nn.MaxPool1d(3, stride=2, padding=1, dilation=3), [grid(1, 2, 9)]),
    case("max_pool1d larger than the input", nn.MaxPool1d(3, ceil_mode=True), [grid(1, 1, 2)]),
    case("max_pool2d ceil", nn.MaxPool2d(2, ceil_mode=True), [grid(1, 2, 5, 4)]),
    case("max_pool2d ceil drops the last", nn.MaxPool2d(2, stride=3, padding=1, ceil_mode=True), [grid(1, 1, 5, 6)]),
    case(
        "max_pool2d ceil dilation",
        nn.MaxPool2d((2, 3), stride=(2, 3), padding=(1, 0), dilation=(3, 2), ceil_mode=True),
        [grid(2, 1, 7, 8)],
    ),
    case("avg_pool1d ceil", nn.AvgPool1d(3, stride=2, padding=1, ceil_mode=True), [randn(1, 2, 6)]),
    case("avg_pool2d ceil", nn.AvgPool2d(3, stride=2, ceil_mode=True), [randn(1, 2, 6, 5)]),
    case("avg_pool2d ceil padding", nn.AvgPool2d((3, 2), stride=2, padding=(1, 1), ceil_mode=True), [randn(1, 2, 6, 5)]),
    case(
        "avg_pool2d ceil padding apart",
        nn.AvgPool2d(3, stride=2, padding=1, ceil_mode=True, count_include_pad=False),
        [randn(1, 2, 6, 5)],
    ),
    case("linear", upsample("linear", 3, False), [randn(2, 2, 4)]),
    case("linear align_corners", upsample("linear", 3, True), [randn(2, 2, 4)]),
    case("linear of one element", upsample("linear", 2, True), [randn(1, 2, 1)]),
    case("bilinear", upsample("bilinear", (2, 3), False), [randn(1, 2, 3, 4)]),
    case("bilinear align_corners", upsample("bilinear", (2, 3), True), [randn(1, 2, 3, 4)]),
    case("bilinear of one element", upsample("bilinear", 1, True), [randn(1, 1, 1, 1)]),
]

write("windows.py", cases)
