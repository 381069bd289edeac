//! The picture: recall against queries per second, and below it build time and memory of every series.
//!
//! Recall is drawn on a scale of nines, `-log10(1 - recall)`, since the step from 0.98 to 0.99 costs as much as that
//! from 0.8 to 0.9; queries per second are logarithmic. Where the points came to lie is returned with the drawing, so
//! that the page can answer the mouse without drawing everything twice.

use std::fmt::Display;

use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};
use serde::Serialize;

use super::report::{Line, ReportError, Series};

/// Size of the drawing, pixels.
pub(crate) const SIZE: (u32, u32) = (1000, 860);

const UPPER: u32 = 560;
const FONT: &str = "sans-serif";
const TICKS: [f64; 12] = [0.1, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95, 0.98, 0.99, 0.999, 0.9999, 1.0];
/// Recall 1 is drawn here: five nines are beyond what any of the query sets can resolve.
const PERFECT: f64 = 1.0 - 1e-5;

/// An SVG and where its points are.
#[derive(Debug, Clone)]
pub(crate) struct Drawing {
    /// The picture, complete with its XML namespace.
    pub svg: String,
    /// Every measured point, in pixels.
    pub points: Vec<Point>,
}

/// One measured point.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Point {
    /// Pixels from the left.
    pub x: i32,
    /// Pixels from the top.
    pub y: i32,
    /// What to say about it.
    pub text: String,
}

/// Draws all series.
///
/// # Errors
/// [`ReportError::Plot`] if the drawing library refuses.
pub(crate) fn draw(title: &str, series: &[Series]) -> Result<Drawing, ReportError> {
    let mut svg = String::new();
    let points = {
        let root = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        root.fill(&WHITE).map_err(failed)?;
        let (upper, lower) = root.split_vertically(UPPER);
        let (left, right) = lower.split_horizontally(SIZE.0 / 2);
        let points = curves(&upper, title, series)?;
        bars(&left, "build, seconds", series, |series| series.build().0)?;
        bars(&right, "memory grown by the build, MiB", series, |series| series.build().2)?;
        root.present().map_err(failed)?;
        points
    };
    Ok(Drawing { svg, points })
}

type Area<'a> = DrawingArea<SVGBackend<'a>, plotters::coord::Shift>;

fn failed(error: impl Display) -> ReportError {
    ReportError::Plot(error.to_string())
}

/// Ten colours that stay apart for most eyes (Okabe and Ito's palette and two more).
fn colour(index: usize) -> RGBColor {
    const COLOURS: [RGBColor; 10] = [
        RGBColor(0, 114, 178),
        RGBColor(213, 94, 0),
        RGBColor(0, 158, 115),
        RGBColor(204, 121, 167),
        RGBColor(86, 180, 233),
        RGBColor(230, 159, 0),
        RGBColor(0, 0, 0),
        RGBColor(140, 86, 75),
        RGBColor(127, 127, 127),
        RGBColor(148, 103, 189),
    ];
    COLOURS[index % COLOURS.len()]
}

fn nines(recall: f64) -> f64 {
    -(1.0 - recall.clamp(0.0, PERFECT)).log10()
}

