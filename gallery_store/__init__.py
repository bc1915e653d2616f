"""Crops of people, their metadata and CLIP vectors: storage, exact search, safe decoding, import.

Imports nothing else of ChatReID, and loads no model on import.
"""
