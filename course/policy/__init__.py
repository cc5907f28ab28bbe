"""The real policy π0: model, tokenizer, pre-training, sampling. The only part of the course that needs torch."""

import importlib.util
import sys

if missing := [name for name in ("torch", "safetensors") if not importlib.util.find_spec(name)]:
    print(
        f"error: {', '.join(missing)} not found, which the real policy needs. Install:"
        " python -m pip install -c constraints.txt -e '.[policy]'",
        file=sys.stderr,
    )
    sys.exit(2)