fn curves(area: &Area<'_>, title: &str, series: &[Series]) -> Result<Vec<Point>, ReportError> {
    let lines = || series.iter().flat_map(|series| &series.lines);
    let (low, high) = bounds(lines().map(|line| line.qps.max(1e-3)));
    let (left, right) = bounds(lines().map(|line| nines(line.recall)));
    let margin = ((right - left) * 0.04).max(0.02);
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 20))
        .margin(12)
        .x_label_area_size(46)
        .y_label_area_size(84)
        .build_cartesian_2d((left - margin)..(right + margin), ((low * 0.8)..(high * 1.25)).log_scale())
        .map_err(failed)?;
    chart
        .configure_mesh()
        .disable_mesh()
        .x_labels(0)
        .y_labels(0)
        .y_label_formatter(&|_| String::new())
        .set_all_tick_mark_size(0)
        .x_desc("recall")
        .y_desc("queries per second")
        .axis_desc_style((FONT, 16))
        .draw()
        .map_err(failed)?;

    // Ticks by hand: the library knows none for nines, and few for a logarithm of a decade or two.
    let grid = BLACK.mix(0.12);
    let (bottom, top, start, end) = (low * 0.8, high * 1.25, left - margin, right + margin);
    let below = (FONT, 14).into_font().color(&BLACK).pos(Pos::new(HPos::Center, VPos::Top));
    for tick in TICKS.into_iter().filter(|&tick| (start..=end).contains(&nines(tick))) {
        let at = nines(tick);
        chart.draw_series([PathElement::new(vec![(at, bottom), (at, top)], grid)]).map_err(failed)?;
        let (x, y) = chart.backend_coord(&(at, bottom));
        area.draw(&Text::new(tick.to_string(), (x, y + 6), below.clone())).map_err(failed)?;
    }
    let beside = (FONT, 14).into_font().color(&BLACK).pos(Pos::new(HPos::Right, VPos::Center));
    for tick in steps(bottom, top) {
        chart.draw_series([PathElement::new(vec![(start, tick), (end, tick)], grid)]).map_err(failed)?;
        let (x, y) = chart.backend_coord(&(start, tick));
        area.draw(&Text::new(short(tick), (x - 6, y), beside.clone())).map_err(failed)?;
    }

    let mut points = Vec::new();
    for (index, series) in series.iter().enumerate() {
        let colour = colour(index);
        let at = |line: &Line| (nines(line.recall), line.qps.max(1e-3));
        chart
            .draw_series(LineSeries::new(series.frontier().into_iter().map(at), colour.stroke_width(2)))
            .map_err(failed)?
            .label(&series.peer)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 18, y)], colour.stroke_width(3)));
        chart.draw_series(series.lines.iter().map(|line| Circle::new(at(line), 3, colour.filled()))).map_err(failed)?;
        points.extend(series.lines.iter().map(|line| {
            let (x, y) = chart.backend_coord(&at(line));
            let (setting, recall, qps) = (line.setting(), line.recall, line.qps);
            Point { x, y, text: format!("{}, setting {setting}: recall {recall:.4}, {qps:.0} QPS", series.peer) }
        }));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::LowerLeft)
        .background_style(WHITE.mix(0.85))
        .border_style(BLACK.mix(0.3))
        .label_font((FONT, 14))
        .draw()
        .map_err(failed)?;
    Ok(points)
}

fn bars(area: &Area<'_>, title: &str, series: &[Series], value: impl Fn(&Series) -> f64) -> Result<(), ReportError> {
    let longest = series.iter().map(&value).fold(0.0, f64::max).max(1e-9);
    let rows = series.len().max(1) as f64;
    let names = |row: &f64| {
        let index = (rows - row) as usize;
        series.get(index).map_or_else(String::new, |series| series.peer.clone())
    };
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 16))
        .margin(12)
        .margin_right(64)
        .y_label_area_size(150)
        .build_cartesian_2d(0.0..longest, 0.0..rows)
        .map_err(failed)?;
    // Labels are placed by hand, since they belong between the lines of a mesh.
    let right = (FONT, 13).into_font().color(&BLACK).pos(Pos::new(HPos::Right, VPos::Center));
    let left = (FONT, 13).into_font().color(&BLACK).pos(Pos::new(HPos::Left, VPos::Center));
    for (index, series) in series.iter().enumerate() {
        let (middle, length) = (rows - index as f64 - 0.5, value(series));
        let bar = [(0.0, middle - 0.36), (length.max(0.0), middle + 0.36)];
        chart.draw_series([Rectangle::new(bar, colour(index).filled())]).map_err(failed)?;
        let (x, y) = chart.backend_coord(&(0.0, middle));
        let origin = area.get_base_pixel();
        area.draw(&Text::new(names(&(middle + 0.5)), (x - origin.0 - 8, y - origin.1), right.clone()))
            .map_err(failed)?;
        let (x, y) = chart.backend_coord(&(length.max(0.0), middle));
        area.draw(&Text::new(format!("{length:.1}"), (x - origin.0 + 5, y - origin.1), left.clone()))
            .map_err(failed)?;
    }
    Ok(())
}

