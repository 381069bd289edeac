//! Reads index strings, and points at the column where one goes wrong.
//!
//! ```text
//! spec      := structure [ "@" metric ]
//! structure := "Flat" | "DEG" [ DEGREE ] | "KDTree" | "BallTree" | "KDForest" [ TREES ] | ( "RPForest" | "Annoy" ) [ TREES ]
//!            | "KMeansTree" [ BRANCHING ] | ivf | code | links [ ( "," | "_" ) ( rows | "Block" BITS ) ] | auto
//! ivf       := [ "OPQ" M "," ] "IVF" NLIST "," ( "Flat" [ "," "SOAR" ] | list [ "," "SOAR" ] [ "," refine ] )
//! list      := code | "PQ" M [ "x4fs" | "x8" ] | "RaBitQ" [ "fs" ] [ BITS ] | "ScaNN" M
//! links     := "HNSW" [ M ] [ "," M0 ] | "NSW" [ M ] | "Vamana" [ MAX_DEGREE ]
//! auto      := "Auto" [ "," ( "Speed" | "Balanced" | "Compact" ) ]
//! rows      := "Flat" | code [ "," refine ]
//! refine    := "Refine(" ( "Flat" | "f16" | "bf16" | "SQ8" ) ")" | "RFlat"
//! code      := "SQ8" | "SQ6" | "SQ4"
//! metric    := "l2" | "ip" | "cosine" | "l1" | "hamming" | "jaccard" | synonyms that Metric reads
//! ```
//!
//! `@` occurs in no string of faiss or vicinity, so both stay readable as the grammar grows. One pass from left to
//! right, no recursion, nothing allocated but the error. A suggestion is made by trying small repairs at the place of
//! the error, and only one that parses is shown.

use std::fmt;
use std::ops::RangeInclusive;
use std::str::FromStr;

use ann_core::Metric;

use super::spec::{
    BITS, BRANCHING, Code, Codes, DEFAULT_BRANCHING, DEFAULT_DEGREE, DEFAULT_M, DEFAULT_MAX_DEGREE, DEFAULT_RP_TREES,
    DEFAULT_TREES, DEGREE, GROUPS, Links, ListCode, M, M0, NLIST, Profile, RP_TREES, Refine, Spec, Structure, TREES,
};

/// The words that structures begin with.
const STRUCTURES: [&str; 14] = [
    "Flat",
    "HNSW",
    "NSW",
    "Vamana",
    "DEG",
    "IVF",
    "OPQ",
    "KDTree",
    "BallTree",
    "KDForest",
    "RPForest",
    "Annoy",
    "KMeansTree",
    "Auto",
];

/// A string that names no index. Prints as two lines: the string, and what is wrong under the place where it is.
///
/// ```
/// use ann::factory::Spec;
/// let error = "HNSW16,cosine".parse::<Spec>().unwrap_err();
/// assert_eq!((error.column, error.found.as_str()), (8, "cosine"));
/// assert_eq!(error.suggestion.as_deref(), Some("HNSW16@cosine"));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SpecError {
    /// The whole string.
    pub input: String,
    /// Where it goes wrong: characters from 1, one past the last where something is missing at the end.
    pub column: usize,
    /// What could stand there.
    pub expected: String,
    /// What stands there; empty at the end.
    pub found: String,
    /// A string close to the input that is a spec.
    pub suggestion: Option<String>,
}

impl fmt::Display for SpecError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Line breaks and tabs would tear the caret from its place.
        let clean = |text: &str| text.replace(char::is_control, " ");
        writeln!(f, "{}", clean(&self.input))?;
        write!(f, "{:>column$} column {column}: expected {}, found ", "^", self.expected, column = self.column)?;
        match self.found.as_str() {
            "" => f.write_str("the end")?,
            found => write!(f, "`{}`", clean(found))?,
        }
        self.suggestion.as_ref().map_or(Ok(()), |other| write!(f, "; did you mean `{}`?", clean(other)))
    }
}

impl std::error::Error for SpecError {}

impl FromStr for Spec {
    type Err = SpecError;

    /// Reads a string of the forms listed at [`Spec`].
    fn from_str(input: &str) -> Result<Self, SpecError> {
        Cursor { input, at: 0 }.spec().map_err(|unexpected| unexpected.explain(input))
    }
}

/// A place in the input and what could stand there.
struct Unexpected {
    at: usize,
    expected: String,
}

/// The input and how far it has been read, in bytes at a character border.
struct Cursor<'a> {
    input: &'a str,
    at: usize,
}

/// What stands behind the links of a graph.
enum Rows {
    /// Codes to walk on, `None` for the rows themselves.
    Codes(Option<Codes>),
    /// Codes beside the links, of that many bits.
    Block(usize),
}

