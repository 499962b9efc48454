"""公筷公勺进家庭: households pledge to use serving chopsticks, and their communities chain up."""
