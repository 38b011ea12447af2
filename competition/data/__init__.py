"""Where digits come from, how they are split, and how they are varied."""
