"""The declaration of a class as data: fields, keys, indexes, references, state machines."""
