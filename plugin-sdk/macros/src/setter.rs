//! Expands a setter's attribute: the function as it is, a check of what it returns, and the
//! exports of its ability. What the exports do is ordinary code in `plugin-sdk`.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, GenericParam, ItemFn, ReturnType, Safety, Type};

/// What a function decides about a record.
#[derive(Clone, Copy)]
pub enum Ability {
    Key,
    Value,
    Timestamp,
}

impl Ability {
    const fn attribute(self) -> &'static str {
        match self {
            Self::Key => "key_setter",
            Self::Value => "value_setter",
            Self::Timestamp => "timestamp_setter",
        }
    }

    const fn example(self) -> &'static str {
        match self {
            Self::Key => "fn key(message: &Message) -> Option<Vec<u8>>",
            Self::Value => "fn value(message: &Message) -> Option<Vec<u8>>",
            Self::Timestamp => "fn timestamp(message: &Message) -> Option<i64>",
        }
    }

    /// The trait that answers of this ability have.
    fn answer(self) -> TokenStream {
        match self {
            Self::Key => quote!(IntoKey),
            Self::Value => quote!(IntoValue),
            Self::Timestamp => quote!(IntoTimestamp),
        }
    }
}

/// The function, and what makes it a setter.
pub fn expand(ability: Ability, arguments: &TokenStream, item: &TokenStream) -> TokenStream {
    match check(ability, arguments, item) {
        Ok(function) => {
            let exports = exports(ability, &function);
            quote!(#item #exports)
        }
        // The function stays, so that its other uses are not errors as well.
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#item #error)
        }
    }
}

fn exports(ability: Ability, function: &ItemFn) -> TokenStream {
    // Spanned like the type, so that a type that cannot be an answer is what the error points at.
    let span = match &function.sig.output {
        ReturnType::Type(_, returned) => returned.span(),
        ReturnType::Default => Span::call_site(),
    };
    let mut name = function.sig.ident.clone();
    name.set_span(span);
    let answer = ability.answer();
    let write = quote_spanned! {span=>
        ::plugin_sdk::#answer::write(#name(__message), __answers)
    };
    let attribute = Ident::new(ability.attribute(), Span::call_site());
    let about = Literal::byte_string(about().as_bytes());
    quote! {
        const _: () = {
            // Called by the exports, which only WebAssembly has. No name here may be a setter's.
            #[allow(dead_code)]
            fn __answer(
                __message: &::plugin_sdk::Message,
                __answers: &mut ::plugin_sdk::__private::Answers,
            ) {
                #write
            }
            ::plugin_sdk::__export!(#attribute, __answer, #about);
        };
    }
}

/// One line of JSON about the SDK and the plugin, for a custom section that the host reads.
fn about() -> String {
    let variable = |name| std::env::var(name).unwrap_or_default().replace(['"', '\\'], "");
    format!(
        "{{\"sdk\":\"plugin-sdk\",\"sdk_version\":\"{}\",\"plugin\":\"{}\",\"plugin_version\":\"{}\"}}\n",
        env!("CARGO_PKG_VERSION"),
        variable("CARGO_PKG_NAME"),
        variable("CARGO_PKG_VERSION"),
    )
}

fn check(ability: Ability, arguments: &TokenStream, item: &TokenStream) -> Result<ItemFn, Error> {
    let wrong = |found: &dyn ToTokens, problem: &str| {
        let (attribute, example) = (ability.attribute(), ability.example());
        Error::new_spanned(
            found.to_token_stream(),
            format!("{problem}: `#[{attribute}]` goes on a function like `{example}`"),
        )
    };
    if !arguments.is_empty() {
        return Err(wrong(arguments, "the attribute takes no arguments"));
    }
    let function: ItemFn =
        syn::parse2(item.clone()).map_err(|_| wrong(item, "this is not a function with a body"))?;
    let signature = &function.sig;

    if let Some(found) = &signature.asyncness {
        return Err(wrong(found, "a setter cannot be async"));
    }
    if let found @ Safety::Unsafe(_) = &signature.safety {
        return Err(wrong(found, "a setter cannot be unsafe"));
    }
    if let Some(found) = &signature.abi {
        return Err(wrong(found, "a setter cannot have an ABI of its own"));
    }
    let mut generics = signature.generics.params.iter();
    if let Some(found) = generics.find(|param| !matches!(param, GenericParam::Lifetime(_))) {
        return Err(wrong(found, "a setter cannot be generic"));
    }
    if let Some(found @ FnArg::Receiver(_)) = signature.inputs.first() {
        return Err(wrong(found, "a setter cannot be a method"));
    }
    match signature.inputs.iter().collect::<Vec<_>>()[..] {
        [FnArg::Typed(argument)] if is_message(&argument.ty) => {}
        [FnArg::Typed(argument)] => {
            return Err(wrong(&argument.ty, "a setter gets a `&Message`"));
        }
        _ => return Err(wrong(signature, "a setter gets one `&Message`")),
    }
    if matches!(signature.output, ReturnType::Default) {
        return Err(wrong(signature, "a setter returns something"));
    }
    Ok(function)
}

fn is_message(argument: &Type) -> bool {
    let Type::Reference(reference) = argument else {
        return false;
    };
    let Type::Path(path) = &*reference.elem else {
        return false;
    };
    let last = path.path.segments.last();
    reference.mutability.is_none() && last.is_some_and(|segment| segment.ident == "Message")
}
