"""How many threads the numbers of a study are made with."""

from contextlib import AbstractContextManager


def single_threaded() -> AbstractContextManager:
    """Returns a context in which matrix products and scikit-learn compute in one thread.

    What several threads add up depends on which is ready first. And on a machine that does other
    work too, threads that wait for each other took up to sixty times as long as one.
    """
    # Only what is loaded already is limited.
    import sklearn.decomposition  # noqa: F401
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)
