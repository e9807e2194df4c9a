"""The subcommands of `miner`, one module per room. Heavy imports stay inside the functions."""
