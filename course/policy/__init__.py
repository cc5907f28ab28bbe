"""The real policy π0. The only part of the course that needs PyTorch."""

from course.core import require

require(
    ("torch", "safetensors"),
    ", which the real policy needs. Install: python -m pip install -c constraints.txt -e '.[policy]'",
)
