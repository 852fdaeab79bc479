"""The base of all forms: Flask-WTF's, read as text."""

from flask_wtf import FlaskForm


class Form(FlaskForm):
    """A posted form. Its ``<input>`` elements are written in the templates; here stands the shape alone."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]

    def text(self, name: str) -> str:
        """What was typed into a field, as it came; empty where the field is not there."""
        return str(self[name].data or "")
