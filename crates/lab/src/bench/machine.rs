//! What the machine itself can do, so that the other figures can be compared with those of another
//! one.

use std::hint::black_box;
use std::time::Instant;

use millrace_engine::near;

use super::figure::{Figure, Measure};

/// Far more than the caches of a processor hold.
const MEMORY_BYTES: usize = 256 << 20;
/// As much as the state of ten million users.
const LARGE_BYTES: usize = 4 << 30;
const PAGE_BYTES: usize = 4 << 10;
/// Words of four bytes in a cache line.
const LINE_WORDS: usize = 16;
const READS: u32 = 2_000_000;
const STEPS: u32 = 200_000_000;
const SEED: u64 = 0x9E37_79B9_7F4A_7C15;

/// One thread: operations, and reads of memory, that wait for each other; reads that are asked for,
/// as the operators do, and the first write to new memory.
pub(super) fn measure() -> Figure {
    measure_up_to(LARGE_BYTES)
}

fn measure_up_to(large_bytes: usize) -> Figure {
    let started = Instant::now();
    let measures = [
        Measure::new(
            "six operations that wait for each other (xorshift)",
            arithmetic_ns(),
            "ns",
        ),
        Measure::new(
            "a read that waits for the one before, in 256 MiB",
            dependent_read_ns(),
            "ns",
        ),
        asked_read(1 << 20),
        asked_read(MEMORY_BYTES),
        asked_read(large_bytes),
        Measure::new("the first write to 4 KiB of new memory", first_write_ns(), "ns"),
    ];
    Figure {
        what: "this machine, one thread".to_owned(),
        records: u64::from(STEPS),
        wall_s: started.elapsed().as_secs_f64(),
        measures: measures.into(),
        ..Figure::default()
    }
}

fn arithmetic_ns() -> f64 {
    let started = Instant::now();
    let value = (0..STEPS).fold(black_box(SEED), |value, _| xorshift(value));
    black_box(value);
    started.elapsed().as_secs_f64() * 1e9 / f64::from(STEPS)
}

/// xorshift64: Marsaglia, Xorshift RNGs, Journal of Statistical Software 8 (2003).
fn xorshift(mut value: u64) -> u64 {
    value ^= value << 13;
    value ^= value >> 7;
    value ^ (value << 17)
}

fn first_write_ns() -> f64 {
    let mut memory = vec![0_u8; MEMORY_BYTES];
    let started = Instant::now();
    memory.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
    let took = started.elapsed();
    black_box(&memory);
    took.as_secs_f64() * 1e9 / (MEMORY_BYTES / PAGE_BYTES) as f64
}

fn asked_read(bytes: usize) -> Measure {
    let name = format!(
        "one of 64 reads that are asked for together, in {} MiB",
        bytes >> 20
    );
    Measure::new(name, asked_read_ns(bytes), "ns")
}

/// Cache lines at random, which are asked for in groups as large as those of the operators.
fn asked_read_ns(bytes: usize) -> f64 {
    const LINE_BYTES: usize = 64;
    let mut memory = vec![0_u8; bytes];
    memory.iter_mut().step_by(PAGE_BYTES).for_each(|byte| *byte = 1);
    let lines = (bytes / LINE_BYTES) as u64;
    let (mut random, mut sum) = (SEED, 0_u64);
    let mut group = [0_usize; near::GROUP];
    let groups = READS / near::GROUP as u32;
    let started = Instant::now();
    for _ in 0..groups {
        for at in &mut group {
            random = xorshift(random);
            *at = (((random >> 32) * lines) >> 32) as usize * LINE_BYTES;
            near::ask(&memory[*at]);
        }
        sum += group.iter().map(|at| u64::from(memory[*at])).sum::<u64>();
    }
    let took = started.elapsed();
    black_box(sum);
    took.as_secs_f64() * 1e9 / f64::from(groups * near::GROUP as u32)
}

/// Follows a cycle through every cache line, in an order that no processor foresees (Sattolo's
/// algorithm).
fn dependent_read_ns() -> f64 {
    let lines = u32::try_from(MEMORY_BYTES / 4 / LINE_WORDS).unwrap_or(u32::MAX);
    let mut next: Vec<u32> = (0..lines).collect();
    let mut random = SEED;
    for last in (1..next.len()).rev() {
        random = xorshift(random);
        next.swap(last, (random % last as u64) as usize);
    }
    let mut memory = vec![0_u32; next.len() * LINE_WORDS];
    for (line, next) in next.iter().enumerate() {
        memory[line * LINE_WORDS] = *next;
    }
    let started = Instant::now();
    let mut line = 0_u32;
    for _ in 0..READS {
        line = memory[line as usize * LINE_WORDS];
    }
    let took = started.elapsed();
    black_box(line);
    took.as_secs_f64() * 1e9 / f64::from(READS)
}

#[cfg(test)]
mod tests {
    #[test]
    fn everything_takes_time() {
        let figure = super::measure_up_to(1 << 20);
        assert_eq!(figure.measures.len(), 6);
        for measure in &figure.measures {
            assert!(measure.value > 0.0, "{measure:?}");
        }
    }
}
