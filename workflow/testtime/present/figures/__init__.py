"""Figures: one module each, which declares it, makes its data and draws from the data alone."""
