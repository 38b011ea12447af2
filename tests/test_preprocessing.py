"""Any picture becomes digits of 28 × 28 as MNIST shows them, or none."""

import base64
import json

import numpy as np
import pytest
from conftest import ROOT

from competition.deployment.preprocessing import centred

VECTORS = json.loads((ROOT / "tests/vectors/centred.json").read_text())


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_ink_is_centred_as_the_shared_vectors_say(vector):
    pixels = np.frombuffer(base64.b64decode(vector["pixels"]), np.uint8)
    found = centred(pixels.reshape(vector["height"], vector["width"]))
    assert (None if found is None else found.ravel().tolist()) == vector["ink"]
