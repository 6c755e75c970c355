//! Tokens for children: each plays or publishes one lane of one stream, once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use media::LaneToken;

use super::Job;
use crate::id::session_token;
use crate::stream::{Lane, StreamHandle};

/// What a token is for.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Purpose {
    /// The source's lane, from its last key frame on.
    Play(Lane),
    /// A lane that is made.
    Publish(Lane, Job),
}

#[derive(Clone)]
pub struct Ticket {
    pub stream: StreamHandle,
    pub purpose: Purpose,
}

/// Tokens that were not used yet. There are as many as children's lanes.
#[derive(Default)]
pub struct Tickets(Mutex<HashMap<String, Ticket>>);

impl Tickets {
    pub fn redeem(&self, token: &str) -> Option<Ticket> {
        self.open().remove(token)
    }

    fn open(&self) -> MutexGuard<'_, HashMap<String, Ticket>> {
        // The map is whole between any two of its operations, also when a holder panicked.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The tokens of one child; those that it did not use are void when this is dropped.
pub struct Issued<'a> {
    tickets: &'a Tickets,
    tokens: Vec<LaneToken>,
}

impl<'a> Issued<'a> {
    pub fn new(tickets: &'a Tickets) -> Self {
        Self { tickets, tokens: Vec::new() }
    }

    pub fn issue(&mut self, stream: &StreamHandle, purpose: Purpose) -> LaneToken {
        let token = LaneToken::new(session_token());
        let ticket = Ticket { stream: stream.clone(), purpose };
        self.tickets.open().insert(token.expose().to_owned(), ticket);
        self.tokens.push(token.clone());
        token
    }
}

impl Drop for Issued<'_> {
    fn drop(&mut self) {
        let mut open = self.tickets.open();
        for token in &self.tokens {
            open.remove(token.expose());
        }
    }
}
