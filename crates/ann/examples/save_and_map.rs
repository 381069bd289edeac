//! An index in a file: saved, inspected, mapped without copying, grown and saved again:
//! `cargo run --example save_and_map`.
#![allow(clippy::print_stdout)]

use ann::core::split_mix;
use ann::io::container::{OpenMode, check};
use ann::prelude::*;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    // Whole numbers up to 255 are kept as bytes: the file is a quarter as large, and every distance is the same.
    let values = (0..4_000 * 48).map(|i| (split_mix(1, i) % 256) as f32).collect();
    let vectors = Matrix::new(values, 48)?;
    let index = ann::index_factory("HNSW16", &vectors, Metric::L2)?;
    println!("built:  {} bytes in memory, rows of {}", index.memory_usage().total(), index.element().name());

    // The file appears whole or not at all, and the same index gives the same bytes.
    let path = std::env::temp_dir().join(format!("save_and_map-{}.ann", std::process::id()));
    index.save(&path)?;

    // What is in it, without loading it; every checksum is compared.
    let report = check(&path)?;
    println!("saved:  {} bytes, {} of them in sections", report.info.file_bytes, report.payload_bytes);
    for section in &report.info.sections {
        println!("        {:28} {:8} bytes of {}", section.name, section.bytes, section.element);
    }

    // Mapped, rows and links stay in the file; processes that map the same file share the memory.
    let mut mapped = ann::open(&path)?;
    println!("mapped: {} bytes in memory", mapped.memory_usage().total());
    assert_eq!(mapped.search(vectors.row(7), 5)?, index.search(vectors.row(7), 5)?);

    // Growing copies what it changes. Saving over the mapped file is safe: the new one replaces it by name.
    mapped.add(vectors.view().slice(0..10), Some(&(10_000..10_010).collect::<Vec<_>>()))?;
    mapped.save(&path)?;
    let read = ann::open_with(&path, OpenMode::Read)?;
    println!("grown:  {} rows, row 7 is also {}", read.len(), read.search(vectors.row(7), 2)?[1].label);

    // A damaged file is an error, never a crash or a wrong answer.
    std::fs::write(&path, &std::fs::read(&path)?[..50_000])?;
    println!("cut:    {}", ann::open(&path).err().map_or_else(String::new, |error| error.to_string()));
    std::fs::remove_file(&path)?;
    Ok(())
}
