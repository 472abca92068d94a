"""What a class declares, as data: fields, keys, indexes, references, state machines."""
