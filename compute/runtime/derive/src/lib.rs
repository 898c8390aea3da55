//! Derives the order-preserving encoding of keys.
//!
//! The parts of a struct are encoded one after the other; an enum's variant is one byte, its position, in front of its fields. So
//! keys sort as the derived `Ord` of the same type does.

mod expand;
mod home;

use proc_macro::TokenStream;

/// Implements `KeyEncode` and `Key` for a struct or enum whose parts are keys.
///
/// The runtime is found through the package's own dependencies; where it goes by another name, `#[key(crate = path)]` on the
/// type says where the module `key` is.
#[proc_macro_derive(Key, attributes(key))]
pub fn derive_key(input: TokenStream) -> TokenStream {
    let input = syn::parse_macro_input!(input as syn::DeriveInput);
    expand::key(&input).unwrap_or_else(syn::Error::into_compile_error).into()
}
