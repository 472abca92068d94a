"""`python -m storekit.cli`."""

from storekit.cli import main

main()
