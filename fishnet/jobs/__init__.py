"""Commands on this machine, under Slurm or on a Ray cluster.

executors start them, tied ends them with their starter, cause reads why they ended, parts runs a command as several.
"""
