//! Accidents: files cut short, flipped bits, bytes written over.

use crate::sample::{Sample, all, answers};
use crate::trial::{Docket, hold, open, survive};
use crate::{MODES, unverified};
use ann::core::split_mix;
use ann::prelude::*;
use std::fs::{File, OpenOptions};
use std::io::{Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

/// Bytes of the header, whose second word of 8 bytes from 16 on is the length of the manifest.
const HEADER: usize = 64;

/// A file that is changed in place between one trial and the next.
struct Victim {
    _folder: tempfile::TempDir,
    path: PathBuf,
    file: File,
}

impl Victim {
    fn of(bytes: &[u8]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("victim.ann");
        std::fs::write(&path, bytes).unwrap();
        let file = OpenOptions::new().write(true).open(&path).unwrap();
        Self { _folder: folder, path, file }
    }

    fn write(&mut self, at: usize, bytes: &[u8]) {
        self.file.seek(SeekFrom::Start(at as u64)).unwrap();
        self.file.write_all(bytes).unwrap();
    }
}

fn front(sample: &Sample) -> usize {
    HEADER + u64::from_le_bytes(sample.bytes[16..24].try_into().unwrap()) as usize
}

fn refused(path: &Path) {
    for mode in MODES {
        assert!(open(path, mode).is_err(), "{mode:?}: opened");
        if let Ok(index) = open(path, unverified(mode)) {
            survive(index);
        }
    }
}

#[test]
fn an_honest_file_gives_the_same_answers_in_every_mode() {
    for sample in all() {
        let victim = Victim::of(&sample.bytes);
        for mode in MODES {
            for options in [mode.into(), unverified(mode)] {
                let index = open(&victim.path, options).unwrap();
                assert_eq!(answers(&index).unwrap(), sample.answers, "{}, {options:?}", sample.name);
                survive(index);
            }
        }
        assert_eq!(std::fs::read(&victim.path).unwrap(), sample.bytes, "searching or growing wrote to the file");
    }
}

#[test]
fn a_file_cut_anywhere_is_refused() {
    hold(|docket: &Docket| {
        for sample in all() {
            let victim = Victim::of(&sample.bytes);
            for length in (0..sample.bytes.len()).rev() {
                docket.call(format!("{}, cut to {length} of {} bytes", sample.name, sample.bytes.len()));
                victim.file.set_len(length as u64).unwrap();
                refused(&victim.path);
            }
        }
    });
}

#[test]
fn a_file_with_bytes_behind_its_end_is_refused() {
    for sample in all() {
        for extra in [1, 63, 64, 4096] {
            let mut bytes = sample.bytes.clone();
            bytes.resize(bytes.len() + extra, 0);
            refused(&Victim::of(&bytes).path);
        }
    }
}

#[test]
fn every_bit_of_header_and_manifest_counts() {
    hold(|docket: &Docket| {
        for sample in all() {
            let mut victim = Victim::of(&sample.bytes);
            for bit in 0..8 * front(&sample) {
                docket.call(format!("{}, bit {bit} flipped", sample.name));
                let (at, byte) = (bit / 8, sample.bytes[bit / 8]);
                victim.write(at, &[byte ^ 1 << (bit % 8)]);
                refused(&victim.path);
                victim.write(at, &[byte]);
            }
        }
    });
}

#[test]
fn a_thousand_damaged_bodies_are_refused_or_mean_the_same() {
    hold(|docket: &Docket| {
        for sample in all() {
            let mut victim = Victim::of(&sample.bytes);
            let (start, end) = (front(&sample), sample.bytes.len());
            for seed in 0..1000 {
                docket.call(format!("{}, body damaged with seed {seed}", sample.name));
                let draw = |i: u64| split_mix(seed, i) as usize;
                let mut bytes = sample.bytes.clone();
                for i in 0..1 + draw(0) as u64 % 8 {
                    let at = start + draw(3 * i + 1) % (end - start);
                    // Small and large values both: ids in range do other harm than ids out of it.
                    bytes[at] = (draw(3 * i + 2) % [4, 64, 256][draw(3 * i + 3) % 3]) as u8;
                }
                victim.write(start, &bytes[start..]);
                if bytes == sample.bytes {
                    assert_eq!(answers(&open(&victim.path, MODES[0]).unwrap()).unwrap(), sample.answers);
                } else {
                    refused(&victim.path);
                }
            }
        }
    });
}

#[test]
fn large_files_of_short_rows_take_no_more_than_twice_their_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("large.ann");
    let rows = Matrix::new((0..10_000).map(|i| (i % 251) as f32).collect(), 2).unwrap();
    let labels: Vec<u64> = (0..5_000).map(|row| split_mix(3, row)).collect();
    for spec in ["Flat", "HNSW2"] {
        let options = BuildOptions { labels: Some(&labels), ef_construction: 10, ..BuildOptions::default() };
        let index = spec.parse::<Spec>().unwrap().build(&rows, &options).unwrap();
        index.save(&path).unwrap();
        for mode in MODES {
            let opened = open(&path, mode).unwrap();
            assert_eq!(opened.search(&[3.0, 4.0], 3).unwrap(), index.search(&[3.0, 4.0], 3).unwrap());
        }
    }
}
