//! The runtime put together: which pallets, with which limits and fees.

use alloc::borrow::Cow;
use alloc::vec::Vec;

use frame_support::dispatch::DispatchClass;
use frame_support::traits::{AsEnsureOriginWithArg, ConstU32, ConstU64, ConstU128, VariantCountOf};
use frame_support::weights::constants::{RocksDbWeight, WEIGHT_REF_TIME_PER_SECOND};
use frame_support::weights::{ConstantMultiplier, IdentityFee, Weight};
use frame_support::{derive_impl, parameter_types};
use frame_system::limits::{BlockLength, BlockWeights};
use frame_system::{EnsureRoot, EnsureSigned};
use sp_inherents::{CheckInherentsResult, InherentData};
use sp_runtime::generic;
use sp_runtime::traits::{AccountIdLookup, BlakeTwo256};
use sp_runtime::{MultiAddress, MultiSignature, Perbill};
use sp_version::RuntimeVersion;

use crate::escrow::{self, weights::Counted};
use crate::{AccountId, Balance, BlockNumber, EXISTENTIAL_DEPOSIT, Hash, Nonce, SS58_PREFIX, UNIT, api};

pub type Signature = MultiSignature;
pub type Address = MultiAddress<AccountId, ()>;
pub type Header = generic::Header<BlockNumber, BlakeTwo256>;
pub type TxExtension = (
    frame_system::CheckNonZeroSender<Runtime>,
    frame_system::CheckSpecVersion<Runtime>,
    frame_system::CheckTxVersion<Runtime>,
    frame_system::CheckGenesis<Runtime>,
    frame_system::CheckMortality<Runtime>,
    frame_system::CheckNonce<Runtime>,
    frame_system::CheckWeight<Runtime>,
    pallet_transaction_payment::ChargeTransactionPayment<Runtime>,
);
pub type UncheckedExtrinsic = generic::UncheckedExtrinsic<Address, RuntimeCall, Signature, TxExtension>;
pub type Block = generic::Block<Header, UncheckedExtrinsic>;
pub type Executive = frame_executive::Executive<
    Runtime,
    Block,
    frame_system::ChainContext<Runtime>,
    Runtime,
    AllPalletsWithSystem,
>;

#[sp_version::runtime_version]
pub const VERSION: RuntimeVersion = RuntimeVersion {
    spec_name: Cow::Borrowed("tickcast-dev"),
    impl_name: Cow::Borrowed("tickcast-dev"),
    authoring_version: 1,
    spec_version: 1,
    impl_version: 1,
    apis: api::RUNTIME_API_VERSIONS,
    transaction_version: 1,
    system_version: 1,
};

#[frame_support::runtime]
mod runtime {
    #[runtime::runtime]
    #[runtime::derive(
        RuntimeCall,
        RuntimeEvent,
        RuntimeError,
        RuntimeOrigin,
        RuntimeFreezeReason,
        RuntimeHoldReason,
        RuntimeSlashReason,
        RuntimeLockId,
        RuntimeTask,
        RuntimeViewFunction
    )]
    pub struct Runtime;

    #[runtime::pallet_index(0)]
    pub type System = frame_system;
    #[runtime::pallet_index(1)]
    pub type Timestamp = pallet_timestamp;
    #[runtime::pallet_index(2)]
    pub type Balances = pallet_balances;
    #[runtime::pallet_index(3)]
    pub type TransactionPayment = pallet_transaction_payment;
    #[runtime::pallet_index(4)]
    pub type Assets = pallet_assets;
    #[runtime::pallet_index(5)]
    pub type AssetsHolder = pallet_assets_holder;
    #[runtime::pallet_index(10)]
    pub type Escrow = escrow;
}

/// Transactions may fill this much of a block, the rest is left to operational ones.
const NORMAL_SHARE: Perbill = Perbill::from_percent(75);

parameter_types! {
    pub const BlockHashCount: BlockNumber = 2_400;
    pub const Version: RuntimeVersion = VERSION;
    /// Two seconds of the reference machine's computing a block, as solo chains have it.
    pub Weights: BlockWeights = BlockWeights::with_sensible_defaults(
        Weight::from_parts(2 * WEIGHT_REF_TIME_PER_SECOND, u64::MAX),
        NORMAL_SHARE,
    );
    pub Length: BlockLength = BlockLength::builder()
        .max_length(5 << 20)
        .modify_max_length_for_class(DispatchClass::Normal, |most| *most = NORMAL_SHARE * *most)
        .build();
    pub const AssetDeposit: Balance = UNIT;
    pub const FeePerByte: Balance = 1_000_000;
}

