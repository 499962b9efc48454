"""`python -m jinguo`."""

from jinguo.cli import app

app()
