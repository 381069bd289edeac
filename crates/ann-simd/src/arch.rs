//! Which instruction set the kernels are compiled for: detected once, carried as a value.
//!
//! An [`Arch`] can only be made for a level that this processor has, so holding one is the proof that every `unsafe` call
//! into code compiled for that level rests on. Levels of x86-64 follow the psABI's micro-architecture levels; `V4x` adds
//! the integer instructions of Ice Lake and Zen 4.

use std::fmt;
use std::str::FromStr;

/// The environment variable that forces a level in [`Arch::detect`].
const VARIABLE: &str = "ANN_ARCH";

/// An instruction set that kernels exist for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Level {
    /// What the compilation target guarantees, no more.
    Scalar,
    /// x86-64-v3: AVX2, FMA, F16C.
    V3,
    /// x86-64-v4: AVX-512 F, BW, CD, DQ, VL.
    V4,
    /// `V4` with VNNI, VBMI, VPOPCNTDQ and BITALG.
    V4x,
    /// AArch64's 128-bit vectors.
    Neon,
    /// WebAssembly's 128-bit vectors; a property of the compilation, not of the machine.
    Simd128,
}

impl Level {
    /// Every level, slower before faster within a processor family.
    const ALL: [Level; 6] = [Level::Scalar, Level::Simd128, Level::Neon, Level::V3, Level::V4, Level::V4x];

    /// Whether this machine has the level's instructions.
    fn is_present(self) -> bool {
        match self {
            Level::Scalar => true,
            Level::Simd128 => cfg!(all(target_arch = "wasm32", target_feature = "simd128")),
            // Part of every AArch64 target that has a standard library.
            Level::Neon => cfg!(all(target_arch = "aarch64", target_feature = "neon")),
            #[cfg(target_arch = "x86_64")]
            Level::V3 => has_v3(),
            #[cfg(target_arch = "x86_64")]
            Level::V4 => has_v3() && has_v4(),
            #[cfg(target_arch = "x86_64")]
            Level::V4x => has_v3() && has_v4() && has_v4x(),
            #[cfg(not(target_arch = "x86_64"))]
            Level::V3 | Level::V4 | Level::V4x => false,
        }
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Level::Scalar => "scalar",
            Level::V3 => "v3",
            Level::V4 => "v4",
            Level::V4x => "v4x",
            Level::Neon => "neon",
            Level::Simd128 => "simd128",
        })
    }
}

impl FromStr for Level {
    type Err = ArchError;

    fn from_str(name: &str) -> Result<Level, ArchError> {
        let found = Level::ALL.into_iter().find(|level| level.to_string() == name);
        found.ok_or_else(|| ArchError::Unknown { name: name.to_owned() })
    }
}

/// Proof that this machine has the instructions of a [`Level`].
///
/// ```
/// use ann_simd::{Arch, Level};
///
/// let plain = Arch::with_level(Level::Scalar)?;
/// assert_eq!(plain.level(), Level::Scalar);
/// assert!(Arch::available().contains(&plain));
/// # Ok::<(), ann_simd::ArchError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Arch(Level);

impl Arch {
    /// The highest level of this machine, or the one that the environment variable `ANN_ARCH` names: `scalar`, `v3`, `v4`,
    /// `v4x`, `neon` or `simd128`. An empty variable counts as unset.
    ///
    /// # Errors
    /// When `ANN_ARCH` names no level, or one that this machine lacks.
    pub fn detect() -> Result<Arch, ArchError> {
        match std::env::var_os(VARIABLE) {
            Some(name) if !name.is_empty() => Arch::with_level(name.to_string_lossy().parse()?),
            _ => Ok(Arch::available().pop().unwrap_or(Arch(Level::Scalar))),
        }
    }

    /// The given level.
    ///
    /// # Errors
    /// When this machine lacks it.
    pub fn with_level(level: Level) -> Result<Arch, ArchError> {
        if level.is_present() { Ok(Arch(level)) } else { Err(ArchError::Absent { level }) }
    }

    /// Every level of this machine, the fastest last.
    #[must_use]
    pub fn available() -> Vec<Arch> {
        Level::ALL.into_iter().filter(|level| level.is_present()).map(Arch).collect()
    }

    /// Runs `body` inside a function compiled for the level: plain loops in it are vectorised as far as the level goes,
    /// provided that everything in it is inlined. Mark the closure and what it calls `#[inline(always)]`.
    ///
    /// ```
    /// let arch = ann_simd::Arch::detect()?;
    /// let mut values = [1.5_f32; 100];
    /// arch.run(#[inline(always)] || values.iter_mut().for_each(|x| *x *= 2.0));
    /// assert_eq!(values, [3.0; 100]);
    /// # Ok::<(), ann_simd::ArchError>(())
    /// ```
    #[inline(always)]
    pub fn run<R>(self, body: impl FnOnce() -> R) -> R {
        #[cfg(target_arch = "x86_64")]
        {
            #[target_feature(enable = "avx2,fma,bmi1,bmi2,f16c")]
            fn v3<R>(body: impl FnOnce() -> R) -> R {
                body()
            }
            #[target_feature(enable = "avx512f,avx512bw,avx512dq,avx512vl,avx512cd,fma,bmi1,bmi2")]
            fn v4<R>(body: impl FnOnce() -> R) -> R {
                body()
            }
            match self.0 {
                // SAFETY: the level is present, as this value proves.
                Level::V3 => return unsafe { v3(body) },
                // SAFETY: as above.
                Level::V4 | Level::V4x => return unsafe { v4(body) },
                _ => {}
            }
        }
        body()
    }

    /// The level that this value proves.
    #[must_use]
    pub fn level(self) -> Level {
        self.0
    }
}

/// Why a level cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArchError {
    /// No level has this name.
    #[error("unknown instruction set {name:?}: expected scalar, v3, v4, v4x, neon or simd128")]
    Unknown {
        /// The name as given.
        name: String,
    },
    /// The level exists, but not on this machine.
    #[error("this machine lacks the instruction set {level}")]
    Absent {
        /// The level asked for.
        level: Level,
    },
}

#[cfg(target_arch = "x86_64")]
fn has_v3() -> bool {
    pulp::x86::V3::is_available() && is_x86_feature_detected!("f16c")
}

#[cfg(target_arch = "x86_64")]
fn has_v4() -> bool {
    pulp::x86::V4::is_available()
}

#[cfg(target_arch = "x86_64")]
fn has_v4x() -> bool {
    is_x86_feature_detected!("avx512vnni")
        && is_x86_feature_detected!("avx512vbmi")
        && is_x86_feature_detected!("avx512vpopcntdq")
        && is_x86_feature_detected!("avx512bitalg")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_level_parses_from_its_own_name() {
        for level in Level::ALL {
            assert_eq!(level.to_string().parse(), Ok(level));
        }
    }

    #[test]
    fn unknown_name_is_quoted_in_the_error() {
        let error = "avx9".parse::<Level>().unwrap_err();
        assert_eq!(error, ArchError::Unknown { name: "avx9".to_owned() });
        assert!(error.to_string().contains("\"avx9\""));
    }

    #[test]
    fn level_of_another_processor_is_absent() {
        let foreign = if cfg!(target_arch = "x86_64") { Level::Neon } else { Level::V3 };
        assert_eq!(Arch::with_level(foreign), Err(ArchError::Absent { level: foreign }));
    }
}