#[derive_impl(frame_system::config_preludes::SolochainDefaultConfig)]
impl frame_system::Config for Runtime {
    type AccountData = pallet_balances::AccountData<Balance>;
    type AccountId = AccountId;
    type Block = Block;
    type BlockHashCount = BlockHashCount;
    type BlockLength = Length;
    type BlockWeights = Weights;
    type DbWeight = RocksDbWeight;
    type Hash = Hash;
    type Lookup = AccountIdLookup<AccountId, ()>;
    type Nonce = Nonce;
    type SS58Prefix = frame_support::traits::ConstU16<SS58_PREFIX>;
    type Version = Version;
}

impl pallet_timestamp::Config for Runtime {
    // Whoever makes blocks decides how often; two have to differ.
    type MinimumPeriod = ConstU64<1>;
    type Moment = u64;
    type OnTimestampSet = ();
    type WeightInfo = pallet_timestamp::weights::SubstrateWeight<Runtime>;
}

impl pallet_balances::Config for Runtime {
    type AccountStore = System;
    type Balance = Balance;
    type DoneSlashHandler = ();
    type DustRemoval = ();
    type ExistentialDeposit = ConstU128<EXISTENTIAL_DEPOSIT>;
    type FreezeIdentifier = RuntimeFreezeReason;
    type MaxFreezes = VariantCountOf<RuntimeFreezeReason>;
    type MaxLocks = ConstU32<50>;
    type MaxReserves = ();
    type ReserveIdentifier = [u8; 8];
    type RuntimeEvent = RuntimeEvent;
    type RuntimeFreezeReason = RuntimeFreezeReason;
    type RuntimeHoldReason = RuntimeHoldReason;
    type WeightInfo = pallet_balances::weights::SubstrateWeight<Runtime>;
}

impl pallet_transaction_payment::Config for Runtime {
    // A full block makes the next one no dearer: a fee that was estimated is the one that is charged.
    type FeeMultiplierUpdate = ();
    type LengthToFee = ConstantMultiplier<Balance, FeePerByte>;
    type OnChargeTransaction = pallet_transaction_payment::FungibleAdapter<Balances, ()>;
    type OperationalFeeMultiplier = frame_support::traits::ConstU8<5>;
    type RuntimeEvent = RuntimeEvent;
    type WeightInfo = pallet_transaction_payment::weights::SubstrateWeight<Runtime>;
    type WeightToFee = IdentityFee<Balance>;
}

impl pallet_assets::Config for Runtime {
    type ApprovalDeposit = ConstU128<EXISTENTIAL_DEPOSIT>;
    type AssetAccountDeposit = ConstU128<EXISTENTIAL_DEPOSIT>;
    type AssetDeposit = AssetDeposit;
    type AssetId = u32;
    type AssetIdAllocator = ();
    type AssetIdParameter = u32;
    type Balance = Balance;
    type CallbackHandle = ();
    type CreateOrigin = AsEnsureOriginWithArg<EnsureSigned<AccountId>>;
    type Currency = Balances;
    type Extra = ();
    type ForceOrigin = EnsureRoot<AccountId>;
    type Freezer = ();
    type Holder = AssetsHolder;
    type MetadataDepositBase = ConstU128<EXISTENTIAL_DEPOSIT>;
    type MetadataDepositPerByte = ConstU128<EXISTENTIAL_DEPOSIT>;
    type RemoveItemsLimit = ConstU32<1_000>;
    type ReserveData = ();
    type RuntimeEvent = RuntimeEvent;
    type StringLimit = ConstU32<50>;
    type WeightInfo = pallet_assets::weights::SubstrateWeight<Runtime>;
}

impl pallet_assets_holder::Config for Runtime {
    type RuntimeEvent = RuntimeEvent;
    type RuntimeHoldReason = RuntimeHoldReason;
}

impl escrow::Config for Runtime {
    type Assets = AssetsHolder;
    // Less than a fifth of what transactions may fill of a block.
    type MaxVouchers = ConstU32<256>;
    type Native = Balances;
    type RuntimeHoldReason = RuntimeHoldReason;
    type WeightInfo = Counted<Runtime>;
}

/// The trait that the runtime's macro makes for it is to be had in this module alone.
pub(crate) fn inherents(data: &InherentData) -> Vec<UncheckedExtrinsic> {
    data.create_extrinsics()
}

pub(crate) fn are_inherents_right(
    data: &InherentData,
    block: &<Block as sp_runtime::traits::Block>::LazyBlock,
) -> CheckInherentsResult {
    data.check_extrinsics(block)
}
