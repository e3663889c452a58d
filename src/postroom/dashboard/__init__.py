"""The dashboard: a page in the browser over the public API; no SQL, no sums."""