impl Rows {
    fn behind(self, links: Links) -> Structure {
        match self {
            Self::Codes(codes) => Structure::Graph { links, codes },
            Self::Block(bits) => Structure::Blocks { links, bits },
        }
    }
}

/// What may come after a structure that has nothing but a number.
fn after_number(number: Option<usize>) -> &'static str {
    if number.is_some() { "`@` or the end" } else { "a number, `@` or the end" }
}

/// What [`Rows`] begin with.
const ROWS: &str = "`Flat`, `SQ8`, `SQ6`, `SQ4` or `Block`";
/// What refines codes.
const REFINE: &str = "`Refine(Flat)`, `Refine(f16)`, `Refine(bf16)` or `Refine(SQ8)`";
/// What follows the codes of lists.
const SOAR_OR_REFINE: &str = "`SOAR`, `Refine(Flat)`, `Refine(f16)`, `Refine(bf16)` or `Refine(SQ8)`";

impl<'a> Cursor<'a> {
    fn spec(mut self) -> Result<Spec, Unexpected> {
        self.skip_blanks();
        let (structure, mut next) = self.structure()?;
        let mut metric = None;
        if self.eat('@') {
            (metric, next) = (Some(self.metric()?), "the end");
        }
        self.skip_blanks();
        if self.rest().is_empty() { Ok(Spec { structure, metric }) } else { Err(self.unexpected(next)) }
    }

    /// A structure, and what may come after it.
    fn structure(&mut self) -> Result<(Structure, &'static str), Unexpected> {
        let start = self.at;
        if let Some(code) = self.code() {
            return Ok((Structure::Codes(code), "`@` or the end"));
        }
        match self.take(|c| c.is_ascii_alphabetic()).to_ascii_uppercase().as_str() {
            "FLAT" => Ok((Structure::Flat, "`@` or the end")),
            "HNSW" => self.hnsw(),
            "NSW" => {
                let m = self.number("M", M)?;
                self.flat(m, Links::Nsw { m: m.unwrap_or(DEFAULT_M) })
            }
            "VAMANA" => {
                let most = self.number("links", M)?;
                self.flat(most, Links::Vamana { max_degree: most.unwrap_or(DEFAULT_MAX_DEGREE) })
            }
            "DEG" => self.deg(),
            "IVF" => self.ivf(None),
            "OPQ" => self.opq(),
            "BALLTREE" => Ok((Structure::BallTree, "`@` or the end")),
            "KDFOREST" => {
                let trees = self.number("trees", TREES)?;
                Ok((Structure::KdForest { trees: trees.unwrap_or(DEFAULT_TREES) }, after_number(trees)))
            }
            "KDTREE" => Ok((Structure::KdTree, "`@` or the end")),
            "RPFOREST" | "ANNOY" => {
                let trees = self.number("trees", RP_TREES)?;
                Ok((Structure::RpForest { trees: trees.unwrap_or(DEFAULT_RP_TREES) }, after_number(trees)))
            }
            "KMEANSTREE" => {
                let most = self.number("branches", BRANCHING)?;
                Ok((Structure::KMeansTree { branching: most.unwrap_or(DEFAULT_BRANCHING) }, after_number(most)))
            }
            "AUTO" => self.auto(),
            _ => {
                self.at = start;
                Err(self.unexpected(
                    "`Auto`, `Flat`, `SQ8`, `SQ6`, `SQ4`, `HNSW`, `NSW`, `Vamana`, `DEG`, `IVF`, `OPQ`, `KDTree`, `BallTree`, `KDForest`, `RPForest`, `Annoy` or `KMeansTree`",
                ))
            }
        }
    }

    /// What follows the word `HNSW`.
    fn hnsw(&mut self) -> Result<(Structure, &'static str), Unexpected> {
        let m = self.number("M", M)?;
        let mut next = if m.is_some() { "`,`, `_`, `@` or the end" } else { "M, `,`, `_`, `@` or the end" };
        let m = m.unwrap_or(DEFAULT_M);
        let (mut m0, mut rows) = (None, Rows::Codes(None));
        if self.eat_tight('_') {
            (rows, next) = self.rows(ROWS)?;
        } else if self.eat(',') {
            m0 = self.number("M0", M0)?;
            if m0.is_none() {
                (rows, next) = self.rows("M0, `Flat`, `SQ8`, `SQ6`, `SQ4` or `Block`")?;
            } else if self.eat_tight('_') || self.eat(',') {
                (rows, next) = self.rows(ROWS)?;
            }
        }
        Ok((rows.behind(Links::Hnsw { m, m0 }), next))
    }

