"""Hydra's configuration tree; installed as fishnet.conf."""
