"""The error that scripts show as one plain line."""


class InputError(ValueError):
    """Something the user gave cannot be used; the text says where, what, and what to do."""