    /// What follows the number of a graph of one layer, if it was there.
    fn flat(&mut self, number: Option<usize>, links: Links) -> Result<(Structure, &'static str), Unexpected> {
        let mut next = if number.is_some() { "`,`, `_`, `@` or the end" } else { "a number, `,`, `_`, `@` or the end" };
        let mut rows = Rows::Codes(None);
        if self.eat_tight('_') || self.eat(',') {
            (rows, next) = self.rows(ROWS)?;
        }
        Ok((rows.behind(links), next))
    }

    /// What follows the word `DEG`.
    fn deg(&mut self) -> Result<(Structure, &'static str), Unexpected> {
        let start = self.at;
        match self.number("edges", DEGREE)? {
            None => Ok((Structure::Deg { degree: DEFAULT_DEGREE }, "a number, `@` or the end")),
            Some(degree) if degree % 2 == 0 => Ok((Structure::Deg { degree }, "`@` or the end")),
            Some(_) => {
                self.at = start;
                Err(self.unexpected("an even number of edges"))
            }
        }
    }

    /// What follows the word `OPQ`.
    fn opq(&mut self) -> Result<(Structure, &'static str), Unexpected> {
        let m = self.groups()?;
        if !self.eat(',') {
            return Err(self.unexpected("`,`"));
        }
        let start = self.at;
        if !self.take(|c| c.is_ascii_alphabetic()).eq_ignore_ascii_case("IVF") {
            self.at = start;
            return Err(self.unexpected("`IVF`"));
        }
        self.ivf(Some(m))
    }

    /// What follows the word `IVF`, for rows turned for `turned` groups.
    fn ivf(&mut self, turned: Option<usize>) -> Result<(Structure, &'static str), Unexpected> {
        let nlist = self.number("lists", NLIST)?.ok_or_else(|| self.unexpected("lists from 1 to 16777216"))?;
        if !self.eat(',') {
            return Err(self.unexpected("`,`"));
        }
        let (list, next) = self.list(turned)?;
        let (mut soar, mut refine) = (false, None);
        if !self.eat(',') {
            return Ok((Structure::Ivf { nlist, list, soar, refine }, next));
        }
        soar = self.word("SOAR");
        if list == ListCode::Flat {
            // Nothing refines the rows themselves.
            let flat = Structure::Ivf { nlist, list, soar, refine };
            return if soar { Ok((flat, "`@` or the end")) } else { Err(self.unexpected("`SOAR`")) };
        }
        if soar && !self.eat(',') {
            return Ok((Structure::Ivf { nlist, list, soar, refine }, "`,`, `@` or the end"));
        }
        refine = Some(self.refined(if soar { REFINE } else { SOAR_OR_REFINE })?);
        Ok((Structure::Ivf { nlist, list, soar, refine }, "`@` or the end"))
    }

    /// What lies in lists, and what may come after it.
    fn list(&mut self, turned: Option<usize>) -> Result<(ListCode, &'static str), Unexpected> {
        const NEXT: &str = "`,`, `@` or the end";
        let start = self.at;
        if let Some(groups) = turned {
            if !self.take(|c| c.is_ascii_alphabetic()).eq_ignore_ascii_case("PQ") {
                self.at = start;
                return Err(self.unexpected(&format!("`PQ{groups}` or `PQ{groups}x4fs`")));
            }
            return match self.pq(true)? {
                list @ ListCode::Pq { m, .. } if m == groups => Ok((list, NEXT)),
                _ => {
                    self.at = start;
                    Err(self.unexpected(&format!("`PQ{groups}` or `PQ{groups}x4fs`")))
                }
            };
        }
        if self.word("Flat") {
            return Ok((ListCode::Flat, NEXT));
        }
        if let Some(code) = self.code() {
            return Ok((ListCode::Codes(code), NEXT));
        }
        match self.take(|c| c.is_ascii_alphabetic()).to_ascii_uppercase().as_str() {
            "PQ" => Ok((self.pq(false)?, NEXT)),
            "RABITQ" | "RABITQFS" => {
                let bits = self.number("bits", BITS)?;
                let next = if bits.is_some() { NEXT } else { "bits, `,`, `@` or the end" };
                Ok((ListCode::Rabitq { bits: bits.unwrap_or(1) }, next))
            }
            "SCANN" => Ok((ListCode::Scann { m: self.groups()? }, NEXT)),
            _ => {
                self.at = start;
                Err(self.unexpected("`Flat`, `SQ8`, `SQ6`, `SQ4`, `PQ`, `RaBitQ` or `ScaNN`"))
            }
        }
    }

