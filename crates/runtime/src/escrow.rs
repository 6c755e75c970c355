//! Channels between a payer and a payee: a deposit is locked, vouchers that the payer's session key signed are claims on
//! it, and the rest goes back. Who signs what, and why, is in `crates/pay/PROTOCOL.md`; here is what a chain checks of it.

pub mod funds;
pub mod terms;
pub mod weights;

#[cfg(test)]
mod tests;

pub use pallet::*;
pub use terms::{Channel, Key, Signature, SignedVoucher, State, Terms};
pub use weights::WeightInfo;

// A channel's terms are arguments, in a struct wallets show them as badly; the macro makes functions of them that have as
// many.
#[allow(clippy::too_many_arguments)]
#[frame_support::pallet]
pub mod pallet {
    use frame_support::pallet_prelude::*;
    use frame_support::storage::with_storage_layer;
    use frame_support::traits::{fungible, fungibles};
    use frame_system::pallet_prelude::*;
    use sp_core::H256;
    use sp_runtime::AccountId32;

    use super::terms::{Channel, CloseTerms, Key, MAX_INTEGER, Signature, SignedVoucher, State, Terms};
    use super::weights::WeightInfo;

    /// Longest content id that is taken: a CIDv1 of a 256-bit hash has 36 bytes.
    pub const MAX_METADATA: u32 = 64;

    #[pallet::config]
    pub trait Config:
        frame_system::Config<AccountId = AccountId32, Hash = H256, RuntimeEvent: From<Event<Self>>>
        + pallet_timestamp::Config<Moment = u64>
    {
        /// The chain's own unit.
        type Native: fungible::hold::Mutate<AccountId32, Balance = u128, Reason = Self::RuntimeHoldReason>;
        /// Every other asset.
        type Assets: fungibles::hold::Mutate<
                AccountId32,
                AssetId = u32,
                Balance = u128,
                Reason = Self::RuntimeHoldReason,
            >;
        type RuntimeHoldReason: From<HoldReason>;
        /// Most vouchers of one `settle_many`.
        #[pallet::constant]
        type MaxVouchers: Get<u32>;
        type WeightInfo: WeightInfo;
    }

    #[pallet::pallet]
    pub struct Pallet<T>(_);

    #[pallet::composite_enum]
    pub enum HoldReason {
        /// The deposits of an account's channels.
        Channel,
    }

    /// Every channel that there ever was: a closed one stays, so that its name is never used again, and a voucher of
    /// it is never worth anything again.
    #[pallet::storage]
    pub type Channels<T: Config> = StorageMap<_, Blake2_128Concat, H256, Channel>;

    /// Metadata of streams, by content id, under who published it: nobody can take another's name.
    #[pallet::storage]
    pub type Streams<T: Config> = StorageDoubleMap<
        _,
        Blake2_128Concat,
        AccountId32,
        Blake2_128Concat,
        [u8; 16],
        BoundedVec<u8, ConstU32<MAX_METADATA>>,
    >;

    #[pallet::event]
    #[pallet::generate_deposit(pub(super) fn deposit_event)]
    pub enum Event<T: Config> {
        Opened {
            channel: H256,
            terms: Terms,
            deposit: u128,
            expires_at: u64,
        },
        /// `deposit` is the new total.
        ToppedUp {
            channel: H256,
            deposit: u128,
        },
        /// `cumulative` is what the payee has got in all.
        Settled {
            channel: H256,
            cumulative: u128,
        },
        ClosingStarted {
            channel: H256,
            closes_at: u64,
        },
        /// `paid` is what the payee has got in all; the rest went back.
        Closed {
            channel: H256,
            paid: u128,
        },
        /// One of many vouchers was passed over.
        SettleRefused {
            channel: H256,
            error: DispatchError,
        },
        StreamPublished {
            creator: AccountId32,
            stream: [u8; 16],
            metadata: BoundedVec<u8, ConstU32<MAX_METADATA>>,
        },
    }

    #[pallet::error]
    pub enum Error<T> {
        /// The channel was never opened.
        UnknownChannel,
        /// A channel of these terms was opened before; another nonce makes another one.
        ChannelExists,
        /// The channel is closed for good.
        ChannelClosed,
        /// The payer has started to close it.
        ChannelClosing,
        /// The channel has expired.
        Expired,
        /// Only the payer may do this.
        NotThePayer,
        /// Nobody pays themselves.
        PayeeIsPayer,
        /// Anything is signed under this key.
        WeakKey,
        /// Nothing is not an amount.
        Nothing,
        /// A number is above 2^53 − 1.
        OutOfRange,
        /// The channel would expire within its own dispute window.
        ExpiresTooSoon,
        /// The voucher or the close is of another chain.
        WrongGenesis,
        /// As much, or more, was settled before.
        NotHigher,
        /// The total is above the deposit.
        OverDeposit,
        /// The total is below what was settled.
        BelowSettled,
        /// The key that had to sign these bytes did not.
        BadSignature,
        /// Neither the dispute window nor the channel's time is over.
        NotYet,
    }

