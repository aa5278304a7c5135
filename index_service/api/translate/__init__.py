"""Translation between messages and the domain. Only this package, the servicer and `statuses` use generated code.

Callers' input is validated completely here, so the results are valid. Errors name the field as in the caller's message.
"""
