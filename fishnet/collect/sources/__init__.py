"""Where photos are found: one small file a source, all behind one interface."""
