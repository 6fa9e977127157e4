"""Thumbnails of pictures in several sizes, and a page that waits for all of them."""
