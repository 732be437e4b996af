//! The contract's text, and reading types in WIT's terms.
//!
//! The engine checks types by their structure and says little when they differ. This module says
//! what was expected and what was found the way the author of a plugin would write it.

use std::collections::BTreeMap;

use super::error::Problem;
use super::text::one_line;
use wit_parser::{Function, InterfaceId, Resolve, Type, TypeDef, TypeDefKind};

/// What all plugins are written against.
pub const WIT: &str = include_str!("../../../plugin-sdk/wit/plugin.wit");
pub(super) const PACKAGE: &str = "mqtt-source:plugin";

/// `0.1.0` of `package mqtt-source:plugin@0.1.0;`.
pub(super) fn version() -> &'static str {
    let after = WIT.split_once("package mqtt-source:plugin@").map_or("", |(_, after)| after);
    after.split_once(';').map_or("", |(version, _)| version)
}

/// The part of a version that must agree: `0.1` of `0.1.7`, `1` of `1.2.3`.
pub(super) fn line(version: &str) -> &str {
    let dots = if version.starts_with("0.") { 2 } else { 1 };
    version.match_indices('.').nth(dots - 1).map_or(version, |(at, _)| &version[..at])
}

/// Whether something built for `found` fits this host.
pub(super) fn check_version(found: &str) -> Result<(), Problem> {
    let (found, spoken) = (line(found), line(version()));
    if found == spoken {
        return Ok(());
    }
    Err(Problem::OtherVersion { found: one_line(found), spoken: spoken.to_owned() })
}

/// An interface of the contract's package: `key-setter` and `0.1.0`, of
/// `mqtt-source:plugin/key-setter@0.1.0`.
pub(super) fn interface(name: &str) -> Option<(&str, &str)> {
    let path = name.strip_prefix(PACKAGE)?.strip_prefix('/')?;
    Some(path.split_once('@').unwrap_or((path, "")))
}

/// Where the interface of a component differs from the contract's: expected and found.
pub(super) fn difference(component: &[u8], interface: &str) -> Option<(String, String)> {
    let mut ours = Resolve::default();
    ours.push_str("plugin.wit", WIT).ok()?;
    let decoded = wit_component::decode(component).ok()?;
    let theirs = decoded.resolve();
    let expected = &ours.interfaces[find(&ours, interface)?];
    let found = &theirs.interfaces[find(theirs, interface)?];

    for (name, function) in &expected.functions {
        let wanted = signature(&ours, function);
        let Some(other) = found.functions.get(name) else {
            return Some((wanted, format!("no function `{name}`")));
        };
        let got = signature(theirs, other);
        if wanted != got {
            return Some((wanted, got));
        }
        let (wanted, got) = (named_types(&ours, function), named_types(theirs, other));
        let differing = wanted.into_iter().find(|(name, ty)| got.get(name) != Some(ty));
        if let Some((name, wanted)) = differing {
            return Some((wanted, got.get(&name).map_or("nothing", String::as_str).to_owned()));
        }
    }
    None
}

fn find(resolve: &Resolve, interface: &str) -> Option<InterfaceId> {
    let mut packages = resolve.packages.iter().map(|(_, package)| package);
    packages
        .find(|package| format!("{}:{}", package.name.namespace, package.name.name) == PACKAGE)?
        .interfaces
        .get(interface)
        .copied()
}

fn signature(resolve: &Resolve, function: &Function) -> String {
    let parameters: Vec<_> = function
        .params
        .iter()
        .map(|parameter| format!("{}: {}", parameter.name, type_name(resolve, &parameter.ty)))
        .collect();
    let result =
        function.result.map_or_else(String::new, |ty| format!(" -> {}", type_name(resolve, &ty)));
    format!("{}: func({}){result}", function.name, parameters.join(", "))
}

fn type_name(resolve: &Resolve, ty: &Type) -> String {
    let mut printer = wit_component::WitPrinter::default();
    match printer.print_type_name(resolve, ty) {
        Ok(()) => printer.output.to_string(),
        Err(_) => "?".to_owned(),
    }
}

/// The definitions of all named types that a function uses, however deep.
fn named_types(resolve: &Resolve, function: &Function) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    let mut open: Vec<Type> = function.params.iter().map(|p| p.ty).chain(function.result).collect();
    while let Some(ty) = open.pop() {
        let Type::Id(id) = ty else { continue };
        let definition = &resolve.types[id];
        open.extend(parts(definition));
        if let Some(name) = &definition.name
            && !matches!(definition.kind, TypeDefKind::Type(_))
        {
            found.insert(name.clone(), describe(resolve, name, definition));
        }
    }
    found
}

/// The types that a type is made of.
fn parts(definition: &TypeDef) -> Vec<Type> {
    match &definition.kind {
        TypeDefKind::Record(record) => record.fields.iter().map(|field| field.ty).collect(),
        TypeDefKind::Variant(variant) => variant.cases.iter().filter_map(|case| case.ty).collect(),
        TypeDefKind::Tuple(tuple) => tuple.types.clone(),
        TypeDefKind::Result(result) => result.ok.into_iter().chain(result.err).collect(),
        TypeDefKind::Option(ty) | TypeDefKind::List(ty) | TypeDefKind::Type(ty) => vec![*ty],
        _ => Vec::new(),
    }
}

fn describe(resolve: &Resolve, name: &str, definition: &TypeDef) -> String {
    let (kind, members): (_, Vec<String>) = match &definition.kind {
        TypeDefKind::Record(record) => {
            let field = |field: &wit_parser::Field| {
                format!("{}: {}", field.name, type_name(resolve, &field.ty))
            };
            ("record", record.fields.iter().map(field).collect())
        }
        TypeDefKind::Variant(variant) => {
            let case = |case: &wit_parser::Case| match &case.ty {
                Some(ty) => format!("{}({})", case.name, type_name(resolve, ty)),
                None => case.name.clone(),
            };
            ("variant", variant.cases.iter().map(case).collect())
        }
        TypeDefKind::Enum(list) => {
            ("enum", list.cases.iter().map(|case| case.name.clone()).collect())
        }
        other => (other.as_str(), Vec::new()),
    };
    format!("{kind} {name} {{ {} }}", members.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_is_the_one_in_the_contract() {
        assert_eq!(version(), "0.1.0");
    }

    #[test]
    fn before_1_the_minor_version_must_agree_and_after_it_the_major() {
        let lines = ["0.1.0", "0.12.3", "1.4.2", "10.0.0"].map(line);
        assert_eq!(lines, ["0.1", "0.12", "1", "10"]);
    }

    #[test]
    fn interfaces_are_told_by_package() {
        assert_eq!(interface("mqtt-source:plugin/host@0.1.0"), Some(("host", "0.1.0")));
        assert_eq!(interface("mqtt-source:plugins/host@0.1.0"), None);
        assert_eq!(interface("wasi:cli/environment@0.2.6"), None);
    }
}
