//! The report as programs read it. Fields are added, never renamed; a missing measurement is `null`.

use std::path::Path;

use anyhow::Context;
use codec::{FileOptions, FileReader};
use serde::Serialize;
use studio::Snapshot;
use studio::snapshot::{
    OutputFigures, ProgrammeFigures, RecordingFigures, RenditionFigures, SimulationFigures, SourceFigures,
};
use watch::PlayerReport;

use super::payment::PaymentReport;
use crate::resources::{ProcessFigures, machine};

#[derive(Serialize)]
pub struct Report {
    pub seconds: f64,
    pub version: &'static str,
    pub machine: Machine,
    pub simulation: Option<SimulationFigures>,
    pub programme: ProgrammeFigures,
    pub sources: Vec<SourceFigures>,
    pub renditions: Vec<RenditionFigures>,
    pub outputs: Vec<OutputFigures>,
    pub viewers: Vec<PlayerReport>,
    pub recording: Option<RecordingReport>,
    /// `None` where nobody paid.
    pub payment: Option<PaymentReport>,
    pub resources: Vec<ProcessFigures>,
    /// One sentence for each figure that fell short.
    pub shortfalls: Vec<String>,
}

#[derive(Serialize)]
pub struct Machine {
    pub cpu: Option<String>,
    pub cores: usize,
    /// `None` where the CPU composes and simulates.
    pub gpu: Option<String>,
}

/// What is in the recorded file, read from the file.
#[derive(Serialize)]
pub struct RecordingReport {
    pub path: String,
    pub seconds: Option<f64>,
    pub tracks: usize,
    /// Why it ended before the broadcast did, where it did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<String>,
}

impl Report {
    /// Of the last snapshots; reads the finished recording.
    pub fn new(
        studio: &Snapshot,
        viewers: &[watch::Snapshot],
        payment: Option<PaymentReport>,
    ) -> anyhow::Result<Self> {
        let (cpu, cores) = machine();
        let recording = studio.recording.as_ref().map(read_recording).transpose()?;
        let mut report = Self {
            seconds: studio.seconds,
            version: env!("CARGO_PKG_VERSION"),
            machine: Machine { cpu, cores, gpu: studio.graphics.clone() },
            simulation: studio.simulation.clone(),
            programme: studio.programme.clone(),
            sources: studio.sources.clone(),
            renditions: studio.renditions.clone(),
            outputs: studio.outputs.clone(),
            viewers: viewers.iter().map(|viewer| viewer.report.clone()).collect(),
            recording,
            payment,
            resources: vec![ProcessFigures::own("demo")],
            shortfalls: Vec::new(),
        };
        report.shortfalls = shortfalls(&report);
        Ok(report)
    }
}

/// A broadcast that ended sooner may have done so before a connection could stand.
const LONG_ENOUGH_SECONDS: f64 = 10.0;

/// A sentence for each part that did not do its work, where it had the time.
pub fn failures(report: &Report) -> Vec<String> {
    let cut = report.recording.iter().filter_map(|recording| recording.message.as_ref());
    let cut = cut.map(|why| format!("the recording was cut short: {why}"));
    if report.seconds < LONG_ENOUGH_SECONDS {
        return cut.collect();
    }
    let outputs = outputs_not_up(report).map(|what| format!("the {what}"));
    let viewers = report.viewers.iter().filter(|viewer| viewer.first_frame_ms.is_none());
    let books = report.payment.iter().flat_map(disagreements);
    cut.chain(outputs).chain(viewers.map(|_| "the viewer saw no picture".to_owned())).chain(books).collect()
}

/// What each output is that is not up, and why.
fn outputs_not_up(report: &Report) -> impl Iterator<Item = String> {
    report.outputs.iter().filter(|output| output.state != "up").map(|output| {
        let why = output.message.as_deref().unwrap_or("no reason was given");
        format!("{} output is {}: {why}", output.kind, output.state)
    })
}

/// What the three books do not agree on.
fn disagreements(payment: &PaymentReport) -> impl Iterator<Item = String> {
    let PaymentReport { viewer_total, ledger_total, chain_total, .. } = payment;
    let differ = (viewer_total != ledger_total || ledger_total != chain_total).then(|| {
        format!("the viewer paid {viewer_total}, the ledger has {ledger_total}, the chain {chain_total}")
    });
    let owed = Some(payment.viewer_total.units()) != payment.price.units().checked_mul(payment.ticks.into());
    let total = owed.then(|| format!("{} s at {} are not {viewer_total}", payment.ticks, payment.price));
    let nothing = (payment.ticks == 0).then(|| "the viewer paid for nothing".to_owned());
    differ.into_iter().chain(nothing).chain(total).chain(payment.findings.clone())
}

