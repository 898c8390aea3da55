//! The only door to clock, entropy, durable files, settings, workers, shutdown and telemetry.
