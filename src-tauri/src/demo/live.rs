//! The report as people read it while it runs, and at its end.

use studio::Snapshot;

use super::report::Report;

fn figure(value: Option<f64>, unit: &str) -> String {
    value.map_or_else(|| "–".to_owned(), |value| format!("{value:.0} {unit}"))
}

/// One line a second.
pub fn line(studio: &Snapshot, viewer: &watch::Snapshot) -> String {
    let outputs: Vec<_> = studio.outputs.iter().map(|o| format!("{} {}", o.kind, o.state)).collect();
    let kbps: f64 = studio.renditions.iter().filter_map(|r| r.kbps).sum();
    format!(
        "{:6.1} s │ {:4.1} fps, {} dropped │ compose {} │ encode lag {} │ {:.1} Mbps │ {} │ viewer {} behind, {}",
        studio.seconds,
        studio.programme.fps,
        studio.programme.dropped,
        figure(studio.programme.compose_ms_p50, "ms"),
        figure(studio.programme.lag_ms_p50, "ms"),
        kbps / 1e3,
        outputs.join(", "),
        figure(viewer.report.delay_ms.p50, "ms"),
        match (viewer.report.decoded_fps, viewer.report.first_frame_ms) {
            (Some(fps), _) => format!("{fps:.1} fps"),
            (None, Some(_)) => "first pictures".to_owned(),
            (None, None) => "no picture yet".to_owned(),
        },
    )
}

/// The end.
pub fn summary(report: &Report) -> String {
    let mut lines = vec![format!("{:.1} s of broadcast", report.seconds)];
    for rendition in &report.renditions {
        lines.push(format!(
            "  {:9} {}×{}: {} of {} kbps, {} frames, {} dropped",
            rendition.name,
            rendition.width,
            rendition.height,
            rendition.kbps.map_or_else(|| "–".to_owned(), |kbps| format!("{kbps:.0}")),
            rendition.target_kbps,
            rendition.frames,
            rendition.dropped
        ));
    }
    if let Some(recording) = &report.recording {
        lines.push(format!("  recording {}", recording.path));
    }
    if let Some(payment) = &report.payment {
        let words = |amount| payment.unit.exactly(amount);
        lines.push(format!(
            "  {} s at {}: {} by the viewer's tab, {} by the node's ledger, {} on the chain",
            payment.ticks,
            words(payment.price),
            words(payment.viewer_total),
            words(payment.ledger_total),
            words(payment.chain_total)
        ));
    }
    match report.shortfalls.as_slice() {
        [] => lines.push("Every figure was reached.".to_owned()),
        short => {
            lines.push("Fell short:".to_owned());
            lines.extend(short.iter().map(|sentence| format!("  {sentence}")));
        }
    }
    lines.join("\n")
}
