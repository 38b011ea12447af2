"""The sections of a configuration: what each may hold, and how a mistake in it is told."""
