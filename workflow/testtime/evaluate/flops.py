"""Compute, from parameters and tokens.

Source: Kaplan et al. (2020), "Scaling laws for neural language models", section 2.1: about 2·P
floating-point operations per token forward and 6·P per token of training.
"""

import numpy as np


def pretraining_flops(parameters: float, tokens: float) -> float:
    """6·P·D: FLOPs of training P parameters on D tokens."""
    return 6.0 * parameters * tokens


def inference_flops(parameters: float, tokens: np.ndarray | float) -> np.ndarray | float:
    """2·P·T: FLOPs of P parameters generating or reading T tokens."""
    return 2.0 * parameters * tokens
