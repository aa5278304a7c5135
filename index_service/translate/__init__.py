"""Messages ↔ domain. Only this package, the servicer and `statuses` see generated code.

What a caller sent is checked here, completely: what comes out is sound. Errors name the field as the caller wrote it.
"""
