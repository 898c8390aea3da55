//! The parsers of what drivers and executors send, for the fuzz targets: nothing else calls them by these names.

use crate::program::{BlobId, OpCode, Program, ProgramInput, ProgramNode, UNION};
use crate::wire::{Hello, NumberedReport, Order, Orders, OrdersWanted, Welcome};
use mammoth_engine_core::api::{DatasetId, ShuffleId};
use serde::Serialize;
use serde::de::DeserializeOwned;

fn message<T: Serialize + DeserializeOwned>(bytes: &[u8]) {
    let Ok(message) = postcard::from_bytes::<T>(bytes) else { return };
    let again = postcard::to_allocvec(&message).expect("plain data");
    let back = postcard::from_bytes::<T>(&again).expect("its own bytes");
    // Not compared as values: a number that is none is not equal to itself.
    assert_eq!(postcard::to_allocvec(&back), Ok(again));
}

/// Reads bytes, two of a length aside, as each kind of message between driver and executor.
pub fn executor_messages(bytes: &[u8]) {
    let bytes = bytes.get(2..).unwrap_or_default();
    message::<Hello>(bytes);
    message::<Welcome>(bytes);
    message::<OrdersWanted>(bytes);
    message::<Orders>(bytes);
    message::<NumberedReport>(bytes);
}

/// Some orders.
#[must_use]
pub fn orders() -> Vec<u8> {
    let orders = vec![
        (1, Order::DropDataset(DatasetId(5))),
        (2, Order::DropBlobs(vec![BlobId([1; 32])])),
        (3, Order::DropShuffle { shuffle: ShuffleId(1), before: Some(2) }),
        (4, Order::Stop { reason: "r".to_owned() }),
    ];
    postcard::to_allocvec(&Orders { orders }).expect("plain data")
}

/// A stage of three nodes.
#[must_use]
pub fn program() -> Program {
    let node = |inputs| ProgramNode {
        dataset: DatasetId(0),
        name: "n".to_owned(),
        op: OpCode::named(UNION),
        inputs,
        cache: None,
    };
    let foreign = OpCode::Foreign { runtime: "r".to_owned(), payload: vec![1] };
    let shuffle = ProgramInput::Shuffle { shuffle: ShuffleId(4) };
    let narrow = |node, readers| ProgramInput::Narrow { node, readers };
    Program {
        name: "s".to_owned(),
        nodes: vec![node(vec![shuffle]), node(Vec::new()), node(vec![narrow(0, Some(0..2)), narrow(1, None)])],
        sink: foreign,
        writes: Some((ShuffleId(5), 2)),
    }
}
