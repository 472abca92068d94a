"""The declaration of a class as dataclasses: fields, keys, indexes, references, state machines."""
