"""HTTP beside gRPC: every RPC for browsers and JSON, images by GET, and the web page."""
