"""A mend for NF4 weights on CPUs with AVX512-BF16.

There bitsandbytes 0.50 packs a layer's weights at its first use, and fails for shapes that its blocks do not divide
("shape '[64, 2]' is invalid for input of size 160"). Such a layer keeps to the way of other CPUs.
"""

from __future__ import annotations

from typing import Any

BLOCK, ROWS = 64, 32  # of a row's weights that share a scale; of rows that are packed together


def mend_four_bit(model: Any) -> None:
    """Keeps the layers of a quantized model unpacked that could not be packed."""
    from bitsandbytes.nn import Linear4bit

    for module in model.modules():
        if isinstance(module, Linear4bit) and (module.in_features % BLOCK or module.out_features % ROWS):
            module.support_avx512bf16_for_cpu = False
