"""The paper's tables in this study's own numbers, one module per table."""
