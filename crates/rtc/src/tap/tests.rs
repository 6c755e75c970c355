use rtc::interceptor::RTPHeaderExtension;
use rtc::rtcp::payload_feedbacks::full_intra_request::FirEntry;

use super::*;

const SSRC: u32 = 11;
const RTX: u32 = 12;
const OFFSET: u32 = u32::MAX - 100;

fn tap(epoch: StudioEpoch) -> (Tap, mpsc::Receiver<Heard>, SharedCounts) {
    let mid = Arc::new(OnceLock::new());
    mid.set("1".to_owned()).unwrap();
    let stream = SentStream {
        ssrc: SSRC,
        rtx_ssrc: Some(RTX),
        rid: Some("h"),
        timescale: Timescale::VIDEO,
        rtp_offset: OFFSET,
        mid,
    };
    let (heard, receiver) = mpsc::channel(8);
    let counts = SharedCounts::default();
    let mut tap = Tap::new(epoch, "name".into(), vec![stream], Arc::clone(&counts), heard);
    let extension = |uri: &str, id| RTPHeaderExtension { uri: uri.to_owned(), id };
    tap.bind_local_stream(&StreamInfo {
        ssrc: SSRC,
        rtp_header_extensions: vec![
            extension(MID_URI, 1),
            extension(RID_URI, 2),
            extension(REPAIRED_RID_URI, 3),
        ],
        ..Default::default()
    });
    (tap, receiver, counts)
}

fn epoch() -> StudioEpoch {
    StudioEpoch::new(Instant::now(), WallTime::from_unix_micros(1_700_000_000_000_000))
}

fn tagged(now: Instant, packet: Packet) -> TaggedPacket {
    TaggedPacket { now, transport: TransportContext::default(), message: AttributedPacket::new(packet) }
}

fn rtp(ssrc: u32) -> Packet {
    let header = rtc::rtp::Header { version: 2, ssrc, ..Default::default() };
    Packet::Rtp(rtc::rtp::Packet { header, payload: Bytes::from_static(&[1, 2, 3]) })
}

/// Sends one packet at `now` and returns it as it went out.
fn send(tap: &mut Tap, ssrc: u32, now: Instant) -> rtc::rtp::Header {
    tap.handle_write(tagged(now, rtp(ssrc))).unwrap();
    match tap.poll_write().unwrap().message.packet {
        Packet::Rtp(packet) => packet.header,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_report_maps_the_studio_clock_with_the_first_packet_already() {
    let epoch = epoch();
    let (mut tap, _heard, _counts) = tap(epoch);
    let now = epoch.instant() + Duration::from_millis(100);
    assert_eq!(tap.poll_timeout(), None);
    send(&mut tap, SSRC, now);
    assert_eq!(tap.poll_timeout(), Some(now));
    tap.handle_timeout(now).unwrap();
    let Packet::Rtcp(packets) = tap.poll_write().unwrap().message.packet else { panic!("no RTCP") };
    let report = packets[0].as_any().downcast_ref::<SenderReport>().unwrap();
    // 100 ms after the epoch: 9 000 ticks on from the offset, across the wrap.
    assert_eq!(report.rtp_time, OFFSET.wrapping_add(9_000));
    assert_eq!(report.ntp_time, WallTime::from_unix_micros(1_700_000_000_100_000).to_ntp());
    assert_eq!((report.packet_count, report.octet_count), (1, 3));
    assert!(packets[1].as_any().is::<SourceDescription>(), "RFC 3550 §6.1: reports come with a name");
    assert_eq!(tap.poll_timeout(), Some(now + EARLY_INTERVAL));
}

#[test]
fn packets_carry_mid_and_rid_and_retransmissions_the_repaired_one() {
    let epoch = epoch();
    let (mut tap, _heard, counts) = tap(epoch);
    let header = send(&mut tap, SSRC, epoch.instant());
    assert_eq!(header.get_extension(1).as_deref(), Some(&b"1"[..]));
    assert_eq!(header.get_extension(2).as_deref(), Some(&b"h"[..]));
    assert_eq!(header.get_extension(3), None);
    let header = send(&mut tap, RTX, epoch.instant());
    assert_eq!(header.get_extension(2), None);
    assert_eq!(header.get_extension(3).as_deref(), Some(&b"h"[..]));
    assert_eq!(counts.lock().unwrap()[&SSRC].bytes, 6);
}

#[test]
fn the_round_trip_follows_from_the_report_that_was_answered() {
    let epoch = epoch();
    let (mut tap, _heard, counts) = tap(epoch);
    send(&mut tap, SSRC, epoch.instant());
    let answered = (epoch.wall().to_ntp() >> 16) as u32;
    let reception = |delay_ms: u32| ReceptionReport {
        ssrc: SSRC,
        fraction_lost: 64,
        last_sender_report: answered,
        delay: delay_ms * 65_536 / 1000,
        ..Default::default()
    };
    let mut receive = |delay_ms| {
        let report = ReceiverReport { reports: vec![reception(delay_ms)], ..Default::default() };
        let now = epoch.instant() + Duration::from_millis(80);
        tap.handle_read(tagged(now, Packet::Rtcp(vec![Box::new(report)]))).unwrap();
        counts.lock().unwrap()[&SSRC]
    };
    // Heard 80 ms later, of which the receiver held it 50.
    let seen = receive(50);
    assert!((seen.rtt.unwrap().as_secs_f64() - 0.030).abs() < 0.0001, "{seen:?}");
    assert_eq!(seen.loss, Some(0.25));
    // A receiver that claims to have held it for longer than it was away changes nothing.
    assert_eq!(receive(200).rtt, seen.rtt);
}

#[test]
fn both_kinds_of_key_frame_requests_are_heard() {
    let epoch = epoch();
    let (mut tap, mut heard, _counts) = tap(epoch);
    let pli = PictureLossIndication { sender_ssrc: 0, media_ssrc: SSRC };
    let fir = FullIntraRequest {
        sender_ssrc: 0,
        media_ssrc: 0,
        fir: vec![FirEntry { ssrc: SSRC, sequence_number: 1 }],
    };
    tap.handle_read(tagged(epoch.instant(), Packet::Rtcp(vec![Box::new(pli), Box::new(fir)]))).unwrap();
    assert_eq!(heard.try_recv(), Ok(Heard::KeyframeRequest { ssrc: SSRC }));
    assert_eq!(heard.try_recv(), Ok(Heard::KeyframeRequest { ssrc: SSRC }));
    assert!(tap.poll_read().is_some(), "those behind us see it too");
}
