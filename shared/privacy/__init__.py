"""Keys of persons, and what is sealed with them."""
