use std::io::Write;
use std::process::Command;
use std::sync::{Arc, Mutex};

use media::{FrameRate, RenditionName, Size};
use tickcast_codec::{EncoderChoice, VideoEncoder, VideoEncoderConfig};

#[derive(Clone, Default)]
struct Lines(Arc<Mutex<Vec<u8>>>);

impl Write for Lines {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

fn config(choice: EncoderChoice) -> VideoEncoderConfig {
    let size = Size::new(320, 180);
    VideoEncoderConfig { choice, ..VideoEncoderConfig::new(RenditionName::Low, size, FrameRate::FPS_30, 500) }
}

#[test]
fn what_ffmpeg_logs_becomes_an_event() {
    let lines = Lines::default();
    let writer = lines.clone();
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(tracing::Level::TRACE)
        .with_ansi(false)
        .with_writer(move || writer.clone())
        .finish();
    tracing::subscriber::with_default(subscriber, || {
        VideoEncoder::open(&config(EncoderChoice::x264())).unwrap();
    });
    let text = String::from_utf8(lines.0.lock().unwrap().clone()).unwrap();
    // x264 states its profile when it is opened.
    let line = text.lines().find(|line| line.contains("Constrained Baseline")).expect(&text);
    assert!(line.contains("TRACE") && line.contains("ffmpeg"), "{line}");
}

/// Run as a child by the test below, which looks at what reaches its terminal.
#[test]
fn a_decoder_that_is_given_nonsense_logs_it() {
    let mut decoder = tickcast_codec::VideoDecoder::open(Default::default()).unwrap();
    let time = media::Timestamp::zero(media::Timescale::VIDEO);
    let payload = vec![0, 0, 0, 1, 0x65, 1, 2, 3].into();
    let packet = media::Packet { pts: time, dts: time, duration_ticks: 0, key: true, payload };
    assert!(decoder.decode(&packet).is_err());
}

#[test]
fn nothing_of_it_reaches_the_terminal() {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "logging::a_decoder_that_is_given_nonsense_logs_it", "--nocapture"])
        .output()
        .unwrap();
    assert!(output.status.success());
    assert!(String::from_utf8_lossy(&output.stdout).contains("1 passed"));
    assert_eq!(String::from_utf8_lossy(&output.stderr).trim(), "");
}
