"""How much each caller may do: rates, daily quotas, and calls at a time."""
