//! nftables rules, from the JSON of `nft -j list ruleset` (`libnftables-json(5)`).

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use serde::Deserialize;
use serde::de::{Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

use super::Defect;
use super::ruleset::{Base, Case, ChainId, Family, Hook, Names, Rows, Ruleset, Set, Span};

mod devices;
mod element;
mod rule;

pub use devices::{add_devices, lacks_devices};

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// The chains.
    pub rules: Ruleset,
    /// Tables that iptables wrote with extensions that nft cannot show: family and name. `iptables-save` can.
    pub extensions: Vec<(Family, String)>,
}

/// Reads the whole answer. What is not understood of a rule makes it hold perhaps, or end somehow: never nothing.
pub fn read(bytes: &[u8]) -> (Read, Vec<Defect>) {
    let listing: Listing = match serde_json::from_slice(bytes) {
        Ok(listing) => listing,
        Err(error) => {
            let line = u32::try_from(error.line()).unwrap_or(u32::MAX).max(1);
            return (Read::default(), vec![Defect { line, what: "not the JSON that nft writes".to_owned() }]);
        }
    };
    let mut out = Read::default();
    let mut names = Names { sets: BTreeMap::new(), maps: BTreeMap::new() };
    let mut filled = BTreeSet::new();
    for item in listing.nftables {
        match item {
            Item::Chain(id, base, drops) => {
                let order = out.rules.chains.len();
                let chain = out.rules.chains.entry(id).or_default();
                (chain.base, chain.drops, chain.order) = (base, drops, order);
            }
            Item::Rule(id, read) => {
                filled.extend(read.fills.iter().map(|name| (id.0, id.1.clone(), name.clone())));
                if read.extension {
                    let table = (id.0, id.1.clone());
                    if !out.extensions.contains(&table) {
                        out.extensions.push(table);
                    }
                }
                out.rules.chains.entry(id).or_default().rules.push(read.rule);
            }
            Item::Set(id, set) => {
                names.sets.insert(id, Arc::new(set));
            }
            Item::Map(id, rows) => {
                names.maps.insert(id, Arc::new(rows));
            }
            Item::Other => {}
        }
    }
    for id in filled {
        if let Some(set) = names.sets.get_mut(&id) {
            Arc::make_mut(set).fills = true;
        }
        // What packets put into a map is not told.
        if let Some(rows) = names.maps.get_mut(&id) {
            Arc::make_mut(rows).push((vec![Span::Unknown], Case::Data(vec![Span::Unknown])));
        }
    }
    names.resolve(&mut out.rules);
    (out, Vec::new())
}

#[derive(Deserialize)]
struct Listing {
    nftables: Vec<Item>,
}

/// One thing of the listing, taken in at once: its JSON is several times as large.
enum Item {
    Chain(ChainId, Option<Base>, bool),
    Rule(ChainId, rule::Read),
    Set(ChainId, Set),
    Map(ChainId, Rows),
    Other,
}

impl<'de> Deserialize<'de> for Item {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_map(ItemVisitor)
    }
}

struct ItemVisitor;

impl<'de> Visitor<'de> for ItemVisitor {
    type Value = Item;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("one thing of a rule set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Item, A::Error> {
        let mut item = Item::Other;
        while let Some(kind) = map.next_key::<String>()? {
            item = match kind.as_str() {
                "chain" => chain(&map.next_value()?),
                "rule" => one_rule(&map.next_value()?),
                "set" | "map" => map.next_value::<Named>()?.item(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
        }
        Ok(item)
    }
}

/// A set or a map.
#[derive(Deserialize)]
struct Named {
    #[serde(default)]
    family: String,
    #[serde(default)]
    table: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    flags: Value,
    /// What a map's keys lead to; sets have none.
    map: Option<IgnoredAny>,
    #[serde(default)]
    elem: Elements,
}

impl Named {
    fn item(self) -> Item {
        let Some(family) = family(&self.family) else { return Item::Other };
        let id = (family, self.table, self.name);
        if self.map.is_some() {
            return Item::Map(id, self.elem.rows);
        }
        let mut set = Set::of(self.elem.members.into_iter());
        set.fills = element::words(&self.flags).contains(&"dynamic");
        Item::Set(id, set)
    }
}

/// The elements of a set, or the rows of a map, taken in one by one.
#[derive(Default)]
struct Elements {
    members: Vec<Vec<Span>>,
    rows: Rows,
}

impl<'de> Deserialize<'de> for Elements {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        from.deserialize_any(ElementsVisitor)
    }
}

struct ElementsVisitor;

impl<'de> Visitor<'de> for ElementsVisitor {
    type Value = Elements;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("elements of a set")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Elements, A::Error> {
        let mut out = Elements::default();
        while let Some(item) = items.next_element::<Value>()? {
            match rule::row(&item) {
                Some(row) => out.rows.push(row),
                None => out.members.push(element::spans(&item)),
            }
        }
        Ok(out)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Elements, A::Error> {
        while map.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Elements { members: vec![vec![Span::Unknown]], ..Elements::default() })
    }

    fn visit_str<E>(self, word: &str) -> Result<Elements, E> {
        Ok(Elements { members: vec![element::spans(&Value::from(word))], ..Elements::default() })
    }

    fn visit_u64<E>(self, number: u64) -> Result<Elements, E> {
        Ok(Elements { members: vec![vec![Span::number(number)]], ..Elements::default() })
    }

    fn visit_unit<E>(self) -> Result<Elements, E> {
        Ok(Elements::default())
    }
}

fn chain(chain: &Value) -> Item {
    let Some(id) = id(chain, "name") else { return Item::Other };
    let word = |key: &str| chain.get(key).and_then(Value::as_str);
    let hook = match word("hook") {
        Some("ingress") => Some(Hook::Ingress),
        Some("prerouting") => Some(Hook::Prerouting),
        Some("input") => Some(Hook::Input),
        Some("forward") => Some(Hook::Forward),
        Some("output") => Some(Hook::Output),
        Some("postrouting") => Some(Hook::Postrouting),
        Some("egress") => Some(Hook::Egress),
        _ => None,
    };
    let base = hook.map(|hook| Base {
        hook,
        priority: chain.get("prio").and_then(Value::as_i64).unwrap_or(0),
        nat: word("type") == Some("nat"),
        devices: chain.get("dev").map(element::words).unwrap_or_default().into_iter().map(str::to_owned).collect(),
    });
    Item::Chain(id, base, word("policy") == Some("drop"))
}

fn one_rule(item: &Value) -> Item {
    let Some(id) = id(item, "chain") else { return Item::Other };
    let expressions = item.get("expr").and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
    let at = item.get("handle").and_then(Value::as_u64).unwrap_or(0);
    Item::Rule(id, rule::read(expressions, at))
}

fn family(word: &str) -> Option<Family> {
    [Family::V4, Family::V6, Family::Both, Family::Device, Family::Bridge]
        .into_iter()
        .find(|family| family.word() == word)
}

fn id(item: &Value, name: &str) -> Option<ChainId> {
    let word = |key: &str| item.get(key).and_then(Value::as_str);
    Some((family(word("family")?)?, word("table")?.to_owned(), word(name)?.to_owned()))
}

#[cfg(test)]
mod tests;
