"""One file a verb; this room and config/ alone import Hydra."""
