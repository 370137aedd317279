"""PyTorch's loader with ONNX Runtime: TORCH_PYTHON benchmarks/peers/torch_onnx.py FOLDER ROWS.csv MODEL.onnx.

The environment holds torch, onnx, onnxruntime and pillow. A model that is missing is made, with random weights.
"""

import csv
import os
import sys
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx  # type: ignore[import-not-found]
import onnxruntime  # type: ignore[import-not-found]
import torch  # type: ignore[import-not-found]
from PIL import Image

WIDTHS = (784, 1000, 500, 10)


class Pictures:
    """What the loader's workers read."""

    def __init__(self, paths: list[Path]) -> None:
        self.paths = paths

    def __len__(self) -> int:
        return len(self.paths)

    def __getitem__(self, place: int) -> Any:
        with Image.open(self.paths[place]) as image:
            pixels = np.asarray(image.convert("L").resize((28, 28)))
        return torch.from_numpy(pixels.reshape(784).astype(np.float32) / 255)


def make_model(path: Path) -> None:
    random = np.random.default_rng(0)
    nodes, weights, last = [], [], "pixels"
    for layer, (wide, narrow) in enumerate(pairwise(WIDTHS)):
        values = random.normal(0, np.sqrt(2 / wide), (wide, narrow)).astype(np.float32)
        weights += [
            onnx.numpy_helper.from_array(values, f"w{layer}"),
            onnx.numpy_helper.from_array(np.zeros(narrow, np.float32), f"b{layer}"),
        ]
        nodes.append(onnx.helper.make_node("Gemm", [last, f"w{layer}", f"b{layer}"], [f"sum{layer}"]))
        kind, last = ("Relu" if narrow > 10 else "Softmax"), f"out{layer}"
        nodes.append(onnx.helper.make_node(kind, [f"sum{layer}"], [last]))
    tensor, floats = onnx.helper.make_tensor_value_info, onnx.TensorProto.FLOAT
    ends = [tensor("pixels", floats, ["n", 784])], [tensor(last, floats, ["n", 10])]
    graph = onnx.helper.make_graph(nodes, "digits", *ends, initializer=weights)
    opset = onnx.helper.make_opsetid("", 17)
    onnx.save(onnx.helper.make_model(graph, opset_imports=[opset], ir_version=8), path)


def main(folder: Path, rows: Path, model: Path) -> None:
    if not model.exists():
        make_model(model)
    paths = sorted(folder.rglob("*.png"))
    loader = torch.utils.data.DataLoader(Pictures(paths), batch_size=256, num_workers=len(os.sched_getaffinity(0)))
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    following = iter(paths)
    with rows.open("w", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["path", "digit", "confidence"])
        for pictures in loader:
            (chances,) = session.run(None, {"pixels": pictures.numpy()})
            for digit, chance in zip(chances.argmax(1).tolist(), chances.max(1).tolist(), strict=True):
                writer.writerow([next(following), digit, f"{chance:.4f}"])


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
