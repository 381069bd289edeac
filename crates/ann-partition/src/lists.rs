//! The lists: which rows are where, and their codes.
//!
//! All lists share one piece of memory of blocks of sixteen rows. A list owns some of the blocks, full but for the last; those of a
//! list that was built lie side by side, so that a scan reads straight on. A list that grows takes a free block or one from the end; what is removed
//! is replaced by the last row of its list. In a file blocks are used where they lie.
//!
//! Cost: 4 bytes per row beside the codes, half a block per list, 4 bytes per block.

use crate::codec::Codec;
use ann_core::simd::Buffer;
use ann_core::simd::lanes::LANES;

/// The number of no row: what lanes hold that are not in use.
pub(crate) const NO_ROW: u32 = u32::MAX;

#[derive(Debug, Clone, Default)]
pub(crate) struct Lists {
    /// The row of every lane of every block.
    pub(crate) ids: Buffer<u32>,
    /// The codes of every block.
    pub(crate) codes: Buffer<u8>,
    /// The blocks of every list.
    pub(crate) blocks: Vec<Vec<u32>>,
    /// The rows of every list.
    pub(crate) lens: Vec<u32>,
    /// Blocks of no list.
    free: Vec<u32>,
}

/// A piece of a list: blocks side by side.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    pub(crate) first: usize,
    pub(crate) blocks: usize,
    /// Rows in them: all lanes but for some of the last.
    pub(crate) rows: usize,
}

impl Lists {
    /// Lists of rows, each of which is a row and its list in order of the rows, without codes.
    pub(crate) fn new(places: impl Iterator<Item = (u32, u32)> + Clone, nlist: usize, block_len: usize) -> Self {
        let mut lens = vec![0u32; nlist];
        places.clone().for_each(|(_, list)| lens[list as usize] += 1);
        let (mut blocks, mut next) = (Vec::with_capacity(nlist), 0);
        for &len in &lens {
            let many = len.div_ceil(LANES as u32);
            blocks.push((next..next + many).collect::<Vec<u32>>());
            next += many;
        }
        let mut ids = Buffer::new();
        ids.resize(next as usize * LANES, NO_ROW);
        let mut at: Vec<usize> =
            blocks.iter().map(|blocks| blocks.first().map_or(0, |&b| b as usize * LANES)).collect();
        let slots = ids.as_mut_slice();
        for (row, list) in places {
            slots[at[list as usize]] = row;
            at[list as usize] += 1;
        }
        Self { ids, codes: Buffer::zeroed(next as usize * block_len), blocks, lens, free: Vec::new() }
    }

    /// Lists of parts that were those of others: blocks of all lists one after the other, and how many rows each list has. `None` unless every row
    /// below `len` is somewhere, in `copies` places at the most, and nothing is anywhere else.
    #[cfg(feature = "persist")]
    pub(crate) fn from_parts(
        ids: Buffer<u32>,
        codes: Buffer<u8>,
        blocks: &[u32],
        lens: &[u32],
        (len, copies, block_len): (usize, u8, usize),
    ) -> Option<Self> {
        let count = ids.len() / LANES;
        // No more memory than the rows of the file take.
        if len > ids.len() || !ids.len().is_multiple_of(LANES) || Some(codes.len()) != count.checked_mul(block_len) {
            return None;
        }
        let mut rest = blocks;
        let mut lists =
            Self { ids, codes, blocks: Vec::with_capacity(lens.len()), lens: lens.to_vec(), free: Vec::new() };
        let (mut used, mut seen) = (vec![false; count], vec![0u8; len]);
        for &rows in lens {
            let (own, tail) = rest.split_at_checked((rows as usize).div_ceil(LANES))?;
            rest = tail;
            for (i, &block) in own.iter().enumerate() {
                let new = !std::mem::replace(used.get_mut(block as usize)?, true);
                let lanes = (rows as usize - i * LANES).min(LANES);
                let (rows, empty) = lists.ids[block as usize * LANES..][..LANES].split_at(lanes);
                let fresh = rows.iter().all(|&row| {
                    seen.get_mut(row as usize).is_some_and(|seen| {
                        *seen += 1;
                        *seen <= copies
                    })
                });
                if !(new && fresh && empty.iter().all(|&row| row == NO_ROW)) {
                    return None;
                }
            }
            lists.blocks.push(own.to_vec());
        }
        // Blocks of no list are not written.
        (rest.is_empty() && used.iter().all(|&used| used) && seen.iter().all(|&seen| seen > 0)).then_some(lists)
    }

