"""The tables of a study: each module declares its tables and inputs, and makes them."""
