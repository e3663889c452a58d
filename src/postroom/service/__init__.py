"""Use cases: they decide, and own the transaction."""
