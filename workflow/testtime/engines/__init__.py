"""Engines: what runs policies and PRMs, one package each, loaded by `load`."""
