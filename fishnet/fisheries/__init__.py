"""fishnet.fisheries: tables of catch and biomass → the state of the fish, and how sure that is."""