fn read_recording(figures: &RecordingFigures) -> anyhow::Result<RecordingReport> {
    let path = &figures.path;
    let reader = FileReader::open(Path::new(path), FileOptions::default())
        .with_context(|| format!("the recording {path} cannot be read back"))?;
    let info = reader.info();
    Ok(RecordingReport {
        path: path.clone(),
        message: figures.message.clone(),
        seconds: info.duration.map(|duration| duration.as_secs_f64()),
        tracks: usize::from(info.video.is_some()) + usize::from(info.sound.is_some()),
    })
}

/// With a decimal where there is something behind the point.
fn shown(value: f64) -> String {
    if value.fract() == 0.0 { format!("{value:.0}") } else { format!("{value:.1}") }
}

/// With as many digits as it takes to see that the value is not the aim.
fn apart(value: f64, aim: f64) -> String {
    let mut digits = (1..=9).map(|count| format!("{value:.count$}"));
    let differs = digits.find(|text| text.parse() != Ok(aim));
    if value.fract() == 0.0 { shown(value) } else { differs.unwrap_or_else(|| value.to_string()) }
}

/// Collects a sentence for each aim that was missed, and for each figure that could not be measured.
#[derive(Default)]
struct Aims(Vec<String>);

impl Aims {
    fn at_least(&mut self, what: &str, value: Option<f64>, aim: f64) {
        match value {
            Some(value) if value >= aim => {}
            Some(value) => self.0.push(format!("{what} is {}, below {}.", apart(value, aim), shown(aim))),
            None => self.0.push(format!("{what} was not measured.")),
        }
    }

    fn at_most(&mut self, what: &str, value: Option<f64>, aim: f64) {
        match value {
            Some(value) if value <= aim => {}
            Some(value) => self.0.push(format!("{what} is {}, above {}.", apart(value, aim), shown(aim))),
            None => self.0.push(format!("{what} was not measured.")),
        }
    }
}

fn shortfalls(report: &Report) -> Vec<String> {
    let mut aims = Aims::default();
    if let Some(simulation) = &report.simulation {
        aims.at_least("The number of particles", Some(simulation.particles as f64), 500_000.0);
        aims.at_least("Simulation steps a second", Some(simulation.steps_per_second), 59.4);
    }
    let programme = &report.programme;
    let settled = programme.dropped - programme.dropped_at_start;
    let share = settled as f64 * 100.0 / (programme.frames + settled).max(1) as f64;
    aims.at_most("The share of programme frames dropped after two seconds, in percent,", Some(share), 1.0);
    for rendition in &report.renditions {
        let off = rendition.kbps.map(|kbps| (kbps / f64::from(rendition.target_kbps) - 1.0).abs() * 100.0);
        let what = format!("The deviation of {}'s bitrate from its target, in percent,", rendition.name);
        aims.at_most(&what, off, 15.0);
        let share = rendition.dropped as f64 * 100.0 / (rendition.frames + rendition.dropped).max(1) as f64;
        aims.at_most(
            &format!("The share of {}'s frames dropped, in percent,", rendition.name),
            Some(share),
            1.0,
        );
    }
    aims.0.extend(outputs_not_up(report).map(|what| format!("The {what}.")));
    for viewer in &report.viewers {
        aims.at_least("The viewer's decoded frames a second", viewer.decoded_fps, 29.7);
        aims.at_most(
            "The time that the viewer's picture stood still, in milliseconds,",
            viewer.frozen_ms,
            0.0,
        );
        aims.at_most("The viewer's median delay, in milliseconds,", viewer.delay_ms.p50, 100.0);
        let off = viewer.av_offset_ms.map(f64::abs);
        aims.at_most("The viewer's sound against its picture, in milliseconds,", off, 25.0);
    }
    if let Some(payment) = &report.payment {
        let off = (payment.ticks as f64 - payment.delivered_seconds).abs();
        aims.at_most("What was paid against what was shown, in seconds,", Some(off), 2.0);
        // The last one is cut short where the viewer stops.
        aims.at_most("The number of seconds that did not play", Some(payment.unplayed as f64), 1.0);
    }
    if let Some(recording) = &report.recording {
        let missing = recording.seconds.map(|seconds| report.seconds - seconds);
        aims.at_most("What the recording lacks of the broadcast, in seconds,", missing, 1.0);
        aims.at_least("The number of the recording's tracks", Some(recording.tracks as f64), 2.0);
    }
    aims.0
}
