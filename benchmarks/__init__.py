"""How fast the package trains; nothing in the package needs it."""
