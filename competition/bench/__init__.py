"""How fast the engine trains, measured beside stock Keras on the same machine and data."""
