"""The configuration: what each section may hold, and how a mistake in it is reported."""
