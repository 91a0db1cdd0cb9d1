"""Lightning callbacks, one job each; none of them changes what training computes."""
