"""Files → batches.

listing (names) → index (scan of new photos, duplicates) → splits → cache (working images in the store) → loading
(views, augment). PhotoFolder holds the chain, ImageFolderData is its Lightning face, photos.py the way of loose photos.
"""
