//! Makes the recordings of `tests/data/logins` anew: `record-logins [SUITE [LOGGER]]`, after `tests/setup.sh loggers`.

use std::env;

use anyhow::Result;
use hostward_tests::recording::{Logger, Recording, record};
use hostward_tests::results;
use hostward_tests::suite::Suite;

fn main() -> Result<()> {
    let wanted: Vec<String> = env::args().skip(1).collect();
    for suite in Suite::all("record-logins")? {
        for logger in Logger::ALL {
            let named = [suite.name().to_owned(), logger.to_string()];
            if wanted.iter().zip(&named).any(|(wanted, name)| wanted != name) {
                continue;
            }
            match record(&suite, logger, &Recording::place()) {
                Ok(place) => results::tested("record-logins", suite.name(), place.display()),
                Err(error) => results::skipped("record-logins", suite.name(), format!("{logger}: {error:#}")),
            }
        }
    }
    Ok(())
}
