"""The conformance suites: what the other engine knows, what Columna says, and how the two are compared."""
