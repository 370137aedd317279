"""The models that ship."""

from pathlib import Path

MODELS = Path(__file__).parent
