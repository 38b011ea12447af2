"""A trained ensemble put to use: one small net that predicts anywhere."""