    /// What follows the word `PQ`.
    fn pq(&mut self, turned: bool) -> Result<ListCode, Unexpected> {
        let m = self.groups()?;
        let start = self.at;
        let bits = match self.take(|c| c.is_ascii_alphanumeric()).to_ascii_lowercase().as_str() {
            "" | "x8" => 8,
            "x4fs" => 4,
            _ => {
                self.at = start;
                return Err(self.unexpected("`x4fs` or `x8`"));
            }
        };
        Ok(ListCode::Pq { m, bits, turned })
    }

    fn groups(&mut self) -> Result<usize, Unexpected> {
        self.number("groups", GROUPS)?.ok_or_else(|| self.unexpected("groups from 1 to 65536"))
    }

    /// What follows the word `Auto`.
    fn auto(&mut self) -> Result<(Structure, &'static str), Unexpected> {
        if !self.eat(',') {
            return Ok((Structure::Auto(Profile::default()), "`,`, `@` or the end"));
        }
        let profile = Profile::ALL.into_iter().find(|profile| self.word(profile.word()));
        let profile = profile.ok_or_else(|| self.unexpected("`Speed`, `Balanced` or `Compact`"))?;
        Ok((Structure::Auto(profile), "`@` or the end"))
    }

    /// What is walked on, and what may come after it.
    fn rows(&mut self, expected: &str) -> Result<(Rows, &'static str), Unexpected> {
        if self.word("Flat") {
            return Ok((Rows::Codes(None), "`@` or the end"));
        }
        let start = self.at;
        if self.take(|c| c.is_ascii_alphabetic()).eq_ignore_ascii_case("block") {
            let bits = self.number("bits", BITS)?.ok_or_else(|| self.unexpected("bits from 1 to 8"))?;
            return Ok((Rows::Block(bits), "`@` or the end"));
        }
        self.at = start;
        let code = self.code().ok_or_else(|| self.unexpected(expected))?;
        if !self.eat(',') {
            return Ok((Rows::Codes(Some(Codes { code, refine: None })), "`,`, `@` or the end"));
        }
        let refine = self.refined(REFINE)?;
        Ok((Rows::Codes(Some(Codes { code, refine: Some(refine) })), "`@` or the end"))
    }

    /// What refines codes, where `expected` could stand.
    fn refined(&mut self, expected: &str) -> Result<Refine, Unexpected> {
        if self.word("RFlat") {
            Ok(Refine::Flat)
        } else if self.word("Refine") {
            self.refine()
        } else {
            Err(self.unexpected(expected))
        }
    }

    /// What follows the word `Refine`.
    fn refine(&mut self) -> Result<Refine, Unexpected> {
        if !self.eat_tight('(') {
            return Err(self.unexpected("`(`"));
        }
        self.skip_blanks();
        let refine = Refine::ALL.into_iter().find(|refine| self.word(refine.word()));
        let refine = refine.ok_or_else(|| self.unexpected("`Flat`, `f16`, `bf16` or `SQ8`"))?;
        self.skip_blanks();
        if self.eat_tight(')') { Ok(refine) } else { Err(self.unexpected("`)`")) }
    }

    /// A code, if its name comes next.
    fn code(&mut self) -> Option<Code> {
        Code::ALL.into_iter().find(|code| self.word(&code.to_string()))
    }

    /// Steps over `word` in any case, if it comes next and ends there.
    fn word(&mut self, word: &str) -> bool {
        let start = self.at;
        let comes = self.take(|c| c.is_ascii_alphanumeric()).eq_ignore_ascii_case(word);
        if !comes {
            self.at = start;
        }
        comes
    }

    fn metric(&mut self) -> Result<Metric, Unexpected> {
        let start = self.at;
        self.take(|c| c.is_ascii_alphanumeric() || c == '_').parse().map_err(|_| {
            self.at = start;
            self.unexpected(&format!("a metric ({})", Metric::ALL.map(Metric::name).join(", ")))
        })
    }

    /// Digits within `range`, or `None` if no digit follows.
    fn number(&mut self, name: &str, range: RangeInclusive<usize>) -> Result<Option<usize>, Unexpected> {
        let start = self.at;
        let digits = self.take(|c| c.is_ascii_digit());
        if digits.is_empty() {
            return Ok(None);
        }
        // A number beyond usize is out of range like any other that is too large.
        match digits.parse() {
            Ok(value) if range.contains(&value) => Ok(Some(value)),
            _ => {
                self.at = start;
                Err(self.unexpected(&format!("{name} from {} to {}", range.start(), range.end())))
            }
        }
    }

    /// Steps over `mark` and the blanks around it, if it comes next.
    fn eat(&mut self, mark: char) -> bool {
        let start = self.at;
        self.skip_blanks();
        if self.eat_tight(mark) {
            self.skip_blanks();
            return true;
        }
        self.at = start;
        false
    }

