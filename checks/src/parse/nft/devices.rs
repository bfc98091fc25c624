//! The interfaces of chains that hang on one, from `nft list chains`: older versions leave them out of their JSON.

use super::super::ruleset::{ChainId, Hook, Ruleset};
use super::family;

/// Whether there are chains whose interfaces the JSON did not tell.
pub fn lacks_devices(rules: &Ruleset) -> bool {
    let hangs = |hook: Hook| matches!(hook, Hook::Ingress | Hook::Egress);
    let mut bases = rules.chains.values().filter_map(|chain| chain.base.as_ref());
    bases.any(|base| hangs(base.hook) && base.devices.is_empty())
}

/// Fills them in. A line that is not understood tells none.
pub fn add_devices(listing: &str, rules: &mut Ruleset) {
    let mut id: ChainId = (super::Family::Device, String::new(), String::new());
    for line in listing.lines() {
        let words: Vec<&str> = line.split_ascii_whitespace().collect();
        match words.as_slice() {
            ["table", of, name, "{"] => {
                let Some(family) = family(of) else { return };
                id = (family, (*name).to_owned(), String::new());
            }
            ["chain", name, "{"] => id.2 = (*name).to_owned(),
            ["type", _, "hook", _, "device" | "devices", rest @ ..] => {
                let names = rest.iter().take_while(|word| **word != "priority" && **word != "}");
                let names = names.map(|word| word.trim_matches(['"', ',', '{', '=']).to_owned());
                let base = rules.chains.get_mut(&id).and_then(|chain| chain.base.as_mut());
                if let Some(base) = base.filter(|base| base.devices.is_empty()) {
                    base.devices = names.filter(|name| !name.is_empty()).collect();
                }
            }
            _ => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_taken_from_the_listing() {
        let json = br#"{"nftables":[
            {"chain":{"family":"netdev","table":"early","name":"i","type":"filter","hook":"ingress","prio":0,"policy":"accept"}},
            {"chain":{"family":"netdev","table":"early","name":"o","type":"filter","hook":"egress","prio":0,"policy":"accept"}},
            {"chain":{"family":"inet","table":"t","name":"i","type":"filter","hook":"input","prio":0,"policy":"drop"}}]}"#;
        let mut rules = super::super::read(json).0.rules;
        assert!(lacks_devices(&rules));
        let listing = "table netdev early {\n\tchain i {\n\t\ttype filter hook ingress device \"eth0\" priority filter; policy accept;\n\t}\n\
                       \tchain o {\n\t\ttype filter hook egress devices = { \"eth1\", \"eth2\" } priority 0; policy accept;\n\t}\n}\n\
                       table inet t {\n\tchain i {\n\t\ttype filter hook input priority filter; policy drop;\n\t}\n}\n";
        add_devices(listing, &mut rules);
        assert!(!lacks_devices(&rules));
        let devices: Vec<_> =
            rules.chains.values().map(|chain| chain.base.as_ref().unwrap().devices.join(" ")).collect();
        assert_eq!(devices, ["", "eth0", "eth1 eth2"]);
    }
}
