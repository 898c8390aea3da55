# Recipes for daily work. `just verify` writes nothing and is what CI runs.

verify:
    bash .ci/run

fix:
    cargo fmt --all
    cargo clippy --workspace --all-targets --fix --allow-dirty

sim seed:
    MAMMOTH_SIM_SEED={{seed}} cargo test -p mammoth-simulator -- --nocapture one_seed

bench:
    cargo run --release -p mammoth-bench

screenshots:
    bash integration-tests/screenshots.sh
