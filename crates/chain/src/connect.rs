//! A rail by its kind.

use std::sync::Arc;

use pay::RailKind;

use crate::rail::{Rail, RailError};
use crate::{EscrowRail, Settings, TransferRail};

/// Waits until an endpoint has answered.
///
/// # Errors
/// What [`EscrowRail::connect`] and [`TransferRail::connect`] give.
pub async fn connect(kind: RailKind, settings: Settings) -> Result<Arc<dyn Rail>, RailError> {
    Ok(match kind {
        RailKind::Escrow => Arc::new(EscrowRail::connect(settings).await?),
        RailKind::Transfer => Arc::new(TransferRail::connect(settings).await?),
    })
}