/// Smallest and largest value, or `0.1..1` where there is none.
fn bounds(values: impl Iterator<Item = f64>) -> (f64, f64) {
    let (low, high) = values.fold((f64::INFINITY, f64::NEG_INFINITY), |(a, b), v| (a.min(v), b.max(v)));
    if low <= high { (low, high) } else { (0.1, 1.0) }
}

/// Round numbers from `low` to `high` at about equal ratios: 1, 2 and 5 of every decade.
fn steps(low: f64, high: f64) -> Vec<f64> {
    let decades = low.log10().floor() as i32..=high.log10().ceil() as i32;
    let all = decades.flat_map(|decade| [1.0, 2.0, 5.0].map(|digit| digit * 10f64.powi(decade)));
    all.filter(|step| (low..=high).contains(step)).collect()
}

/// `12000` as `12k`.
fn short(value: f64) -> String {
    match value {
        v if v >= 1e6 => format!("{}M", v / 1e6),
        v if v >= 1e3 => format!("{}k", v / 1e3),
        v => v.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::super::report::tests::line;
    use super::*;

    fn series() -> Vec<Series> {
        let lines = [
            line("ann:HNSW16", 10, 0.8, 20_000.0),
            line("ann:HNSW16", 40, 0.99, 5_000.0),
            line("ann:Flat", 0, 1.0, 150.0),
            line("peer<&>", 7, 0.5, 900.0),
        ];
        Series::collect(&lines, "toy.hdf5", 10)
    }

    #[test]
    fn picture_names_every_series_and_draws_every_point() {
        let drawing = draw("toy", &series()).unwrap();
        assert!(drawing.svg.starts_with("<svg") && drawing.svg.trim_end().ends_with("</svg>"));
        for name in ["ann:HNSW16", "ann:Flat", "peer&lt;&amp;&gt;"] {
            // Once in the legend, once beside each of the two bars.
            assert_eq!(drawing.svg.matches(name).count(), 3, "{name}");
        }
        assert_eq!(drawing.svg.matches("<circle").count(), 4);
        assert_eq!(drawing.points.len(), 4);
    }

    #[test]
    fn better_points_lie_higher_and_further_right() {
        let points = draw("toy", &series()).unwrap().points;
        let (fast, exact) = (&points[0], &points[2]);
        assert!(fast.text.contains("setting 10") && exact.text.contains("ann:Flat"));
        assert!(fast.x < exact.x, "recall grows to the right");
        assert!(fast.y < exact.y, "speed grows upwards");
        assert!(points.iter().all(|p| p.x > 0 && p.x < SIZE.0 as i32 && p.y > 0 && p.y < UPPER as i32));
    }

    #[test]
    fn steps_are_round_and_within_bounds() {
        assert_eq!(steps(150.0, 5000.0), [200.0, 500.0, 1000.0, 2000.0, 5000.0]);
        assert_eq!(short(20_000.0) + &short(5e6) + &short(0.5), "20k5M0.5");
        let svg = draw("toy", &series()).unwrap().svg;
        assert!(!svg.contains("000.0"), "no label but ours");
        for label in ["200", "1k", "20k", "0.95", "0.999"] {
            assert_eq!(svg.matches(&format!(">\n{label}\n<")).count(), 1, "{label}");
        }
    }

    #[test]
    fn nothing_and_a_single_point_are_drawn_too() {
        draw("nothing", &[]).unwrap();
        let one = Series::collect(&[line("a", 1, 1.0, 1.0)], "toy.hdf5", 10);
        assert_eq!(draw("one", &one).unwrap().points.len(), 1);
    }
}
