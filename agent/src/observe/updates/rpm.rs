//! Alibaba Cloud Linux, Anolis, CentOS: rpm's database and the advisories that dnf or yum keep.

use std::fs::File;
use std::os::unix::fs::FileExt;

use hostward_checks::fact::Why;
use hostward_checks::observation::updates::Updates;
use hostward_checks::parse::rpm::updateinfo::Updateinfo;
use hostward_checks::parse::rpm::{Pages, berkeley, header, sqlite};
use hostward_checks::snapshot::Reader;
use hostward_checks::updates::rpm::Packages;
use hostward_checks::updates::rpm::caches::{Advisories, Caches, Database, Format};
use hostward_checks::updates::rpm::rules::Rules;

use super::stream::{self, Allowance};
use crate::record::settle;
use crate::root::Root;

/// Which security updates are pending. None: there is no database of rpm's.
pub(super) fn look(root: &Root, allowance: &mut Allowance) -> Option<Updates> {
    let (caches, rules) = settle(root, |snapshot| {
        let reader = Reader::new(snapshot);
        ((Caches::read(&reader), Rules::read(&reader)), reader.need())
    });
    let Caches { database, advisories, archives, mut gaps } = caches;
    let database = match database {
        Some(database) => database,
        None if gaps.is_empty() => return None,
        None => return Some(Updates { gaps, ..Updates::default() }),
    };
    gaps.extend(rules.gaps.iter().cloned());
    let mut packages = Packages::new(rules);
    let read = installed(root, &database, allowance, &mut packages);
    gaps.extend(read.err().map(|why| (format!("file:{}", database.path.display()), why)));
    for file in &advisories {
        let read = mended(root, file, allowance, &mut packages);
        gaps.extend(read.err().map(|why| (format!("file:{}", file.path.display()), why)));
    }
    Some(Updates { pending: packages.pending(), archives, gaps })
}

/// A database, read within the allowance.
struct Metered<'a> {
    file: File,
    allowance: &'a mut Allowance,
    /// Why a read was refused.
    refused: Option<Why>,
}

impl Pages for Metered<'_> {
    fn read_at(&mut self, offset: u64, buffer: &mut [u8]) -> Option<()> {
        if let Err(why) = self.allowance.take(buffer.len()) {
            self.refused = Some(why);
            return None;
        }
        self.file.read_exact_at(buffer, offset).ok()
    }
}

fn installed(root: &Root, database: &Database, allowance: &mut Allowance, packages: &mut Packages) -> Result<(), Why> {
    let mut file = Metered { file: root.open_file(&database.path)?, allowance, refused: None };
    let mut each = |bytes: &[u8]| {
        if let Some(package) = header::package(bytes) {
            packages.installed(package);
        }
    };
    let whole = match database.format {
        Format::Sqlite => sqlite::headers(&mut file, &mut each),
        Format::Berkeley => berkeley::headers(&mut file, &mut each),
    };
    match file.refused {
        Some(why) => Err(why),
        None if !whole => Err(Why::Defect("is no rpm database, or a broken one".to_owned())),
        // Where rpm is a tool of another distribution, it has installed nothing; here it has.
        None if packages.count() == 0 => Err(Why::Defect("names no installed package".to_owned())),
        None => Ok(()),
    }
}

fn mended(root: &Root, file: &Advisories, allowance: &mut Allowance, packages: &mut Packages) -> Result<(), Why> {
    let mut updateinfo = Updateinfo::new();
    stream::read(root, &file.path, &file.packed, allowance, &mut |piece| {
        updateinfo.feed(piece, &mut |one| packages.mended(one, &file.from));
    })?;
    if updateinfo.is_one() { Ok(()) } else { Err(Why::Defect("holds no advisories".to_owned())) }
}