    /// Steps over `mark`, if it comes next without a blank.
    fn eat_tight(&mut self, mark: char) -> bool {
        let comes = self.rest().starts_with(mark);
        self.at += if comes { mark.len_utf8() } else { 0 };
        comes
    }

    fn skip_blanks(&mut self) {
        self.take(char::is_whitespace);
    }

    /// Steps over the characters that are `wanted`.
    fn take(&mut self, wanted: impl Fn(char) -> bool) -> &'a str {
        let rest = self.rest();
        let taken = &rest[..rest.find(|c| !wanted(c)).unwrap_or(rest.len())];
        self.at += taken.len();
        taken
    }

    fn rest(&self) -> &'a str {
        &self.input[self.at..]
    }

    fn unexpected(&self, expected: &str) -> Unexpected {
        // What is missing at the end is missing after the last visible character.
        let at = if self.rest().trim_end().is_empty() { self.input.trim_end().len() } else { self.at };
        Unexpected { at, expected: expected.to_owned() }
    }
}

impl Unexpected {
    fn explain(self, input: &str) -> SpecError {
        let found = token(&input[self.at..]);
        SpecError {
            column: input[..self.at].chars().count() + 1,
            expected: self.expected,
            found: found.to_owned(),
            suggestion: suggest(&input[..self.at], found, &input[self.at + found.len()..]),
            input: input.to_owned(),
        }
    }
}

/// The text up to the next separator, or the separator itself.
fn token(text: &str) -> &str {
    let text = text.trim_end();
    let first = text.chars().next().map_or(0, char::len_utf8);
    let is_separator = |c: char| matches!(c, ',' | '@' | '(' | ')') || c.is_whitespace();
    if text.starts_with(is_separator) {
        return &text[..first];
    }
    &text[..text.find(is_separator).unwrap_or(text.len())]
}

/// The first small repair of `before found after` that is a spec.
fn suggest(before: &str, found: &str, after: &str) -> Option<String> {
    let is_word = |c: char| c.is_ascii_alphanumeric();
    let head = before.trim_end_matches(|c| !is_word(c));
    let word = found.trim_start_matches(|c| !is_word(c));
    let (letters, digits) = word.split_at(word.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(word.len()));

    let structures = STRUCTURES.iter().filter(|name| close(letters, name));
    let structures = structures.map(|name| format!("{before}{name}{digits}{after}"));
    let metrics = Metric::ALL.iter().filter(|metric| close(word, metric.name())).map(|metric| metric.name());
    let synonym = word.parse::<Metric>().ok().map(|_| word);
    let metrics = synonym.into_iter().chain(metrics);
    let metrics = metrics.flat_map(|name| [format!("{before}{name}{after}"), format!("{head}@{name}{after}")]);
    // `HNSW 16` lacks nothing, `HNSW16 32` lacks its comma.
    let mark = if head.ends_with(|c: char| c.is_ascii_digit()) { "," } else { "" };
    let joined = (!head.is_empty() && !word.is_empty()).then(|| format!("{head}{mark}{word}{after}"));

    let repairs = structures.chain(metrics).chain(joined).map(|repair| repair.trim().to_owned());
    repairs.into_iter().find(|repair| Cursor { input: repair, at: 0 }.spec().is_ok())
}

/// Whether `word` may be a slip for `name`: cut short, or one letter in three wrong, missing, too many or swapped.
fn close(word: &str, name: &str) -> bool {
    let lower = |text: &str| text.chars().map(|c| c.to_ascii_lowercase()).collect::<Vec<_>>();
    let (word, name) = (lower(word), lower(name));
    // A number is a slip for no name, and a long text should not cost a long comparison.
    if !word.first().is_some_and(|c| c.is_ascii_alphabetic()) || word.len() > 2 * name.len() {
        return false;
    }
    (word.len() > 1 && name.starts_with(&word)) || slips(&word, &name) <= (name.len() / 3).max(1)
}

