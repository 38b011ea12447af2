"""Where digits come from, how they are split, and how they are varied."""

import os

# albumentations asks the network for a newer release when it is imported, unless told not to.
os.environ.setdefault("NO_ALBUMENTATIONS_UPDATE", "1")
