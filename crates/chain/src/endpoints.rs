//! The nodes of a chain that are known, in the order in which they are tried; one of them is used at a time.

use std::sync::Arc;
use std::time::Duration;

use pay::Genesis;
use tokio::sync::Mutex;

use crate::link::Link;
use crate::rail::RailError;

pub(crate) struct Endpoints {
    urls: Vec<String>,
    patience: Duration,
    used: Mutex<Used>,
}

struct Used {
    /// That of the first connection, where none was said.
    genesis: Option<Genesis>,
    at: usize,
    link: Option<Arc<Link>>,
}

impl Endpoints {
    pub fn new(urls: Vec<String>, genesis: Option<Genesis>, patience: Duration) -> Self {
        Self { urls, patience, used: Mutex::new(Used { genesis, at: 0, link: None }) }
    }

    /// The one in use, or the next one that answers and is of the chain.
    pub async fn link(&self) -> Result<Arc<Link>, RailError> {
        let mut used = self.used.lock().await;
        if let Some(link) = &used.link {
            if !link.has_failed() {
                return Ok(link.clone());
            }
            used.link = None;
            used.at += 1;
        }
        let mut last = RailError::Unreachable("there is none".into());
        for step in 0..self.urls.len() {
            let at = (used.at + step) % self.urls.len();
            match Link::open(&self.urls[at], used.genesis, self.patience).await {
                Ok(link) => {
                    tracing::debug!(endpoint = at, "connected to a node of the chain");
                    used.genesis = Some(link.genesis());
                    used.at = at;
                    used.link = Some(link.clone());
                    return Ok(link);
                }
                Err(error) => {
                    tracing::debug!(endpoint = at, %error, "a node of the chain is of no use");
                    // That one is of another chain matters more than that others are away.
                    if !matches!(last, RailError::WrongChain { .. }) {
                        last = error;
                    }
                }
            }
        }
        Err(last)
    }

    /// Whether a node that is not in use knows a later best block than `number`.
    pub async fn is_another_ahead(&self, of: &Link, number: u32) -> bool {
        let genesis = Some(of.genesis());
        for url in self.urls.iter().filter(|url| **url != of.url) {
            if let Ok(link) = Link::open(url, genesis, self.patience).await
                && let Ok(best) = link.best().await
                && best.number > number
            {
                return true;
            }
        }
        false
    }
}