    #[pallet::call]
    impl<T: Config> Pallet<T> {
        /// Locks `deposit` of the sender's for one payee and one node. Whatever is not claimed goes back.
        #[pallet::call_index(0)]
        #[pallet::weight(<T as Config>::WeightInfo::open())]
        pub fn open(
            origin: OriginFor<T>,
            asset: Option<u32>,
            payee: AccountId32,
            node: Key,
            session: Key,
            nonce: u64,
            dispute_window_ms: u64,
            deposit: u128,
            expires_at: u64,
        ) -> DispatchResult {
            let payer = ensure_signed(origin)?;
            let terms = Terms { asset, payer, payee, node, session, nonce, dispute_window_ms };
            ensure!(terms.payer != terms.payee, Error::<T>::PayeeIsPayer);
            ensure!(!terms.node.is_weak() && !terms.session.is_weak(), Error::<T>::WeakKey);
            ensure!(deposit > 0, Error::<T>::Nothing);
            let in_range = [nonce, dispute_window_ms, expires_at].iter().all(|number| *number <= MAX_INTEGER);
            ensure!(in_range, Error::<T>::OutOfRange);
            ensure!(expires_at > Self::now().saturating_add(dispute_window_ms), Error::<T>::ExpiresTooSoon);
            let channel = terms.id(Self::genesis());
            ensure!(!Channels::<T>::contains_key(channel), Error::<T>::ChannelExists);
            Self::hold(&terms, deposit)?;
            Channels::<T>::insert(
                channel,
                Channel { terms: terms.clone(), deposit, settled: 0, expires_at, state: State::Open },
            );
            Self::deposit_event(Event::Opened { channel, terms, deposit, expires_at });
            Ok(())
        }

        /// Adds `by` to the deposit. Not while closing: who closes does not want to pay more.
        #[pallet::call_index(1)]
        #[pallet::weight(<T as Config>::WeightInfo::top_up())]
        pub fn top_up(origin: OriginFor<T>, channel: H256, by: u128) -> DispatchResult {
            let who = ensure_signed(origin)?;
            ensure!(by > 0, Error::<T>::Nothing);
            Self::change(channel, |kept| {
                ensure!(kept.terms.payer == who, Error::<T>::NotThePayer);
                ensure!(kept.state == State::Open, Error::<T>::ChannelClosing);
                ensure!(Self::now() < kept.expires_at, Error::<T>::Expired);
                kept.deposit = kept.deposit.checked_add(by).ok_or(Error::<T>::OutOfRange)?;
                Self::hold(&kept.terms, by)?;
                Self::deposit_event(Event::ToppedUp { channel, deposit: kept.deposit });
                Ok(())
            })
        }

        /// Pays the payee what the voucher's total is above what was settled, whoever sends it. As long as the payer has
        /// not taken the rest, also after the expiry: what was signed for is owed.
        #[pallet::call_index(2)]
        #[pallet::weight(<T as Config>::WeightInfo::settle())]
        pub fn settle(origin: OriginFor<T>, voucher: SignedVoucher) -> DispatchResult {
            ensure_signed(origin)?;
            Self::redeem(&voucher, Self::genesis())
        }

        /// As [`Self::settle`], many at once. One that is refused is passed over and named in an event.
        #[pallet::call_index(3)]
        #[pallet::weight(<T as Config>::WeightInfo::settle_many(vouchers.len() as u32))]
        pub fn settle_many(
            origin: OriginFor<T>,
            vouchers: BoundedVec<SignedVoucher, T::MaxVouchers>,
        ) -> DispatchResult {
            ensure_signed(origin)?;
            let genesis = Self::genesis();
            for voucher in &vouchers {
                // What a refused one has changed by then is undone.
                if let Err(error) = with_storage_layer(|| Self::redeem(voucher, genesis)) {
                    Self::deposit_event(Event::SettleRefused { channel: voucher.channel, error });
                }
            }
            Ok(())
        }

        /// The payer closes alone: a later voucher is still settled within the dispute window.
        #[pallet::call_index(4)]
        #[pallet::weight(<T as Config>::WeightInfo::start_close())]
        pub fn start_close(origin: OriginFor<T>, channel: H256) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::change(channel, |kept| {
                ensure!(kept.terms.payer == who, Error::<T>::NotThePayer);
                ensure!(kept.state == State::Open, Error::<T>::ChannelClosing);
                // After its expiry it may be closed at once; a window must not make it later.
                let closes_at = Self::now().saturating_add(kept.terms.dispute_window_ms).min(kept.expires_at);
                kept.state = State::Closing { closes_at };
                Self::deposit_event(Event::ClosingStarted { channel, closes_at });
                Ok(())
            })
        }

