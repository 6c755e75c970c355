//! What waits to be sent. It holds one message of each kind but vouchers, of which the tab bounds the number.

use std::collections::VecDeque;

use pay::message::{Pay, Report, Start};
use pay::{CloseTerms, Signed, Tab, ToNode};

/// To be stored and then sent.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Batch {
    /// The tab as [`pay::Wire`] has it: stored, and durable, before anything of the batch is sent.
    pub record: Option<Vec<u8>>,
    pub messages: Vec<ToNode>,
}

#[derive(Default)]
pub(super) struct Outbox {
    waiting: VecDeque<ToNode>,
    must_store: bool,
}

impl Outbox {
    pub fn start(&mut self, start: Start) {
        self.forget();
        self.waiting.push_back(ToNode::Start(start));
    }

    pub fn pay(&mut self, pay: Pay) {
        self.must_store = true;
        let is_same =
            |message: &ToNode| matches!(message, ToNode::Pay(known) if known.voucher == pay.voucher);
        self.waiting.retain(|message| !is_same(message));
        if self.waiting.len() as u64 >= 2 * Tab::MAX_UNACKNOWLEDGED {
            // The newest voucher pays for those before it.
            self.waiting.retain(|message| !matches!(message, ToNode::Pay(_)));
        }
        self.waiting.push_back(ToNode::Pay(pay));
    }

    /// The newest names all that those before it named.
    pub fn report(&mut self, report: Report) {
        self.waiting.retain(|message| !matches!(message, ToNode::Report(_)));
        self.waiting.push_back(ToNode::Report(report));
    }

    pub fn close(&mut self, ours: Signed<CloseTerms>) {
        self.must_store = true;
        self.say(ToNode::Close(ours));
    }

    /// Once.
    pub fn say(&mut self, message: ToNode) {
        if !self.waiting.contains(&message) {
            self.waiting.push_back(message);
        }
    }

    /// The tab is stored with the next batch, though nothing be sent.
    pub fn store(&mut self) {
        self.must_store = true;
    }

    /// Of a connection that is gone.
    pub fn forget(&mut self) {
        self.waiting.clear();
    }

    pub fn is_empty(&self) -> bool {
        self.waiting.is_empty() && !self.must_store
    }

    pub fn take(&mut self, is_connected: bool, record: impl FnOnce() -> Vec<u8>) -> Option<Batch> {
        let messages: Vec<_> = if is_connected { self.waiting.drain(..).collect() } else { Vec::new() };
        let record = std::mem::take(&mut self.must_store).then(record);
        (record.is_some() || !messages.is_empty()).then_some(Batch { record, messages })
    }
}
