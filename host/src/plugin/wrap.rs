//! Making a component of whatever a compiler put out.
//!
//! `cargo build --target wasm32-unknown-unknown` makes a core module that carries its world in a
//! custom section; other compilers leave only the contract's names on their exports. Both become
//! components here, so that authors need no tool besides their compiler.

use std::borrow::Cow;

use wasmparser::{Encoding, Parser, Payload};
use wit_component::{ComponentEncoder, StringEncoding};
use wit_parser::Resolve;

use super::contract::{self, PACKAGE, WIT};
use super::error::Problem;
use super::interfaces;
use super::preview1;
use super::text::{joined, one_line};

/// The bytes of a file as a component.
pub(super) fn component(bytes: &[u8]) -> Result<Cow<'_, [u8]>, Problem> {
    if !bytes.starts_with(b"\0asm") {
        return Err(Problem::NotWasm(what_instead(bytes)));
    }
    let module = match Surface::read(bytes) {
        Ok(Some(module)) => module,
        Ok(None) => return Ok(Cow::Borrowed(bytes)),
        Err(error) => return Err(Problem::Invalid(joined(&error.to_string()))),
    };
    if !module.has_world && module.named().next().is_none() {
        return Err(Problem::NoContract);
    }
    let granted = |from: &str| from.contains(PACKAGE) || from == preview1::IMPORTED;
    if let Some((from, name)) = module.imports.iter().find(|(from, _)| !granted(from)) {
        return Err(Problem::NotGranted(one_line(&format!("{from}.{name}"))));
    }
    let needs_system = module.imports.iter().any(|(from, _)| *from == preview1::IMPORTED);
    let described =
        if module.has_world { Cow::Borrowed(bytes) } else { module.describe(bytes)?.into() };
    encode(&described, needs_system).map(Cow::Owned).map_err(|error| unfit(&error))
}

/// The two innermost causes: which export, and what is wrong with it.
fn unfit(error: &anyhow::Error) -> Problem {
    let causes: Vec<_> = error.chain().map(ToString::to_string).collect();
    Problem::Unfit(joined(&causes[causes.len().saturating_sub(2)..].join(": ")))
}

fn encode(module: &[u8], needs_system: bool) -> anyhow::Result<Vec<u8>> {
    // The engine validates the component; once is enough.
    let mut encoder = ComponentEncoder::default().module(module)?.validate(false);
    if needs_system {
        encoder = encoder.adapter(preview1::IMPORTED, &preview1::adapter()?)?;
    }
    encoder.encode()
}

fn what_instead(bytes: &[u8]) -> &'static str {
    match bytes {
        [] => "empty",
        [b'(', ..] => "WebAssembly in text form",
        [0x7f, b'E', b'L', b'F', ..] => "a native program or library",
        _ if bytes.len() < 4 && b"\0asm".starts_with(bytes) => "cut short",
        _ if std::str::from_utf8(bytes).is_ok() => "text",
        _ => "something else",
    }
}

/// What a core module shows to the outside.
#[derive(Default)]
struct Surface<'a> {
    imports: Vec<(&'a str, &'a str)>,
    exports: Vec<&'a str>,
    /// Whether a custom section says what world the module was built for.
    has_world: bool,
}

impl<'a> Surface<'a> {
    /// `None` for a component.
    fn read(bytes: &'a [u8]) -> wasmparser::Result<Option<Self>> {
        let mut surface = Self::default();
        for payload in Parser::new(0).parse_all(bytes) {
            match payload? {
                Payload::Version { encoding: Encoding::Component, .. } => return Ok(None),
                Payload::ImportSection(section) => {
                    for import in section.into_imports() {
                        let import = import?;
                        surface.imports.push((import.module, import.name));
                    }
                }
                Payload::ExportSection(section) => {
                    for export in section {
                        surface.exports.push(export?.name);
                    }
                }
                Payload::CustomSection(section) => {
                    surface.has_world |= section.name().starts_with("component-type");
                }
                _ => {}
            }
        }
        Ok(Some(surface))
    }

    /// Interfaces of the contract that the names of the exports tell of, and their versions.
    fn named(&self) -> impl Iterator<Item = (&'a str, &'a str)> {
        self.exports.iter().filter_map(|name| contract::interface(name.split_once('#')?.0))
    }

    /// Adds the world that the names of the exports tell of.
    fn describe(&self, bytes: &[u8]) -> Result<Vec<u8>, Problem> {
        let found: Vec<_> = self.named().collect();
        let Some((_, version)) = found.first() else {
            return Err(Problem::NoContract);
        };
        contract::check_version(version)?;
        let known =
            interfaces::NAMES.iter().filter(|known| found.iter().any(|(name, _)| name == *known));
        let exports: Vec<_> = known.map(|name| format!("export {name};")).collect();
        if exports.is_empty() {
            let names: Vec<_> = found.iter().map(|(name, _)| *name).collect();
            return Err(Problem::NoAbility(one_line(&names.join(", "))));
        }
        let wit = format!("{WIT}\nworld found {{ include sdk-imports; {} }}", exports.join(" "))
            .replacen(&format!("@{}", contract::version()), &format!("@{version}"), 1);
        let mut described = bytes.to_vec();
        embed(&mut described, &wit).map_err(|error| unfit(&error))?;
        Ok(described)
    }
}

fn embed(module: &mut Vec<u8>, wit: &str) -> anyhow::Result<()> {
    let mut resolve = Resolve::default();
    let package = resolve.push_str("plugin.wit", wit)?;
    let world = resolve.select_world(&[package], Some("found"))?;
    wit_component::embed_component_metadata(module, &resolve, world, StringEncoding::UTF8)
}
