"""A self-hosted message hub that counts what it carries."""

__version__ = "0.1.0"
