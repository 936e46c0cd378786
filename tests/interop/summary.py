"""What torchinfo says of LeNet-5, which tests/summary.rs holds `summary` to.

    pip install torch torchinfo; python summary.py
"""
from torch import nn
from torchinfo import summary

net = nn.Sequential(
    nn.Conv2d(1, 6, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2),
    nn.Conv2d(6, 16, 5), nn.ReLU(), nn.MaxPool2d(2), nn.Flatten(),
    nn.Linear(400, 120), nn.ReLU(), nn.Linear(120, 84), nn.ReLU(), nn.Linear(84, 10),
)
print(summary(net, (64, 1, 28, 28), col_names=("output_size", "num_params", "mult_adds"), verbose=0))
