"""What storekit does, each flow written once as `async def` over ports."""
