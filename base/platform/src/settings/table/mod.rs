//! The table of every key that has an effect here, by who reads it.

mod client;
mod common;
mod datanode;
mod jobs;
mod mammoth;
mod namenode;

use super::kinds::Spec;
use std::collections::BTreeMap;
use std::sync::LazyLock;

/// The keys, as constants for the typed getters of [`super::Settings`].
pub mod keys {
    pub use super::client::keys::*;
    pub use super::common::keys::*;
    pub use super::datanode::keys::*;
    pub use super::jobs::keys::*;
    pub use super::mammoth::keys::*;
    pub use super::namenode::keys::*;
}

/// Writes each key of a table once: `/// sentence` and `CONSTANT: Kind("hadoop.name", "default", bounds…);`.
macro_rules! table {
    ($($(#[doc = $doc:literal])+ $name:ident: $kind:ident($($arg:expr),* $(,)?);)*) => {
        pub(in crate::settings) mod keys {
            use crate::settings::kinds::*;
            use std::marker::PhantomData;

            $(
                $(#[doc = $doc])+
                pub const $name: Key<$kind> = Key {
                    spec: {
                        const SPEC: &Spec = &$kind::spec($($arg),*).documented(concat!($($doc),+));
                        SPEC
                    },
                    kind: PhantomData,
                };
            )*
        }

        pub(super) const TABLE: &[&crate::settings::kinds::Spec] = &[$(keys::$name.spec),*];
    };
}
use table;

static BY_NAME: LazyLock<BTreeMap<&'static str, &'static Spec>> =
    LazyLock::new(|| all().map(|spec| (spec.name, spec)).collect());

/// Every key of the table.
pub fn all() -> impl Iterator<Item = &'static Spec> {
    let parts = [common::TABLE, client::TABLE, namenode::TABLE, datanode::TABLE, jobs::TABLE, mammoth::TABLE];
    parts.into_iter().flatten().copied()
}

/// The key of that name.
pub(super) fn find(name: &str) -> Option<&'static Spec> {
    BY_NAME.get(name).copied()
}
