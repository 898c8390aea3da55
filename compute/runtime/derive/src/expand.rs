//! The generated code.

use crate::home;
use proc_macro2::{Ident, TokenStream};
use quote::{format_ident, quote};
use syn::{Data, DeriveInput, Error, Fields, GenericParam, Index};

/// More variants than one byte can tell apart are refused.
const VARIANTS_MAX: usize = 256;

pub(crate) fn key(input: &DeriveInput) -> Result<TokenStream, Error> {
    let home = home::path(&input.attrs)?;
    let (encode, decode) = match &input.data {
        Data::Struct(data) => of_struct(&home, &data.fields),
        Data::Enum(data) => of_enum(&home, input, data)?,
        Data::Union(_) => return Err(Error::new_spanned(&input.ident, "a union is no key")),
    };
    let name = &input.ident;
    let mut for_encode = input.generics.clone();
    let mut for_decode = input.generics.clone();
    for (encode, decode) in for_encode.params.iter_mut().zip(for_decode.params.iter_mut()) {
        if let (GenericParam::Type(encode), GenericParam::Type(decode)) = (encode, decode) {
            encode.bounds.push(syn::parse_quote!(#home::key::KeyEncode));
            decode.bounds.push(syn::parse_quote!(#home::key::Key));
        }
    }
    let (encode_params, arguments, encode_where) = for_encode.split_for_impl();
    let (decode_params, _, decode_where) = for_decode.split_for_impl();
    Ok(quote! {
        #[automatically_derived]
        impl #encode_params #home::key::KeyEncode for #name #arguments #encode_where {
            fn encode_key(&self, out: &mut ::std::vec::Vec<u8>) {
                #encode
            }
        }

        #[automatically_derived]
        impl #decode_params #home::key::Key for #name #arguments #decode_where {
            fn decode_key(input: &mut &[u8]) -> ::std::result::Result<Self, #home::key::KeyError> {
                #decode
            }
        }
    })
}

/// Code that encodes `self` and code that decodes one.
fn of_struct(home: &TokenStream, fields: &Fields) -> (TokenStream, TokenStream) {
    let encode = fields.iter().enumerate().map(|(at, field)| {
        let place = match &field.ident {
            Some(name) => quote!(#name),
            None => {
                let index = Index::from(at);
                quote!(#index)
            }
        };
        quote!(#home::key::KeyEncode::encode_key(&self.#place, out);)
    });
    let unused = fields.is_empty().then(|| quote!(let _ = out;));
    let unread = fields.is_empty().then(|| quote!(let _ = input;));
    let made = made(home, &quote!(Self), fields);
    (quote!(#unused #(#encode)*), quote!(#unread ::std::result::Result::Ok(#made)))
}

fn of_enum(home: &TokenStream, input: &DeriveInput, data: &syn::DataEnum) -> Result<(TokenStream, TokenStream), Error> {
    if data.variants.is_empty() {
        return Err(Error::new_spanned(&input.ident, "an enum without variants is no key"));
    }
    if data.variants.len() > VARIANTS_MAX {
        return Err(Error::new_spanned(&input.ident, "a key has at most 256 variants"));
    }
    let mut encode = Vec::new();
    let mut decode = Vec::new();
    for (position, variant) in (0_u8..=u8::MAX).zip(&data.variants) {
        if let Some((_, number)) = &variant.discriminant {
            return Err(Error::new_spanned(number, "a key's variants sort as they stand; they have no numbers"));
        }
        let name = &variant.ident;
        let bound = bindings(&variant.fields);
        let pattern = match &variant.fields {
            Fields::Named(fields) => {
                let names = fields.named.iter().map(|field| &field.ident);
                quote!(Self::#name { #(#names: #bound),* })
            }
            Fields::Unnamed(_) => quote!(Self::#name(#(#bound),*)),
            Fields::Unit => quote!(Self::#name),
        };
        encode.push(quote! {
            #pattern => {
                out.push(#position);
                #(#home::key::KeyEncode::encode_key(#bound, out);)*
            }
        });
        let made = made(home, &quote!(Self::#name), &variant.fields);
        decode.push(quote!(#position => ::std::result::Result::Ok(#made),));
    }
    let what = input.ident.to_string();
    let decode = quote! {
        match <u8 as #home::key::Key>::decode_key(input)? {
            #(#decode)*
            #[allow(unreachable_patterns)]
            _ => ::std::result::Result::Err(#home::key::KeyError::Invalid(#what)),
        }
    };
    Ok((quote!(match self { #(#encode)* }), decode))
}

fn bindings(fields: &Fields) -> Vec<Ident> {
    (0..fields.len()).map(|at| format_ident!("part_{at}")).collect()
}

/// An expression that decodes each field in order.
fn made(home: &TokenStream, path: &TokenStream, fields: &Fields) -> TokenStream {
    let take = quote!(#home::key::Key::decode_key(input)?);
    match fields {
        Fields::Named(fields) => {
            let names = fields.named.iter().map(|field| &field.ident);
            quote!(#path { #(#names: #take),* })
        }
        Fields::Unnamed(fields) => {
            let parts = fields.unnamed.iter().map(|_| &take);
            quote!(#path(#(#parts),*))
        }
        Fields::Unit => quote!(#path),
    }
}
