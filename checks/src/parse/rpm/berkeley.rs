//! rpm's database as a Berkeley DB hash file, as up to rpm 4.16 has it: every value of a hash page is a header, on pages of its own.

use super::{HEADER_LIMIT, Pages};

const MAGIC: u32 = 0x0006_1561;
/// Before the entries of a page.
const HEAD: usize = 26;

/// Reads every header. False: the file is no such database, or broken; what was given until then is there.
pub fn headers(file: &mut dyn Pages, each: &mut dyn FnMut(&[u8])) -> bool {
    let Some(mut database) = Database::open(file) else { return false };
    (1..=database.last).all(|number| database.page_of_values(number, each).is_some())
}

struct Database<'f> {
    file: &'f mut dyn Pages,
    big_endian: bool,
    page_size: usize,
    last: u32,
    /// Pages of values that may still be read: a chain that bites its tail ends.
    left: u64,
}

impl<'f> Database<'f> {
    fn open(file: &'f mut dyn Pages) -> Option<Self> {
        let mut head = [0; 72];
        file.read_at(0, &mut head)?;
        let magic = u32::from_le_bytes(head.get(12..16)?.try_into().ok()?);
        let mut database = Self { file, big_endian: magic.swap_bytes() == MAGIC, page_size: 0, last: 0, left: 0 };
        // Encrypted ones are none of rpm's.
        if database.u32(&head, 12)? != MAGIC || head.get(24) != Some(&0) {
            return None;
        }
        let size = database.u32(&head, 20)? as usize;
        database.page_size = Some(size).filter(|size| (512..=65_536).contains(size) && size.is_power_of_two())?;
        database.last = database.u32(&head, 32)?;
        database.left = 2 * u64::from(database.last);
        Some(database)
    }

    fn u32(&self, page: &[u8], at: usize) -> Option<u32> {
        let bytes = page.get(at..at.checked_add(4)?)?.try_into().ok()?;
        Some(if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) })
    }

    fn u16(&self, page: &[u8], at: usize) -> Option<usize> {
        let bytes = page.get(at..at.checked_add(2)?)?.try_into().ok()?;
        Some(usize::from(if self.big_endian { u16::from_be_bytes(bytes) } else { u16::from_le_bytes(bytes) }))
    }

    fn page(&mut self, number: u32) -> Option<Vec<u8>> {
        let mut page = vec![0; self.page_size];
        self.file.read_at(u64::from(number) * self.page_size as u64, &mut page)?;
        Some(page)
    }

    /// The values of a hash page; other pages have none.
    fn page_of_values(&mut self, number: u32, each: &mut dyn FnMut(&[u8])) -> Option<()> {
        let page = self.page(number)?;
        if ![2, 13].contains(page.get(25)?) {
            return Some(());
        }
        // Keys and values by turns, from the end of the page backwards.
        let mut above = self.page_size;
        for entry in 0..self.u16(&page, 20)? {
            let at = self.u16(&page, HEAD + 2 * entry)?;
            match (entry % 2, page.get(at)?) {
                (1, 3) => {
                    let (first, length) = (self.u32(&page, at + 4)?, self.u32(&page, at + 8)? as usize);
                    each(&self.value(first, length)?);
                }
                (1, 1) => each(page.get(at + 1..above)?),
                _ => {}
            }
            above = at;
        }
        Some(())
    }

    /// A value that stands on pages of its own.
    fn value(&mut self, first: u32, length: usize) -> Option<Vec<u8>> {
        if length > HEADER_LIMIT {
            return None;
        }
        let (mut value, mut next) = (Vec::with_capacity(length.min(1 << 20)), first);
        while value.len() < length {
            self.left = self.left.checked_sub(1)?;
            let page = self.page(next)?;
            let count = self.u16(&page, 22)?.min(length - value.len());
            value.extend_from_slice(page.get(HEAD..HEAD.checked_add(count)?)?);
            next = self.u32(&page, 16)?;
        }
        Some(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A database of one hash page with this value, over two pages of its own.
    fn database(value: &[u8], big: bool) -> Vec<u8> {
        let u32s = |number: u32| if big { number.to_be_bytes() } else { number.to_le_bytes() };
        let u16s = |number: u16| if big { number.to_be_bytes() } else { number.to_le_bytes() };
        let mut pages = vec![0; 512 * 4];
        let mut put = |at: usize, bytes: &[u8]| pages[at..at + bytes.len()].copy_from_slice(bytes);
        put(12, &u32s(MAGIC));
        put(20, &u32s(512));
        put(32, &u32s(3));
        put(512 + 20, &u16s(4));
        put(512 + 25, &[13]);
        // A key, a value that stands here, a key, and one that stands elsewhere.
        for (entry, at) in [(0, 507), (1, 502), (2, 497), (3, 485)] {
            put(512 + HEAD + 2 * entry, &u16s(at));
        }
        put(512 + 507, &[1, 0, 0, 0, 0]);
        put(512 + 502, &[1, b'a', b'b', b'c', b'd']);
        put(512 + 485, &[3]);
        put(512 + 489, &u32s(2));
        put(512 + 493, &u32s(value.len() as u32));
        for (page, half, next) in [(2, &value[..value.len() / 2], 3), (3, &value[value.len() / 2..], 0)] {
            put(512 * page + 16, &u32s(next));
            put(512 * page + 22, &u16s(half.len() as u16));
            put(512 * page + 25, &[7]);
            put(512 * page + HEAD, half);
        }
        pages
    }

    #[test]
    fn values_are_read_in_both_byte_orders() {
        let value: Vec<u8> = (0..600_u16).map(|n| n as u8).collect();
        for big in [false, true] {
            let (bytes, mut read) = (database(&value, big), Vec::new());
            assert!(headers(&mut bytes.as_slice(), &mut |header| read.push(header.to_vec())));
            assert_eq!(read, [b"abcd".to_vec(), value.clone()]);
            assert!(!headers(&mut &bytes[..1600], &mut |_| {}), "cut");
            assert!(!headers(&mut &bytes[..70], &mut |_| {}));
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes in prop::collection::vec((0..2048_usize, any::<u8>()), 1..20)) {
            let mut file = database(&[7; 600], false);
            for (at, byte) in bytes {
                file[at] = byte;
            }
            headers(&mut file.as_slice(), &mut |_| {});
        }
    }
}
