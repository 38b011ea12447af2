"""The one exception that stands for a user's mistake or the world's, never for a bug of ours."""


class UserError(Exception):
    """Something the user can mend; shown as a plain message, without a traceback.

    The message says what happened, what was expected, and how to mend it.
    """
