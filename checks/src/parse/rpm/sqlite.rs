//! rpm's database as an SQLite file: the rows of its table `Packages`, each a number and a header. Follows the file format, not
//! its language: one table, from its root to its leaves.

use super::{Bytes, HEADER_LIMIT, Pages};

/// No table of headers is deeper.
const DEPTH: usize = 12;

/// Reads every header. False: the file is no such database, or broken; what was given until then is there.
pub fn headers(file: &mut dyn Pages, each: &mut dyn FnMut(&[u8])) -> bool {
    let Some(mut database) = Database::open(file) else { return false };
    let mut root = None;
    // The first page's table names the others: type, name, table, root page, text.
    let walked = database.rows(1, DEPTH, &mut |row| {
        let columns = columns(row);
        if columns.first() == Some(&Value::Bytes(b"table")) && columns.get(1) == Some(&Value::Bytes(b"Packages")) {
            root = columns.get(3).and_then(Value::number);
        }
    });
    let (Some(()), Some(root)) = (walked, root) else { return false };
    let walked = database.rows(root, DEPTH, &mut |row| {
        if let Some(Value::Bytes(header)) = columns(row).get(1) {
            each(header);
        }
    });
    walked.is_some()
}

struct Database<'f> {
    file: &'f mut dyn Pages,
    page_size: usize,
    usable: usize,
    /// Pages that may still be read: a chain that bites its tail ends.
    left: u32,
}

#[derive(Debug, PartialEq, Eq)]
enum Value<'r> {
    Number(u64),
    Bytes(&'r [u8]),
}

impl Value<'_> {
    fn number(&self) -> Option<u32> {
        match self {
            Self::Number(number) => u32::try_from(*number).ok(),
            Self::Bytes(_) => None,
        }
    }
}

impl<'f> Database<'f> {
    fn open(file: &'f mut dyn Pages) -> Option<Self> {
        let mut head = [0; 100];
        file.read_at(0, &mut head)?;
        let head = Bytes(&head);
        if head.array(0)? != *b"SQLite format 3\0" {
            return None;
        }
        let page_size = match head.be16(16)? {
            1 => 65_536,
            size @ 512.. if size.is_power_of_two() => size,
            _ => return None,
        };
        let usable = page_size.checked_sub(usize::from(head.byte(20)?)).filter(|usable| *usable >= 480)?;
        Some(Self { file, page_size, usable, left: head.be32(28)?.checked_mul(2)?.max(1 << 16) })
    }

    fn page(&mut self, number: u32) -> Option<Vec<u8>> {
        self.left = self.left.checked_sub(1)?;
        let mut page = vec![0; self.page_size];
        let offset = u64::from(number.checked_sub(1)?) * self.page_size as u64;
        self.file.read_at(offset, &mut page)?;
        Some(page)
    }

    /// The rows of the tree below a page. None: it is broken.
    fn rows(&mut self, number: u32, depth: usize, each: &mut dyn FnMut(&[u8])) -> Option<()> {
        let depth = depth.checked_sub(1)?;
        let page = self.page(number)?;
        let page = Bytes(&page);
        let start = if number == 1 { 100 } else { 0 };
        let count = page.be16(start + 3)?;
        match page.byte(start)? {
            5 => {
                for cell in 0..count {
                    let cell = page.be16(start + 12 + 2 * cell)?;
                    self.rows(page.be32(cell)?, depth, each)?;
                }
                self.rows(page.be32(start + 8)?, depth, each)
            }
            13 => {
                for cell in 0..count {
                    let row = self.payload(page, page.be16(start + 8 + 2 * cell)?)?;
                    each(&row);
                }
                Some(())
            }
            _ => None,
        }
    }

    /// The content of a leaf's cell, with what stands on other pages.
    fn payload(&mut self, page: Bytes<'_>, cell: usize) -> Option<Vec<u8>> {
        let (length, at) = varint(page.0, cell)?;
        let (_, at) = varint(page.0, at)?;
        let length = usize::try_from(length).ok().filter(|length| *length <= HEADER_LIMIT)?;
        let most = self.usable - 35;
        let local = if length <= most {
            length
        } else {
            let least = (self.usable - 12) * 32 / 255 - 23;
            let fits = least + (length - least) % (self.usable - 4);
            if fits <= most { fits } else { least }
        };
        let end = at.checked_add(local)?;
        let mut row = page.0.get(at..end)?.to_vec();
        let mut next = if local < length { page.be32(end)? } else { 0 };
        while row.len() < length {
            let page = self.page(next)?;
            next = Bytes(&page).be32(0)?;
            let more = (length - row.len()).min(self.usable - 4);
            row.extend_from_slice(page.get(4..4 + more)?);
        }
        Some(row)
    }
}

/// A number of one to nine bytes, and where it ends.
fn varint(bytes: &[u8], at: usize) -> Option<(u64, usize)> {
    let mut value = 0_u64;
    for place in 0..9 {
        let byte = *bytes.get(at.checked_add(place)?)?;
        if place == 8 {
            return Some((value << 8 | u64::from(byte), at + 9));
        }
        value = value << 7 | u64::from(byte & 0x7f);
        if byte < 0x80 {
            return Some((value, at + place + 1));
        }
    }
    None
}

/// The values of a row, as far as they are there.
fn columns(row: &[u8]) -> Vec<Value<'_>> {
    let mut values = Vec::new();
    let Some((head, mut at)) = varint(row, 0) else { return values };
    let Ok(head) = usize::try_from(head) else { return values };
    let mut body = head;
    while at < head {
        let Some((kind, next)) = varint(row, at) else { break };
        at = next;
        let length = match kind {
            0 | 8 | 9 => 0,
            1..=4 => kind,
            5 => 6,
            6 | 7 => 8,
            _ => kind.saturating_sub(12) / 2,
        };
        let end = usize::try_from(length).ok().and_then(|length| body.checked_add(length));
        let Some(value) = end.and_then(|end| row.get(body..end)) else { break };
        body += value.len();
        values.push(match kind {
            0..=11 => {
                Value::Number(value.iter().fold(u64::from(kind == 9), |number, byte| number << 8 | u64::from(*byte)))
            }
            _ => Value::Bytes(value),
        });
    }
    values
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn numbers_and_rows_are_read() {
        for (bytes, wanted) in
            [(&[5][..], Some((5, 1))), (&[0x81, 0], Some((128, 2))), (&[0xff; 9], Some((u64::MAX, 9))), (&[0x80], None)]
        {
            assert_eq!(varint(bytes, 0), wanted, "{bytes:?}");
        }
        let row = [4, 0, 2, 16, 1, 2, b'a', b'b'];
        assert_eq!(columns(&row), [Value::Number(0), Value::Number(258), Value::Bytes(b"ab")]);
        assert_eq!(columns(&row[..6]).len(), 2);
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec(any::<u8>(), 924..1500)) {
            let mut file = b"SQLite format 3\0\x02\0\x01\x01\0\x40\x20\x20".to_vec();
            file.resize(100, 0);
            file.extend(bytes);
            file[100] = if file[101] < 128 { 5 } else { 13 };
            headers(&mut file.as_slice(), &mut |_| {});
        }
    }
}
