"""The error that is shown to a user as one sentence."""


class InputError(ValueError):
    """Bad input from outside: a config key, a path, a file.

    The message is one clear sentence that names the file or the key, says what was expected and
    what was found. Faults of the program itself are left to Python's own exceptions.
    """
