"""Thumbnails of pictures in several sizes, and a page that depends on all of them."""
