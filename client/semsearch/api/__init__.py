"""The methods of the clients, by what they do. Each builds a call; `semsearch.transport.methods` says how it is sent.

In the examples, `client` is a `Client` of a gateway whose default collection has pictures of fruit and animals.
"""
