"""The mark of figures on held-out rows that had a part in the training which they judge."""

SELECTED = "selected"

SELECTED_NOTE = (
    "Selected: callbacks looked at the held-out rows after every epoch and, by what they saw "
    "there, ended the training, chose the epoch or lowered the learning rate; on these rows, such "
    "figures are optimistic."
)


def marked(name: str, is_selected: bool) -> str:
    """Returns a name, with the mark if its figures out of fold were selected."""
    return f"{name} ({SELECTED})" if is_selected else name
