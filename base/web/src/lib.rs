//! HTTP for every daemon: host checks, error bodies, metrics, the page shell and its assets.
