"""The usual loop, a picture at a time: python benchmarks/peers/tflite_loop.py FOLDER ROWS.csv MODEL.tflite."""

import csv
import sys
from pathlib import Path

import numpy as np
from ai_edge_litert.interpreter import Interpreter  # type: ignore[import-untyped]
from PIL import Image


def main(folder: Path, rows: Path, model: str) -> None:
    interpreter = Interpreter(model_path=model)
    interpreter.allocate_tensors()
    source, result = interpreter.get_input_details()[0], interpreter.get_output_details()[0]
    scale, zero = result["quantization"]
    with rows.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "digit", "confidence"])
        for path in sorted(folder.rglob("*.png")):
            with Image.open(path) as image:
                pixels = np.asarray(image.convert("L").resize((28, 28)))
            interpreter.set_tensor(source["index"], pixels[None, :, :, None])
            interpreter.invoke()
            chances = (interpreter.get_tensor(result["index"])[0].astype(np.float32) - zero) * scale
            digit = int(chances.argmax())
            writer.writerow([path, digit, f"{chances[digit]:.4f}"])


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3])
