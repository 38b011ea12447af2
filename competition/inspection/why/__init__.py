"""Why the nets say what they say of some digits, as a page and as PNG sheets; computes nothing."""
