"""Readers of chat platforms: bytes in, records out; they know neither SQL nor HTTP."""
