"""Write the card beside each shipped model from what its file says: python benchmarks/make_cards.py."""

from dataclasses import asdict
from importlib import resources
from pathlib import Path
from typing import Any

from digit_export.settings import MAX_LOST
from digit_infer.bundle import Bundle, read_bundle
from digit_infer.settings import SHIPPED
from digit_train.config import PRESETS

NOTES = {
    "base": """
- Its drawn pictures went through the normaliser as it was shortly before version 2 was done: the command trains such a
  network anew, though not to the same bytes.""",
}


def main() -> None:
    folder = Path(str(resources.files("digit_infer"))) / "models"
    for name in SHIPPED:
        (folder / f"{name}.md").write_text(card(read_bundle(name)))


def card(bundle: Bundle) -> str:
    """What a user should know of one model, as Markdown."""
    contract, name = bundle.contract, bundle.name
    training, parity = contract["training"], contract["parity"]
    config = training["config"]
    per_class = ", ".join(f"{digit}: {value:.2%}" for digit, value in enumerate(training["test_accuracy_per_class"]))
    pooled = f"{config['pool']} x {config['pool']} average pooling, " if config["pool"] > 1 else ""
    remarks = "" if config.get("outliers") else "\n  It answers with a digit whatever it is shown."
    remarks += NOTES.get(name, "")
    widths = "-".join(map(str, [784 // config["pool"] ** 2, *config["hidden"], 10]))
    return f"""# {name}

- File: `{name}.tflite`, {len(bundle.content):,} bytes, of which {contract["flatbuffer"]["bytes"]:,} are the network.
- SHA-256: `{bundle.sha256}`
- Network: {pooled}{widths} in Dense layers with batch norm and ReLU, {training["parameters"]:,} parameters in training.
- Trained by `{command(name, training)}`
  in {training["seconds"] / 60:.0f} minutes on two CPU cores; the best of {training["epochs"]} epochs by validation
  loss was {training["best_epoch"]}.
- Data: MNIST with {config["validation"]:,} training pictures held back; SHA-256 over its four arrays
  `{training["data_sha256"]}`.
- Weights: SHA-256 `{training["weights_sha256"]}`.
- Exported by `digit-export` to {contract["quantization"]}, calibrated on {contract["calibration"]["pictures"]} training
  pictures.
- MNIST test set: {parity["candidate_accuracy"]:.2%} as shipped, {parity["reference_accuracy"]:.2%} in float; top-1
  agreement {parity["agreement"]:.2%}; largest difference of a probability {parity["largest_difference"]:.3f}.
- By class, in float: {per_class}.
- Rejected below a confidence of {contract["reject"]["min_confidence"]:g}, as are at most {MAX_LOST:.1%} of the right
  answers on the held-back pictures.
- Limits: single handwritten digits, upright, one in each picture. Its probabilities are not calibrated.{remarks}
"""


def command(preset: str, training: dict[str, Any]) -> str:
    """The command line that trains such a model: the options whose values are not the preset's."""
    config, default = training["config"], asdict(PRESETS[preset])
    options = [
        f" --{name.replace('_', '-')} {config[name]}"
        for name in ("epochs", "patience", "batch_size", "learning_rate", "dropout", "styles", "outliers", "seed")
        if config.get(name, default[name]) != default[name]
    ]
    return f"digit-train --preset {preset}{''.join(options)}"


if __name__ == "__main__":
    main()