        /// After the dispute window, or after the expiry: the payer takes the rest.
        #[pallet::call_index(5)]
        #[pallet::weight(<T as Config>::WeightInfo::close())]
        pub fn close(origin: OriginFor<T>, channel: H256) -> DispatchResult {
            let who = ensure_signed(origin)?;
            Self::change(channel, |kept| {
                ensure!(kept.terms.payer == who, Error::<T>::NotThePayer);
                let over_at = match kept.state {
                    State::Closing { closes_at } => closes_at,
                    _ => kept.expires_at,
                };
                ensure!(Self::now() >= over_at, Error::<T>::NotYet);
                Self::end(channel, kept)
            })
        }

        /// Both sides agree on the total: what is missing of it is paid, the rest goes back, at once. Anyone may send it.
        #[pallet::call_index(6)]
        #[pallet::weight(<T as Config>::WeightInfo::cooperative_close())]
        pub fn cooperative_close(
            origin: OriginFor<T>,
            channel: H256,
            cumulative: u128,
            session_signature: Signature,
            node_signature: Signature,
        ) -> DispatchResult {
            ensure_signed(origin)?;
            Self::change(channel, |kept| {
                ensure!(cumulative >= kept.settled, Error::<T>::BelowSettled);
                ensure!(cumulative <= kept.deposit, Error::<T>::OverDeposit);
                // The genesis is this chain's, or the signatures are over other bytes.
                let bytes = CloseTerms { genesis: Self::genesis(), channel, cumulative }.signing_bytes();
                let agreed = session_signature.is_of(&kept.terms.session, &bytes)
                    && node_signature.is_of(&kept.terms.node, &bytes);
                ensure!(agreed, Error::<T>::BadSignature);
                Self::pay(&kept.terms, cumulative - kept.settled)?;
                kept.settled = cumulative;
                Self::end(channel, kept)
            })
        }

        /// Records a stream's metadata under the sender's account; a later one takes the place of an earlier one.
        #[pallet::call_index(7)]
        #[pallet::weight(<T as Config>::WeightInfo::publish_stream())]
        pub fn publish_stream(
            origin: OriginFor<T>,
            stream: [u8; 16],
            metadata: BoundedVec<u8, ConstU32<MAX_METADATA>>,
        ) -> DispatchResult {
            let creator = ensure_signed(origin)?;
            ensure!(!metadata.is_empty(), Error::<T>::Nothing);
            Streams::<T>::insert(&creator, stream, &metadata);
            Self::deposit_event(Event::StreamPublished { creator, stream, metadata });
            Ok(())
        }
    }

    impl<T: Config> Pallet<T> {
        /// The chain's own name; block 0's hash is the one that is never forgotten.
        fn genesis() -> H256 {
            frame_system::Pallet::<T>::block_hash(BlockNumberFor::<T>::default())
        }

        /// The block's time, in milliseconds since 1970.
        fn now() -> u64 {
            pallet_timestamp::Pallet::<T>::get()
        }

        /// Of a channel that is not closed.
        fn change(channel: H256, change: impl FnOnce(&mut Channel) -> DispatchResult) -> DispatchResult {
            Channels::<T>::try_mutate(channel, |kept| {
                let kept = kept.as_mut().ok_or(Error::<T>::UnknownChannel)?;
                ensure!(kept.state != State::Closed, Error::<T>::ChannelClosed);
                change(kept)
            })
        }

        fn redeem(voucher: &SignedVoucher, genesis: H256) -> DispatchResult {
            ensure!(voucher.genesis == genesis, Error::<T>::WrongGenesis);
            let channel = voucher.channel;
            Self::change(channel, |kept| {
                ensure!(voucher.cumulative > kept.settled, Error::<T>::NotHigher);
                ensure!(voucher.cumulative <= kept.deposit, Error::<T>::OverDeposit);
                let signed = voucher.signature.is_of(&kept.terms.session, &voucher.signing_bytes());
                ensure!(signed, Error::<T>::BadSignature);
                Self::pay(&kept.terms, voucher.cumulative - kept.settled)?;
                kept.settled = voucher.cumulative;
                Self::deposit_event(Event::Settled { channel, cumulative: kept.settled });
                Ok(())
            })
        }

        fn end(channel: H256, kept: &mut Channel) -> DispatchResult {
            Self::give_back(&kept.terms, kept.deposit - kept.settled)?;
            kept.state = State::Closed;
            Self::deposit_event(Event::Closed { channel, paid: kept.settled });
            Ok(())
        }
    }
}
