//! Documents that are made from the code say what the code says. `HOSTWARD_UPDATE=1` writes them anew.

#![cfg(test)]

use hostward::command::{list, schema};
use hostward_checks::check::Lang;

fn golden(name: &str, now: &str) {
    let path = format!("{}/../packaging/{name}", env!("CARGO_MANIFEST_DIR"));
    if std::env::var_os("HOSTWARD_UPDATE").is_some() {
        std::fs::write(&path, now).unwrap();
    }
    let kept = std::fs::read_to_string(&path).unwrap_or_default();
    assert!(
        kept == now,
        "packaging/{name} is out of date: run HOSTWARD_UPDATE=1 cargo test -p hostward-tests --test documents"
    );
}

#[test]
fn the_catalogue_is_up_to_date() {
    golden("CATALOGUE.md", &list::document(Lang::En));
    golden("CATALOGUE.zh-CN.md", &list::document(Lang::Zh));
}

#[test]
fn the_report_schema_is_up_to_date() {
    golden("report.schema.json", &schema::text().unwrap());
}
