"""Write the card beside each shipped model from what its file says: python benchmarks/make_cards.py."""

from importlib import resources
from pathlib import Path

from digit_export.settings import MAX_LOST
from digit_infer.bundle import Bundle, read_bundle
from digit_infer.settings import SHIPPED

# the commits that make those models again that today's recipe, or its normaliser on drawn outliers, does not
MADE_AT = {"base": "d34cb0a", "nano": "07dab7b"}


def main() -> None:
    folder = Path(str(resources.files("digit_infer"))) / "models"
    for bundle in map(read_bundle, SHIPPED):
        (folder / f"{bundle.name}.md").write_text(card(bundle))


def card(bundle: Bundle) -> str:
    """What a user should know of one model, as Markdown."""
    contract, name = bundle.contract, bundle.name
    training, parity = contract["training"], contract["parity"]
    config = training["config"]
    per_class = ", ".join(f"{digit}: {value:.2%}" for digit, value in enumerate(training["test_accuracy_per_class"]))
    front = f"{config['crop']} px cut off each side, " if config["crop"] else ""
    front += f"{config['pool']} x {config['pool']} average pooling, " if config["pool"] > 1 else ""
    least = contract["reject"]["min_confidence"]
    rejected = (
        f"Rejected below a confidence of {least:g}, as are at most {MAX_LOST:.1%} of the right\n"
        "  answers on the held-back pictures."
        if least
        else "Nothing is rejected for its confidence."
    )
    remarks = "" if config["outliers"] else "\n  It answers with a digit whatever it is shown."
    error = contract["calibration_error"]
    digests = [f"weights with SHA-256 `{digest}`" for digest in training["teachers_sha256"] or ()]
    teachers = ", ".join(digests) or "none"
    commit = f" of commit {MADE_AT[name]}" if name in MADE_AT else ""
    bits = ", hidden weights in 4 bits" if config["four_bit"] else ""
    return f"""# {name}

- File: `{name}.tflite`, {len(bundle.content):,} bytes, of which {contract["flatbuffer"]["bytes"]:,} are the network.
- SHA-256: `{bundle.sha256}`
- Network: {front}{"-".join(map(str, training["widths"]))} in Dense layers with ReLU{bits},
  {training["parameters"]:,} parameters in training.
- Trained by `python benchmarks/release.py {name} --seed {config["seed"]}`{commit}
  in {training["seconds"] / 60:.0f} min on two CPU cores, what it started or learnt from apart. Accuracy on the
  held-back pictures: {training["validation_accuracy"]:.2%}.
- Teacher: {teachers}.
- Data: MNIST with {config["validation"]:,} training pictures held back; SHA-256 over its four arrays
  `{training["data_sha256"]}`.
- Weights: SHA-256 `{training["weights_sha256"]}`.
- Exported by `digit-export` to {contract["quantization"]}, calibrated on {contract["calibration"]["pictures"]} training
  pictures.
- MNIST test set: {parity["candidate_accuracy"]:.2%} as shipped, {parity["reference_accuracy"]:.2%} in float; top-1
  agreement {parity["agreement"]:.2%}; largest difference of a probability {parity["largest_difference"]:.3f}.
- By class, in float: {per_class}.
- {rejected}
- Expected calibration error on the test set, 15 bins: {error["after"]:.2%}; {error["before"]:.2%} before the logits
  were divided by {contract["temperature"]:g}, which was fitted on the held-back pictures.
- Confusion, in float, a row for each true digit:

{confusion(training["test_confusion"])}

- Limits: single handwritten digits, upright, one in each picture.{remarks}
"""


def confusion(matrix: list[list[int]]) -> str:
    """A Markdown table of counts."""
    rows = [["", *map(str, range(10))], ["---:"] * 11]
    rows += [[f"**{digit}**", *(str(count or "") for count in counts)] for digit, counts in enumerate(matrix)]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


if __name__ == "__main__":
    main()
