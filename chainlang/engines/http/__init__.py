"""HTTP between engines and servers: addresses, keys, retries, streams, requests in flight."""
