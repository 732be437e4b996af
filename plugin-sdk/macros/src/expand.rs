//! Expands an attribute: the function as it is, a check of what it takes and returns, and the
//! exports of its interface. What the exports do is ordinary code in `plugin-sdk`.

use proc_macro2::{Ident, Literal, Span, TokenStream};
use quote::{ToTokens, format_ident, quote, quote_spanned};
use syn::spanned::Spanned;
use syn::{Error, FnArg, GenericParam, ItemFn, ReturnType, Safety, Type};

use crate::attribute::Attribute;

/// The function, and what makes it what the attribute says.
pub fn expand(attribute: Attribute, arguments: &TokenStream, item: &TokenStream) -> TokenStream {
    match check(attribute, arguments, item) {
        Ok(function) => {
            let exports = exports(attribute, &function);
            let only_one = only_one(attribute, &function);
            quote!(#item #exports #only_one)
        }
        // The function stays, so that its other uses are not errors as well.
        Err(error) => {
            let error = error.into_compile_error();
            quote!(#item #error)
        }
    }
}

fn exports(attribute: Attribute, function: &ItemFn) -> TokenStream {
    let answer = answer(attribute, function);
    let attribute = attribute.ident();
    let about = Literal::byte_string(about().as_bytes());
    quote! {
        const _: () = {
            #answer
            ::plugin_sdk::__export!(#attribute, __answer, #about);
        };
    }
}

/// The function that the exports call: it calls the author's, and writes down the answer. No name
/// in it may be an author's.
fn answer(attribute: Attribute, function: &ItemFn) -> TokenStream {
    // Spanned like the type, so that a type that cannot be an answer is what the error points at.
    let span = match &function.sig.output {
        ReturnType::Type(_, returned) => returned.span(),
        ReturnType::Default => Span::call_site(),
    };
    let mut name = function.sig.ident.clone();
    name.set_span(span);
    let into = attribute.answer();
    let Some(borrowed) = attribute.borrows() else {
        return answer_to_config(&name, span, &into, function);
    };
    if attribute == Attribute::Transformer {
        return answer_to_record(&name, span, &into, function);
    }
    let arguments = arguments(function);
    let types = borrowed.iter().map(|name| Ident::new(name, Span::call_site()));
    let write = quote_spanned! {span=>
        ::plugin_sdk::#into::write(#name(#(#arguments),*), __answers)
    };
    quote! {
        // Only WebAssembly has the exports that call it.
        #[allow(dead_code)]
        fn __answer(
            #(#arguments: &::plugin_sdk::#types,)*
            __answers: &mut ::plugin_sdk::__private::Answers,
        ) {
            #write
        }
    }
}

/// A record is only unpacked for a function that takes one.
fn answer_to_record(
    name: &Ident,
    span: Span,
    into: &TokenStream,
    function: &ItemFn,
) -> TokenStream {
    let arguments = arguments(function);
    let (message, record) = (arguments.first(), arguments.get(1));
    let unpack = record.map(|record| quote!(let #record = &__record.unpack();));
    let write = quote_spanned! {span=>
        ::plugin_sdk::#into::write(#name(#(#arguments),*), __answers)
    };
    quote! {
        // Only WebAssembly has the export that calls it.
        #[allow(dead_code)]
        fn __answer(
            #message: &::plugin_sdk::Message,
            __record: &::plugin_sdk::__private::PackedRecord<'_>,
            __answers: &mut ::plugin_sdk::__private::Answers,
        ) {
            #unpack
            #write
        }
    }
}

fn answer_to_config(
    name: &Ident,
    span: Span,
    into: &TokenStream,
    function: &ItemFn,
) -> TokenStream {
    let config = match function.sig.inputs.first() {
        Some(FnArg::Typed(argument)) => argument.ty.span(),
        _ => span,
    };
    let read = quote_spanned! {config=> ::plugin_sdk::__private::configuration(__config) };
    let write = quote_spanned! {span=> ::plugin_sdk::#into::write(#name(__config), __answers) };
    quote! {
        // Only WebAssembly has the export that calls it.
        #[allow(dead_code)]
        fn __answer(__config: &str, __answers: &mut ::plugin_sdk::__private::Answers) {
            match #read {
                ::core::result::Result::Ok(__config) => #write,
                ::core::result::Result::Err(__error) => __answers.error(&__error),
            }
        }
    }
}

/// A name for each argument, spanned like its type, so that another type is what an error points at.
fn arguments(function: &ItemFn) -> Vec<Ident> {
    let inputs = function.sig.inputs.iter().enumerate();
    let name = |(index, input): (usize, &FnArg)| match input {
        FnArg::Typed(argument) => format_ident!("__argument_{index}", span = argument.ty.span()),
        FnArg::Receiver(_) => format_ident!("__argument_{index}"),
    };
    inputs.map(name).collect()
}

/// Something that there can only be once in a crate, so that a second function with the same
/// attribute is an error that points at both, on every target: the linker's would point at neither.
fn only_one(attribute: Attribute, function: &ItemFn) -> TokenStream {
    let name = format_ident!(
        "a_plugin_has_only_one_{}",
        attribute.name(),
        span = function.sig.ident.span()
    );
    quote! {
        #[doc(hidden)]
        #[macro_export]
        macro_rules! #name {
            () => {};
        }
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

fn check(
    attribute: Attribute,
    arguments: &TokenStream,
    item: &TokenStream,
) -> Result<ItemFn, Error> {
    let wrong = |found: &dyn ToTokens, problem: &str| wrong(attribute, found, problem);
    let noun = attribute.noun();
    if !arguments.is_empty() {
        return Err(wrong(arguments, "the attribute takes no arguments"));
    }
    let function: ItemFn =
        syn::parse2(item.clone()).map_err(|_| wrong(item, "this is not a function with a body"))?;
    let signature = &function.sig;

    if let Some(found) = &signature.asyncness {
        return Err(wrong(found, &format!("{noun} cannot be async")));
    }
    if let found @ Safety::Unsafe(_) = &signature.safety {
        return Err(wrong(found, &format!("{noun} cannot be unsafe")));
    }
    if let Some(found) = &signature.abi {
        return Err(wrong(found, &format!("{noun} cannot have an ABI of its own")));
    }
    let mut generics = signature.generics.params.iter();
    if let Some(found) = generics.find(|param| !matches!(param, GenericParam::Lifetime(_))) {
        return Err(wrong(found, &format!("{noun} cannot be generic")));
    }
    if let Some(found @ FnArg::Receiver(_)) = signature.inputs.first() {
        return Err(wrong(found, &format!("{noun} cannot be a method")));
    }
    check_arguments(attribute, &function)?;
    if attribute.answers() && matches!(signature.output, ReturnType::Default) {
        return Err(wrong(signature, &format!("{noun} returns something")));
    }
    Ok(function)
}

fn check_arguments(attribute: Attribute, function: &ItemFn) -> Result<(), Error> {
    let noun = attribute.noun();
    let inputs = &function.sig.inputs;
    let Some(borrowed) = attribute.borrows() else {
        return match inputs.len() {
            1 => Ok(()),
            _ => Err(wrong(attribute, &function.sig, &format!("{noun} gets one configuration"))),
        };
    };
    let needs = attribute.needs();
    if !(needs..=borrowed.len()).contains(&inputs.len()) {
        let wanted = borrowed.iter().enumerate().map(|(index, name)| {
            let optionally = if index < needs { "" } else { "optionally " };
            format!("{optionally}one `&{name}`")
        });
        let problem = format!("{noun} gets {}", wanted.collect::<Vec<_>>().join(" and "));
        return Err(wrong(attribute, &function.sig, &problem));
    }
    for (input, name) in inputs.iter().zip(borrowed) {
        if let FnArg::Typed(argument) = input
            && !is_reference_to(&argument.ty, name)
        {
            return Err(wrong(attribute, &argument.ty, &format!("{noun} gets a `&{name}`")));
        }
    }
    Ok(())
}

/// The error at a place, with the problem and what would be right.
fn wrong(attribute: Attribute, found: &dyn ToTokens, problem: &str) -> Error {
    let (name, example) = (attribute.name(), attribute.example());
    Error::new_spanned(
        found.to_token_stream(),
        format!("{problem}: `#[{name}]` goes on a function like `{example}`"),
    )
}

fn is_reference_to(argument: &Type, name: &str) -> bool {
    let Type::Reference(reference) = argument else {
        return false;
    };
    let Type::Path(path) = &*reference.elem else {
        return false;
    };
    let last = path.path.segments.last();
    reference.mutability.is_none() && last.is_some_and(|segment| segment.ident == name)
}