/// Edit distance with swaps of neighbours (optimal string alignment), over rows of the table.
fn slips(a: &[char], b: &[char]) -> usize {
    let (mut before, mut last) = (Vec::new(), (0..=b.len()).collect::<Vec<usize>>());
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let mut best = (last[j] + usize::from(x != y)).min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                best = best.min(before[j - 1] + 1);
            }
            row.push(best);
        }
        before = std::mem::replace(&mut last, row);
    }
    last.last().copied().unwrap_or(a.len())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn error(input: &str) -> SpecError {
        input.parse::<Spec>().map(|spec| panic!("{input:?} was read as {spec}")).unwrap_err()
    }

    #[test]
    fn strings_of_faiss_and_vicinity_are_read() {
        let table = [
            ("Flat", "Flat"),
            ("flat", "Flat"),
            ("FLAT@L2", "Flat@l2"),
            ("HNSW", "HNSW16"),
            ("HNSW32", "HNSW32"),
            ("hnsw032", "HNSW32"),
            ("HNSW32,Flat", "HNSW32"),
            ("HNSW32_Flat", "HNSW32"),
            ("HNSW,Flat", "HNSW16"),
            ("HNSW_flat", "HNSW16"),
            ("HNSW16,32", "HNSW16,32"),
            ("HNSW16,16", "HNSW16,16"),
            ("HNSW32,16", "HNSW32,16"),
            ("HNSW,48", "HNSW16,48"),
            ("HNSW16,32,Flat", "HNSW16,32"),
            ("HNSW16,32_Flat@ip", "HNSW16,32@ip"),
            ("HNSW2@cosine", "HNSW2@cosine"),
            ("HNSW512,1024@jaccard", "HNSW512,1024@jaccard"),
            ("HNSW16@inner_product", "HNSW16@ip"),
            ("HNSW16@Euclidean", "HNSW16@l2"),
            ("  HNSW16 , 32 ,Flat @ hamming\t", "HNSW16,32@hamming"),
            ("NSW16", "NSW16"),
            ("nsw", "NSW16"),
            ("NSW24,SQ8,RFlat", "NSW24,SQ8,Refine(Flat)"),
            ("vamana", "Vamana64"),
            ("VAMANA32_flat@ip", "Vamana32@ip"),
            ("Vamana48 , block2", "Vamana48,Block2"),
            ("kdtree @ L1", "KDTree@l1"),
            ("balltree", "BallTree"),
            ("KDForest", "KDForest4"),
            ("kdforest8@cosine", "KDForest8@cosine"),
            ("annoy50", "RPForest50"),
            ("rpforest@angular", "RPForest16@cosine"),
            ("kmeanstree", "KMeansTree32"),
            ("KMeansTree16 @ip", "KMeansTree16@ip"),
            ("sq8", "SQ8"),
            ("SQ4@ip", "SQ4@ip"),
            ("HNSW32_SQ8", "HNSW32,SQ8"),
            ("HNSW32,64,SQ6", "HNSW32,64,SQ6"),
            ("HNSW,SQ8,RFlat", "HNSW16,SQ8,Refine(Flat)"),
            ("hnsw32_sq4 , refine( BF16 )@l2", "HNSW32,SQ4,Refine(bf16)@l2"),
            ("HNSW32,SQ4,Refine(sq8)", "HNSW32,SQ4,Refine(SQ8)"),
            ("ivf1024 , flat", "IVF1024,Flat"),
            ("IVF1024,PQ64x8", "IVF1024,PQ64"),
            ("ivf1024,pq64X4FS,rflat@ip", "IVF1024,PQ64x4fs,Refine(Flat)@ip"),
            ("opq64,ivf1024,pq64x4fs,Refine(f16)", "OPQ64,IVF1024,PQ64x4fs,Refine(f16)"),
            ("IVF1024,RaBitQ", "IVF1024,RaBitQ1"),
            ("IVF1024,rabitqfs4,RFlat", "IVF1024,RaBitQ4,Refine(Flat)"),
            ("IVF1024,ScaNN32,RFlat", "IVF1024,ScaNN32,Refine(Flat)"),
            ("IVF1024,SQ4,Refine(SQ8)", "IVF1024,SQ4,Refine(SQ8)"),
            ("IVF1024,ScaNN64 , soar,RFlat@ip", "IVF1024,ScaNN64,SOAR,Refine(Flat)@ip"),
            ("IVF1024,Flat,SOAR", "IVF1024,Flat,SOAR"),
            ("OPQ8,IVF1024,PQ8x4fs,Soar", "OPQ8,IVF1024,PQ8x4fs,SOAR"),
        ];
        for (input, canonical) in table {
            assert_eq!(input.parse::<Spec>().map(|spec| spec.to_string()), Ok(canonical.to_owned()), "{input:?}");
        }
    }

    #[test]
    fn errors_point_at_the_column() {
        let metrics = "a metric (l2, ip, cosine, l1, hamming, jaccard)";
        let rows = "`Flat`, `SQ8`, `SQ6`, `SQ4` or `Block`";
        let m0 = "M0, `Flat`, `SQ8`, `SQ6`, `SQ4` or `Block`";
        let by = "`Flat`, `f16`, `bf16` or `SQ8`";
        let refine = "`Refine(Flat)`, `Refine(f16)`, `Refine(bf16)` or `Refine(SQ8)`";
        let soar_or_refine = "`SOAR`, `Refine(Flat)`, `Refine(f16)`, `Refine(bf16)` or `Refine(SQ8)`";
        let lists = "`Flat`, `SQ8`, `SQ6`, `SQ4`, `PQ`, `RaBitQ` or `ScaNN`";
        let (either, tail, end) = (
            "`Auto`, `Flat`, `SQ8`, `SQ6`, `SQ4`, `HNSW`, `NSW`, `Vamana`, `DEG`, `IVF`, `OPQ`, `KDTree`, `BallTree`, `KDForest`, `RPForest`, `Annoy` or `KMeansTree`",
            "`,`, `_`, `@` or the end",
            "the end",
        );
        let table = [
            ("", 1, either, "", None),
            ("  \n ", 1, either, "", None),
            ("@l2", 1, either, "@", None),
            ("32", 1, either, "32", None),
            ("HNWS32@ip", 1, either, "HNWS32", Some("HNSW32@ip")),
            ("  Falt", 3, either, "Falt", Some("Flat")),
            ("Vamna64", 1, either, "Vamna64", Some("Vamana64")),
            ("NSW1", 4, "M from 2 to 512", "1", None),
            ("NSW16,32", 7, rows, "32", None),
            ("Vamana 64", 8, "a number, `,`, `_`, `@` or the end", "64", Some("Vamana64")),
            ("IVF", 4, "lists from 1 to 16777216", "", None),
            ("IVF0,Flat", 4, "lists from 1 to 16777216", "0", None),
            ("IVF1024", 8, "`,`", "", None),
            ("IVF1024,", 9, lists, "", None),
            ("IVF1024,LSH", 9, lists, "LSH", None),
            ("IVF1024,PQ", 11, "groups from 1 to 65536", "", None),
            ("IVF1024,PQ64x5", 13, "`x4fs` or `x8`", "x5", None),
            ("IVF1024,RaBitQ9", 15, "bits from 1 to 8", "9", None),
            ("IVF1024,PQ64,", 14, soar_or_refine, "", None),
            ("IVF1024,PQ64,SOAR,", 19, refine, "", None),
            ("IVF1024,PQ64,SOAR,SOAR", 19, refine, "SOAR", None),
            ("IVF1024,PQ64,RFlat,SOAR", 19, "`@` or the end", ",", None),
            ("IVF1024,PQ64,SOAR;", 18, "`,`, `@` or the end", ";", None),
            ("IVF1024,Flat,RFlat", 14, "`SOAR`", "RFlat", None),
            ("IVF1024,Flat,SOAR,RFlat", 18, "`@` or the end", ",", None),
            ("OPQ64,PQ64", 7, "`IVF`", "PQ64", None),
            ("OPQ64,IVF8,PQ32", 12, "`PQ64` or `PQ64x4fs`", "PQ32", None),
            ("OPQ64,IVF8,Flat", 12, "`PQ64` or `PQ64x4fs`", "Flat", None),
            ("HNSWFlat", 1, either, "HNSWFlat", None),
            ("\u{fc}ber", 1, either, "\u{fc}ber", None),
            ("Flat32", 5, "`@` or the end", "32", None),
            ("Flat,ip", 5, "`@` or the end", ",", None),
            ("Flat ip", 6, "`@` or the end", "ip", Some("Flat@ip")),
            ("HNSW 16", 6, "M, `,`, `_`, `@` or the end", "16", Some("HNSW16")),
            ("HNSW-3", 5, "M, `,`, `_`, `@` or the end", "-3", Some("HNSW3")),
            ("HNSW1", 5, "M from 2 to 512", "1", None),
            ("HNSW513,Flat", 5, "M from 2 to 512", "513", None),
            ("HNSW99999999999999999999999999", 5, "M from 2 to 512", "99999999999999999999999999", None),
            ("HNSW16.5", 7, tail, ".5", Some("HNSW16,5")),
            ("HNSW16;32", 7, tail, ";32", Some("HNSW16,32")),
            ("HNSW16 32", 8, tail, "32", Some("HNSW16,32")),
            ("HNSW16:cosine", 7, tail, ":cosine", Some("HNSW16@cosine")),
            ("HNSW16 _Flat", 8, tail, "_Flat", Some("HNSW16,Flat")),
            ("HNSW16,1", 8, "M0 from 2 to 1024", "1", None),
            ("HNSW16,1025", 8, "M0 from 2 to 1024", "1025", None),
            ("HNSW16,", 8, m0, "", None),
            ("HNSW16,  ", 8, m0, "", None),
            ("HNSW16,,32", 8, m0, ",", None),
            ("HNSW16,PQ8", 8, m0, "PQ8", None),
            ("HNSW16,cosine", 8, m0, "cosine", Some("HNSW16@cosine")),
            ("HNSW16,cosin", 8, m0, "cosin", Some("HNSW16@cosine")),
            ("HNSW16,Falt@l2", 8, m0, "Falt", Some("HNSW16,Flat@l2")),
            ("HNSW16,32+PQ8", 10, tail, "+PQ8", None),
            ("HNSW16_32", 8, rows, "32", Some("HNSW16,32")),
            ("HNSW16,32,", 11, rows, "", None),
            ("KDForest65", 9, "trees from 1 to 64", "65", None),
            ("RPForest0", 9, "trees from 1 to 1000", "0", None),
            ("RPForest 5", 10, "a number, `@` or the end", "5", Some("RPForest5")),
            ("Anoy10", 1, either, "Anoy10", Some("Annoy10")),
            ("KMeansTree32,SQ8", 13, "`@` or the end", ",", None),
            ("KDTree4", 7, "`@` or the end", "4", None),
            ("KDTre@l2", 1, either, "KDTre", Some("KDTree@l2")),
            ("SQ5", 1, either, "SQ5", None),
            ("SQ8,Refine(Flat)", 4, "`@` or the end", ",", None),
            ("HNSW16,SQ88", 8, m0, "SQ88", None),
            ("HNSW16,SQ8,", 12, refine, "", None),
            ("HNSW16,SQ8,Flat", 12, refine, "Flat", None),
            ("HNSW16,SQ8;Flat", 11, "`,`, `@` or the end", ";Flat", None),
            ("HNSW16,SQ8,Refine", 18, "`(`", "", None),
            ("HNSW16,SQ8,Refine(", 19, by, "", None),
            ("HNSW16,SQ8,Refine(PQ8)", 19, by, "PQ8", None),
            ("HNSW16,SQ8,Refine(f16", 22, "`)`", "", None),
            ("HNSW16,SQ8,Refine(f16),Flat", 23, "`@` or the end", ",", None),
            ("HNSW16,Flat,RFlat", 12, "`@` or the end", ",", None),
            ("HNSW16@", 8, metrics, "", None),
            ("HNSW16 @ cosin", 10, metrics, "cosin", Some("HNSW16 @ cosine")),
            ("HNSW16@euclid", 8, metrics, "euclid", None),
            ("HNSW16@\u{e9}@", 8, metrics, "\u{e9}", None),
            ("HNSW16@l2@ip", 10, end, "@", None),
            ("HNSW16@l2,Flat", 10, end, ",", None),
        ];
        for (input, column, expected, found, suggestion) in table {
            let error = error(input);
            assert_eq!(
                (error.column, error.expected.as_str(), error.found.as_str()),
                (column, expected, found),
                "{input:?}"
            );
            assert_eq!(error.suggestion.as_deref(), suggestion, "{input:?}");
            assert_eq!(error.input, input);
        }
    }

    #[test]
    fn message_is_two_lines_with_the_caret_under_the_error() {
        let message = error("HNSW16 @ cosin").to_string();
        let lines: Vec<&str> = message.lines().collect();
        assert_eq!(lines.len(), 2, "{message}");
        assert_eq!((lines[0], lines[1].find('^')), ("HNSW16 @ cosin", Some(9)));
        assert!(lines[1].ends_with("found `cosin`; did you mean `HNSW16 @ cosine`?"), "{message}");
        assert!(error("HNSW16@").to_string().ends_with("jaccard), found the end"));
    }

    #[test]
    fn line_breaks_do_not_tear_the_message() {
        assert_eq!(error("Flat\n@\r\nx\u{1b}[1m").to_string().lines().count(), 2);
    }

    proptest! {
        #[test]
        fn anything_is_read_or_explained(input in any::<String>()) {
            explained(&input);
        }

        #[test]
        fn anything_near_a_spec_is_read_or_explained(
            input in "(Flat|HNSW|hnsw|NSW|Vamana|IVF9,|OPQ9,IVF9,PQ|IVF9,PQ9x4|HNSW9,SQ8,Refine|HNSW9,Block|Auto,|[HNSWflat,]{0,5})[0-9,_@() ]{0,6}[a-z0-9,_@ \u{e9}]{0,8}"
        ) {
            explained(&input);
        }
    }

    /// What is read is read again from its own form; an error points into the input, and its suggestion is a spec.
    fn explained(input: &str) {
        match input.parse::<Spec>() {
            Ok(spec) => assert_eq!(spec.to_string().parse(), Ok(spec)),
            Err(error) => {
                let start: Vec<char> = input.chars().skip(error.column - 1).collect();
                let found: Vec<char> = error.found.chars().collect();
                assert!(start.starts_with(&found), "{error:?}");
                assert!(!found.is_empty() || error.column == input.trim_end().chars().count() + 1, "{error:?}");
                assert!(error.suggestion.is_none_or(|other| other.parse::<Spec>().is_ok()));
                assert_eq!(error.input, input);
            }
        }
    }
}
