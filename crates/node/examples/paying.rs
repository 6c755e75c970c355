//! What being paid costs a node: vouchers that are checked and stored for good, and viewers that pay each second
//! (`cargo run --release -p tickcast-node --features load --example paying`).
//!
//! The node's part is all of its payments but the sockets: ledgers, checks, the database, orders to the media plane.
//! Viewers sign on a thread of their own, whose time is not counted.

#![allow(clippy::print_stdout, reason = "the table is its output")]

use std::time::{Duration, Instant};

use row::{Better, Row};
use rustix::time::{ClockId, clock_gettime};
use tickcast_node::load::{PaidNode, PayingViewer};

#[path = "../../xtask/src/bench/row.rs"]
mod row;

type Failed = Box<dyn std::error::Error>;

const VIEWERS: u32 = 1_000;
/// Seconds that each pays for, one after another, as fast as they are taken.
const ROUNDS: usize = 40;
/// Seconds that each pays for as they go by.
const PACED: u32 = 20;
/// Viewers' seconds do not begin at once: so many groups of them do.
const GROUPS: usize = 100;

/// Processor time of everything but this thread.
fn spent() -> Duration {
    let of = |clock| {
        let time = clock_gettime(clock);
        Duration::new(time.tv_sec.try_into().unwrap_or(0), time.tv_nsec.try_into().unwrap_or(0))
    };
    of(ClockId::ProcessCPUTime).saturating_sub(of(ClockId::ThreadCPUTime))
}

/// Vouchers a second of processor time, and of time.
async fn throughput(viewers: &mut [PayingViewer]) -> (f64, f64) {
    let signed = |viewers: &[PayingViewer]| viewers.iter().map(PayingViewer::signed).sum::<u64>();
    let (before, cpu, start) = (signed(viewers), spent(), Instant::now());
    for _ in 0..ROUNDS {
        for viewer in viewers.iter_mut() {
            viewer.watch().await;
        }
        for viewer in viewers.iter_mut() {
            viewer.answered().await;
        }
    }
    let (cpu, wall) = ((spent() - cpu).as_secs_f64(), start.elapsed().as_secs_f64());
    let stored = (signed(viewers) - before) as f64;
    (stored / cpu, stored / wall)
}

/// The share of a core that all viewers take, each paying once a second.
async fn share(viewers: &mut [PayingViewer]) -> f64 {
    let (cpu, start) = (spent(), Instant::now());
    let group = viewers.len().div_ceil(GROUPS);
    let slot = Duration::from_secs(1) / GROUPS as u32;
    for second in 0..PACED {
        for (at, group) in viewers.chunks_mut(group).enumerate() {
            let due = start + Duration::from_secs(second.into()) + slot * at as u32;
            tokio::time::sleep_until(due.into()).await;
            for viewer in group {
                viewer.answered().await;
                viewer.watch().await;
            }
        }
    }
    (spent() - cpu).as_secs_f64() / start.elapsed().as_secs_f64()
}

fn main() -> Result<(), Failed> {
    // Beside the executable, which is on a disk; temporary folders may be memory.
    let place = std::env::current_exe()?;
    let folder = tempfile::tempdir_in(place.parent().ok_or("a folder")?)?;
    let server = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let node = server.block_on(async {
        let path = folder.path().to_owned();
        tokio::spawn(async move { PaidNode::start(&path).await }).await
    })??;
    let client = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let rows = client.block_on(async {
        let mut viewers = node.viewers(VIEWERS).await;
        let (by_cpu, by_wall) = throughput(&mut viewers).await;
        let share = share(&mut viewers).await;
        println!(
            "{by_cpu:.0} vouchers checked and stored for good a second and core, {by_wall:.0} a second; \
             {VIEWERS} viewers take {:.1} % of a core",
            share * 100.0
        );
        [
            Row::new(Better::More, "vouchers checked and stored for good", "1/s/core", by_cpu),
            Row::new(Better::More, "the same, on one disk", "1/s", by_wall),
            Row::new(Better::Less, "1000 paying viewers, of one core", "%", share * 100.0),
        ]
    });
    rows.iter().for_each(|row| println!("{}", row.to_line()));
    Ok(())
}
