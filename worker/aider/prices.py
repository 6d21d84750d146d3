"""Writes LiteLLM's price table as tab-separated lines: model, dollars per input
token, per output token, per cached input token.

    python prices.py FILE
"""

import importlib.util
import json
import os
import sys
from pathlib import Path


def table():
    """LiteLLM's bundled table, read from its package without importing it."""
    spec = importlib.util.find_spec("litellm")
    folder = Path(spec.origin).parent
    with open(folder / "model_prices_and_context_window_backup.json", encoding="utf-8") as f:
        return json.load(f)


def rows(entries):
    """(name, input, output, cached) for each priced model that answers chats. A
    model listed without its provider also gets the name with it."""
    out = {}
    for name, entry in entries.items():
        if name == "sample_spec" or entry.get("mode") not in (None, "chat", "responses"):
            continue
        price_in = entry.get("input_cost_per_token")
        price_out = entry.get("output_cost_per_token")
        if price_in is None or price_out is None:
            continue
        cached = entry.get("cache_read_input_token_cost")
        row = (price_in, price_out, price_in if cached is None else cached)
        out[name] = row
        provider = entry.get("litellm_provider")
        if provider and "/" not in name:
            out.setdefault(f"{provider}/{name}", row)
    return sorted((name, *row) for name, row in out.items())


def write(path, lines):
    part = f"{path}.{os.getpid()}"
    with open(part, "w", encoding="utf-8") as f:
        for name, *numbers in lines:
            f.write("\t".join([name, *(f"{float(n):.12g}" for n in numbers)]) + "\n")
    os.replace(part, path)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: prices.py FILE")
    write(sys.argv[1], rows(table()))
