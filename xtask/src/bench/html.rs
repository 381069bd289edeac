//! The page: the picture with a hint at every point, the tables and all numbers, in one file that needs no other.

use std::fmt::Write as _;

use super::plot::{Drawing, SIZE};
use super::report::{Line, ReportError, Series};

/// Recalls at which the table compares speeds.
const LEVELS: [f64; 4] = [0.9, 0.95, 0.99, 0.999];

const STYLE: &str = "body{font:15px sans-serif;max-width:1040px;margin:1em auto;padding:0 1em;color:#222}\
table{border-collapse:collapse;margin:1em 0}th,td{padding:.25em .8em;text-align:right;border-bottom:1px solid #ddd}\
th:first-child,td:first-child{text-align:left}figure{position:relative;margin:0}svg{max-width:100%;height:auto}\
#hint{position:absolute;display:none;background:#222;color:#fff;padding:.2em .5em;border-radius:3px;font-size:13px;\
pointer-events:none;white-space:nowrap}";

/// Shows what the nearest point within 12 pixels says. Coordinates are those of the drawing, whatever its size on the
/// screen.
const SCRIPT: &str = "const points=JSON.parse(document.getElementById('points').textContent),\
figure=document.querySelector('figure'),svg=figure.querySelector('svg'),hint=document.getElementById('hint');\
figure.onmousemove=e=>{const box=svg.getBoundingClientRect(),scale=WIDTH/box.width,x=(e.clientX-box.left)*scale,\
y=(e.clientY-box.top)*scale;let best=null,far=144;for(const p of points){const d=(p.x-x)**2+(p.y-y)**2;\
if(d<far){far=d;best=p}}hint.style.display=best?'block':'none';if(best){hint.textContent=best.text;\
hint.style.left=best.x/scale+12+'px';hint.style.top=best.y/scale-28+'px'}};figure.onmouseleave=()=>\
hint.style.display='none';";

/// Writes the page.
///
/// `facts` are pairs of a heading and a value: machine, command, data.
///
/// # Errors
/// [`ReportError::Plot`] if the numbers cannot be written as JSON, which would be a bug.
pub(crate) fn page(
    title: &str,
    facts: &[(&str, String)],
    series: &[Series],
    drawing: &Drawing,
) -> Result<String, ReportError> {
    let mut html = String::new();
    let points = script_json(&drawing.points)?;
    let lines: Vec<&Line> = series.iter().flat_map(|series| &series.lines).collect();
    let numbers = script_json(&lines)?;
    // Writing to a String cannot fail.
    let _ = write!(
        html,
        "<!DOCTYPE html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><title>{title}</title>\
         <style>{STYLE}</style></head>\n<body><h1>{title}</h1>\n<figure>{svg}<div id=\"hint\"></div></figure>\n",
        title = escape(title),
        svg = inline(&drawing.svg)
    );
    html.push_str(&speeds(series));
    html.push_str("<table>\n");
    for (name, value) in facts {
        let _ = writeln!(html, "<tr><td>{}</td><td>{}</td></tr>", escape(name), escape(value));
    }
    html.push_str("</table>\n<details><summary>All settings</summary>\n");
    html.push_str(&settings(&lines));
    let script = SCRIPT.replace("WIDTH", &SIZE.0.to_string());
    let _ = write!(
        html,
        "</details>\n<script type=\"application/json\" id=\"points\">{points}</script>\n\
         <script type=\"application/json\" id=\"results\">{numbers}</script>\n<script>{script}</script>\n</body></html>\n"
    );
    Ok(html)
}

fn speeds(series: &[Series]) -> String {
    let mut html = "<table>\n<tr><th>index</th>".to_owned();
    for level in LEVELS {
        let _ = write!(html, "<th>QPS at {level}</th>");
    }
    html.push_str("<th>build s</th><th>threads</th><th>memory MiB</th></tr>\n");
    for series in series {
        let _ = write!(html, "<tr><td>{}</td>", escape(&series.peer));
        for level in LEVELS {
            let _ = match series.qps_at(level) {
                Some(qps) => write!(html, "<td>{qps:.0}</td>"),
                None => write!(html, "<td>not reached</td>"),
            };
        }
        let (seconds, threads, memory) = series.build();
        let _ = writeln!(html, "<td>{seconds:.1}</td><td>{threads}</td><td>{memory:.1}</td></tr>");
    }
    html + "</table>\n"
}

fn settings(lines: &[&Line]) -> String {
    let mut html = "<table>\n<tr><th>index</th><th>setting</th><th>recall</th><th>QPS</th></tr>\n".to_owned();
    for line in lines {
        let (peer, setting) = (escape(&line.peer), escape(&line.setting()));
        let _ = writeln!(
            html,
            "<tr><td>{peer}</td><td>{setting}</td><td>{:.5}</td><td>{:.0}</td></tr>",
            line.recall, line.qps
        );
    }
    html + "</table>\n"
}

/// An SVG within HTML needs no namespace; without it the page holds no address at all. The size goes too, so that the
/// drawing can shrink with the window.
fn inline(svg: &str) -> String {
    let (head, body) = svg.split_once('>').unwrap_or((svg, ""));
    let kept: Vec<&str> = head
        .split_inclusive('"')
        .collect::<Vec<_>>()
        .chunks(2)
        .filter(|pair| !pair[0].trim_start().starts_with("xmlns="))
        .flatten()
        .copied()
        .collect();
    format!("{}>{body}", kept.concat())
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}

/// JSON that cannot end the script element it stands in.
fn script_json(value: &impl serde::Serialize) -> Result<String, ReportError> {
    let text = serde_json::to_string(value).map_err(|error| ReportError::Plot(error.to_string()))?;
    Ok(text.replace('<', "\\u003c"))
}

#[cfg(test)]
mod tests {
    use super::super::plot::draw;
    use super::super::report::tests::line;
    use super::*;

    fn toy() -> String {
        let lines = [
            line("ann:HNSW16", 10, 0.8, 20_000.0),
            line("ann:HNSW16", 40, 1.0, 5_000.0),
            line("</script>", 1, 0.5, 9.0),
        ];
        let series = Series::collect(&lines, "toy.hdf5", 10);
        let drawing = draw("toy", &series).unwrap();
        page("toy & more", &[("machine", "a <b>".to_owned())], &series, &drawing).unwrap()
    }

    #[test]
    fn page_stands_alone() {
        let html = toy();
        for link in ["http", "src=", "href=", "@import", "url("] {
            assert!(!html.contains(link), "{link}");
        }
        assert!(html.contains("<svg ") && html.contains("viewBox") && html.contains("<script>"));
    }

    #[test]
    fn page_shows_names_as_text_only() {
        let html = toy();
        assert_eq!(html.matches("</script>").count(), 3, "no name ends a script early");
        assert!(html.contains("toy &amp; more") && html.contains("a &lt;b&gt;"));
    }

    #[test]
    fn table_compares_speeds_at_fixed_recalls() {
        let html = toy();
        assert!(html.contains("<td>ann:HNSW16</td><td>10000</td>"), "QPS at 0.9 half way from 0.8 to 1");
        assert!(html.contains("not reached"));
    }
}
