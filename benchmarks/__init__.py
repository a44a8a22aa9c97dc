"""The benchmark: this client and its peers on one load server. `make bench`; how it works is in docs/performance.md."""
