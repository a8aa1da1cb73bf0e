"""Fixture agent; only its existence matters."""
