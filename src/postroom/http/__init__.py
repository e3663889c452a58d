"""Requests in, JSON out."""
