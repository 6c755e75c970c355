//! The executable, killed while it makes blocks.

mod rpc;

use std::io::{BufRead as _, BufReader};
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};

struct Running {
    child: Child,
    address: SocketAddr,
    printed: Vec<String>,
}

impl Drop for Running {
    fn drop(&mut self) {
        // KILL: nothing is put in order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(data: &Path, port: u16) -> Running {
    let mut child = Command::new(env!("CARGO_BIN_EXE_tickcast-devchain"))
        .args(["--port", &port.to_string(), "--block-ms", "1", "--finality-blocks", "2", "--data"])
        .arg(data)
        .stdout(Stdio::piped())
        .spawn()
        .expect("it was built");
    let out = BufReader::new(child.stdout.take().expect("it is a pipe"));
    let printed: Vec<String> = out.lines().take(10).map(|line| line.expect("it is text")).collect();
    let address = printed[0].strip_prefix("ws://").expect("the address comes first");
    let address = address.parse().expect("it is an address");
    Running { child, address, printed }
}

fn number(address: SocketAddr, hash: &Value) -> u64 {
    let header = rpc::ask(address, "chain_getHeader", &json!([hash])).expect("it is known");
    let number = header["number"].as_str().and_then(|number| number.strip_prefix("0x")).expect("in digits");
    u64::from_str_radix(number, 16).expect("in digits")
}

fn finalized(address: SocketAddr) -> Value {
    rpc::ask(address, "chain_getFinalizedHead", &json!([])).expect("there is one")
}

#[test]
fn a_chain_that_is_killed_goes_on_with_what_was_final() {
    let folder = tempfile::tempdir().unwrap();
    let mut known = json!(null);
    for round in 1..=3 {
        let running = start(folder.path(), 0);
        if !known.is_null() {
            let hash = json!([number(running.address, &known)]);
            assert_eq!(rpc::ask(running.address, "chain_getBlockHash", &hash), Ok(known));
        }
        while number(running.address, &finalized(running.address)) < round * 5 {}
        known = finalized(running.address);
    }
}

#[test]
fn it_says_where_it_is_and_who_has_money() {
    let folder = tempfile::tempdir().unwrap();
    let running = start(folder.path(), 0);
    let genesis = rpc::ask(running.address, "chain_getBlockHash", &json!([0])).unwrap();
    assert_eq!(running.printed[1], format!("genesis {}", genesis.as_str().unwrap()));
    let alice = "5GrwvaEF5zXb26Fz9rcQpDWS57CtERHpNehXCPcNoHGKutQY";
    assert!(running.printed[2].starts_with("//Alice") && running.printed[2].ends_with(alice));
}
