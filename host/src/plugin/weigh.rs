//! How much there is to do for a component before it can be used.
//!
//! A component may contain components and make as many instances of each as it likes, and the engine
//! works through all of them as it compiles. So a few hundred bytes can ask for more than there is
//! memory: two of what is two of what is two ...

use wasmparser::{
    ComponentAlias, ComponentExternalKind, ComponentInstance, ComponentOuterAliasKind,
    ComponentTypeRef, Encoding, Parser, Payload,
};

use super::error::Problem;

/// Items in all instances together. Components of the SDK have about a hundred, those of
/// interpreters a few thousand.
const MOST: u64 = 100_000;

/// Components in components. The engine takes no more, and is asked where that cannot hurt.
const DEEPEST: usize = 1_000;

/// A component, or a module in one, whose end has not been read yet.
#[derive(Default)]
struct Scope {
    /// Items of its own, and of all instances that it makes.
    items: u64,
    /// What an instance of each component weighs that it has a number for.
    components: Vec<u64>,
    is_module: bool,
}

/// # Errors
/// If the component is not worth the work. One that is not valid is left to the engine.
pub(super) fn check(component: &[u8]) -> Result<(), Problem> {
    match weigh(component) {
        Ok(Some(items)) if items > MOST => Err(Problem::TooMuch(format!(
            "the instances of its components have more than {MOST} parts together"
        ))),
        _ => Ok(()),
    }
}

/// Items of a component and of all instances in it; `None` where it makes no sense.
fn weigh(component: &[u8]) -> wasmparser::Result<Option<u64>> {
    let mut scopes: Vec<Scope> = Vec::new();
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::Version { encoding, .. } => {
                if scopes.len() == DEEPEST {
                    return Ok(None);
                }
                let is_module = encoding == Encoding::Module;
                scopes.push(Scope { is_module, ..Scope::default() });
            }
            Payload::End(_) => {
                let Some(ended) = scopes.pop() else { return Ok(None) };
                match scopes.last_mut() {
                    None => return Ok(Some(ended.items)),
                    Some(outer) if !ended.is_module => outer.components.push(ended.items),
                    Some(_) => {}
                }
            }
            payload => {
                let more = items(&payload, &scopes)?;
                let Some(scope) = scopes.last_mut() else { return Ok(None) };
                for item in more {
                    scope.items = scope.items.saturating_add(item.weight);
                    scope.components.extend(item.component);
                }
            }
        }
    }
    Ok(None)
}

/// Part of a section.
struct Item {
    weight: u64,
    /// It gives a component a number, and this is what an instance of it weighs.
    component: Option<u64>,
}

/// What comes from elsewhere is too heavy to be instantiated: no compiler does that.
const UNKNOWN: u64 = MOST + 1;

fn items(payload: &Payload<'_>, scopes: &[Scope]) -> wasmparser::Result<Vec<Item>> {
    let light = |component: Option<u64>| Item { weight: 1, component };
    let unknown = |is_component: bool| light(is_component.then_some(UNKNOWN));
    let of = |outward: usize, index: u32| {
        let scope = scopes.len().checked_sub(1 + outward).and_then(|at| scopes.get(at));
        scope.and_then(|scope| scope.components.get(index as usize)).copied().unwrap_or(UNKNOWN)
    };
    match payload {
        Payload::ComponentInstanceSection(section) => {
            let made = section.clone().into_iter().map(|instance| {
                let weight = match instance? {
                    ComponentInstance::Instantiate { component_index, args } => {
                        of(0, component_index).saturating_add(args.len() as u64)
                    }
                    ComponentInstance::FromExports(exports) => exports.len() as u64,
                };
                Ok(Item { weight: weight.saturating_add(1), component: None })
            });
            made.collect()
        }
        Payload::ComponentAliasSection(section) => {
            let named = section.clone().into_iter().map(|alias| {
                Ok(match alias? {
                    ComponentAlias::Outer { kind, count, index } => light(
                        (kind == ComponentOuterAliasKind::Component)
                            .then(|| of(count as usize, index)),
                    ),
                    ComponentAlias::InstanceExport { kind, .. } => {
                        unknown(kind == ComponentExternalKind::Component)
                    }
                    ComponentAlias::CoreInstanceExport { .. } => light(None),
                })
            });
            named.collect()
        }
        Payload::ComponentImportSection(section) => {
            let imports = section.clone().into_iter();
            imports
                .map(|import| Ok(unknown(matches!(import?.ty, ComponentTypeRef::Component(_)))))
                .collect()
        }
        Payload::ComponentExportSection(section) => {
            let exports = section.clone().into_iter();
            exports
                .map(|export| Ok(unknown(export?.kind == ComponentExternalKind::Component)))
                .collect()
        }
        Payload::InstanceSection(section) => {
            Ok(vec![Item { weight: u64::from(section.count()), component: None }])
        }
        Payload::ComponentCanonicalSection(section) => {
            Ok(vec![Item { weight: u64::from(section.count()), component: None }])
        }
        _ => Ok(Vec::new()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An empty component within so many others.
    fn nested(depth: usize) -> Vec<u8> {
        const EMPTY: &[u8] = b"\0asm\x0d\0\x01\0";
        (0..depth).fold(EMPTY.to_vec(), |inner, _| {
            let mut outer = [EMPTY, &[4]].concat();
            let mut size = inner.len();
            while size > 0x7f {
                outer.push(size as u8 | 0x80);
                size >>= 7;
            }
            outer.push(size as u8);
            outer.extend(inner);
            outer
        })
    }

    #[test]
    fn what_is_nested_too_deep_is_left_to_the_engine() {
        let weighed = |depth| weigh(&nested(depth)).expect("it can be read");
        assert_eq!(weighed(DEEPEST - 1), Some(0));
        assert_eq!(weighed(DEEPEST), None);
    }
}
