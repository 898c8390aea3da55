//! Generates the Hadoop messages from `proto/` into OUT_DIR; no protoc needed.

use std::error::Error;

const FILES: [&str; 11] = [
    "rpc.proto",
    "security.proto",
    "acl.proto",
    "xattr.proto",
    "hdfs.proto",
    "namespace.proto",
    "blocks.proto",
    "admin.proto",
    "datanode.proto",
    "namenode.proto",
    "datatransfer.proto",
];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    println!("cargo:rerun-if-changed=build.rs");
    let descriptors = protox::compile(FILES, ["proto"])?;
    prost_build::Config::new().compile_fds(descriptors)?;
    Ok(())
}
