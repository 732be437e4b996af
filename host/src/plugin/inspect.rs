//! What a file of a plugin is made of, for whoever wants it smaller or wonders what it asks for.

use wasmparser::{Encoding, Parser, Payload};

/// What a file is made of.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// Whether it is a component already; otherwise it is a core module, and the host makes one of it.
    pub component: bool,
    /// What it imports, as `module.name` of a core module and as the interface of a component, in order.
    pub imports: Vec<String>,
    /// Bytes of code.
    pub code: usize,
    /// Bytes of data that memories begin with.
    pub data: usize,
    /// Bytes of debugging information, which nothing reads.
    pub debug: usize,
    /// Whether functions have names, which tell where a trap was.
    pub names: bool,
}

impl Inspection {
    /// Looks into a file. What cannot be read is left out: whether it can be loaded is not said here.
    #[must_use]
    pub fn of(bytes: &[u8]) -> Self {
        let mut seen = Self::default();
        // Modules and components within a component; its own imports stand at depth 0.
        let mut depth = 0_usize;
        for payload in Parser::new(0).parse_all(bytes).map_while(Result::ok) {
            match payload {
                Payload::Version { encoding: Encoding::Component, .. } => seen.component = true,
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ImportSection(section) if depth == 0 => {
                    let imports = section.into_imports().map_while(Result::ok);
                    seen.imports
                        .extend(imports.map(|import| format!("{}.{}", import.module, import.name)));
                }
                Payload::ComponentImportSection(section) if depth == 0 => {
                    let imports = section.into_iter().map_while(Result::ok);
                    seen.imports.extend(imports.map(|import| import.name.name.to_owned()));
                }
                Payload::CodeSectionStart { size, .. } => seen.code += size as usize,
                Payload::DataSection(section) => seen.data += section.range().len(),
                Payload::CustomSection(section) if section.name().starts_with(".debug_") => {
                    seen.debug += section.data().len();
                }
                Payload::CustomSection(section) => seen.names |= section.name() == "name",
                _ => {}
            }
        }
        seen
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inspect(text: &str) -> Inspection {
        Inspection::of(&wat::parse_str(text).expect("WebAssembly text"))
    }

    #[test]
    fn a_module_tells_its_imports_sizes_and_names() {
        let seen = inspect(
            r#"(module (import "env" "clock" (func)) (memory 1) (func $named (nop)) (data (i32.const 0) "abcdefgh"))"#,
        );
        assert_eq!(seen.imports, ["env.clock"]);
        assert!(!seen.component && seen.names && seen.code > 0 && seen.data >= 8, "{seen:?}");
    }

    #[test]
    fn a_component_tells_its_own_imports_and_the_sizes_of_its_modules() {
        let seen = inspect(
            r#"(component (import "wasi:cli/stdout@0.2.0" (instance))
                 (core module (import "inner" "one" (func)) (func (nop))))"#,
        );
        assert_eq!(seen.imports, ["wasi:cli/stdout@0.2.0"]);
        assert!(seen.component && seen.code > 0, "{seen:?}");
    }

    #[test]
    fn debugging_information_is_told_apart() {
        let mut bytes = wat::parse_str("(module)").expect("WebAssembly text");
        bytes.extend(b"\x00\x10\x0b.debug_infoDEBU");
        assert_eq!(Inspection::of(&bytes), Inspection { debug: 4, ..Inspection::default() });
    }

    #[test]
    fn whatever_is_no_webassembly_is_empty() {
        assert_eq!(Inspection::of(b"nonsense"), Inspection::default());
    }
}