    /// Number of lists.
    pub(crate) fn len(&self) -> usize {
        self.lens.len()
    }

    /// The pieces of a list, of `most` blocks at the most.
    #[inline]
    pub(crate) fn runs(&self, list: usize, most: usize) -> impl Iterator<Item = Run> + '_ {
        let (mut rest, mut rows) = (&self.blocks[list][..], self.lens[list] as usize);
        std::iter::from_fn(move || {
            let &first = rest.first()?;
            let beside = (first..).zip(rest).take(most).take_while(|(expected, block)| expected == *block);
            let blocks = beside.count();
            rest = &rest[blocks..];
            let run = Run { first: first as usize, blocks, rows: rows.min(blocks * LANES) };
            rows -= run.rows;
            Some(run)
        })
    }

    /// The rows of a list.
    pub(crate) fn rows(&self, list: usize) -> impl Iterator<Item = u32> + '_ {
        self.runs(list, usize::MAX).flat_map(|run| self.ids[run.first * LANES..][..run.rows].iter().copied())
    }

    /// Appends a row to a list; gives its block and lane, whose code is to be written.
    pub(crate) fn push(&mut self, list: usize, row: u32, block_len: usize) -> (usize, usize) {
        let lane = self.lens[list] as usize % LANES;
        if lane == 0 {
            let block = self.free.pop().unwrap_or_else(|| {
                let block = (self.ids.len() / LANES) as u32;
                self.ids.resize(self.ids.len() + LANES, NO_ROW);
                self.codes.resize(self.codes.len() + block_len, 0);
                block
            });
            self.blocks[list].push(block);
        }
        self.lens[list] += 1;
        let block = self.blocks[list].last().map_or(0, |&block| block as usize);
        self.ids.as_mut_slice()[block * LANES + lane] = row;
        (block, lane)
    }

    /// Renames every row to `name(row)`, and takes out those that have none.
    pub(crate) fn rename(&mut self, codec: &Codec, name: impl Fn(u32) -> Option<u32>) {
        let (ids, codes) = (self.ids.as_mut_slice(), self.codes.as_mut_slice());
        for (blocks, len) in self.blocks.iter_mut().zip(&mut self.lens) {
            let place = |blocks: &[u32], at: usize| (blocks[at / LANES] as usize, at % LANES);
            let (mut at, mut left) = (0, *len as usize);
            while at < left {
                let (block, lane) = place(blocks, at);
                let slot = block * LANES + lane;
                if let Some(row) = name(ids[slot]) {
                    ids[slot] = row;
                    at += 1;
                    continue;
                }
                left -= 1;
                let (last, last_lane) = place(blocks, left);
                let end = last * LANES + last_lane;
                ids[slot] = ids[end];
                ids[end] = NO_ROW;
                codec.move_lane(codes, (last, last_lane), (block, lane));
            }
            *len = left as u32;
            self.free.extend(blocks.drain(left.div_ceil(LANES)..));
        }
        self.free.sort_unstable_by_key(|&block| std::cmp::Reverse(block));
    }

    /// Whether blocks lie in the order of their lists and none is free: as they are built, and as they are written.
    #[cfg(feature = "persist")]
    pub(crate) fn is_compact(&self) -> bool {
        self.free.is_empty()
    }

    /// The same lists without free blocks.
    #[cfg(feature = "persist")]
    pub(crate) fn compacted(&self, block_len: usize) -> Self {
        let mut lists = Self { lens: self.lens.clone(), ..Self::default() };
        let mut next = 0;
        for blocks in &self.blocks {
            for &block in blocks {
                lists.ids.extend_from_slice(&self.ids[block as usize * LANES..][..LANES]);
                lists.codes.extend_from_slice(&self.codes[block as usize * block_len..][..block_len]);
            }
            lists.blocks.push((next..next + blocks.len() as u32).collect());
            next += blocks.len() as u32;
        }
        lists
    }

    /// Bytes of codes, and of everything else.
    pub(crate) fn memory_usage(&self) -> (usize, usize) {
        let blocks: usize = self.blocks.iter().map(|blocks| size_of::<Vec<u32>>() + 4 * blocks.capacity()).sum();
        (self.codes.memory_bytes(), self.ids.memory_bytes() + blocks + 4 * self.lens.capacity())
    }
}
