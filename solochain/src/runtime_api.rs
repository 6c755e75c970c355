//! What the node asks of the runtime, whatever runtime it is. The declarations alone: what answers is WebAssembly from the
//! chain's own state.

// The macro's own functions take what it makes them take.
#![allow(clippy::too_many_arguments)]

use sp_api::impl_runtime_apis;
use sp_core::OpaqueMetadata;
use sp_inherents::{CheckInherentsResult, InherentData};
use sp_runtime::generic::Header;
use sp_runtime::traits::{BlakeTwo256, Block as BlockT};
use sp_runtime::transaction_validity::{TransactionSource, TransactionValidity};
use sp_runtime::{AccountId32, ApplyExtrinsicResult, ExtrinsicInclusionMode, OpaqueExtrinsic};
use sp_session::OpaqueGeneratedSessionKeys;
use sp_version::RuntimeVersion;

pub type Block = sp_runtime::generic::Block<Header<u32, BlakeTwo256>, OpaqueExtrinsic>;

/// Stands for the runtime in the types. Nothing of it is ever run: the client calls WebAssembly.
#[allow(dead_code)]
pub struct Runtime;

#[allow(dead_code)]
fn never_native() -> ! {
    panic!("the runtime is run as WebAssembly alone")
}

impl_runtime_apis! {
    impl sp_api::Core<Block> for Runtime {
        fn version() -> RuntimeVersion {
            never_native()
        }

        fn execute_block(_: <Block as BlockT>::LazyBlock) {
            never_native()
        }

        fn initialize_block(_: &<Block as BlockT>::Header) -> ExtrinsicInclusionMode {
            never_native()
        }
    }

    impl sp_api::Metadata<Block> for Runtime {
        fn metadata() -> OpaqueMetadata {
            never_native()
        }

        fn metadata_at_version(_: u32) -> Option<OpaqueMetadata> {
            never_native()
        }

        fn metadata_versions() -> Vec<u32> {
            never_native()
        }
    }

    impl sp_block_builder::BlockBuilder<Block> for Runtime {
        fn apply_extrinsic(_: <Block as BlockT>::Extrinsic) -> ApplyExtrinsicResult {
            never_native()
        }

        fn finalize_block() -> <Block as BlockT>::Header {
            never_native()
        }

        fn inherent_extrinsics(_: InherentData) -> Vec<<Block as BlockT>::Extrinsic> {
            never_native()
        }

        fn check_inherents(_: <Block as BlockT>::LazyBlock, _: InherentData) -> CheckInherentsResult {
            never_native()
        }
    }

    impl sp_transaction_pool::runtime_api::TaggedTransactionQueue<Block> for Runtime {
        fn validate_transaction(
            _: TransactionSource,
            _: <Block as BlockT>::Extrinsic,
            _: <Block as BlockT>::Hash,
        ) -> TransactionValidity {
            never_native()
        }
    }

    impl frame_system_rpc_runtime_api::AccountNonceApi<Block, AccountId32, u32> for Runtime {
        fn account_nonce(_: AccountId32) -> u32 {
            never_native()
        }
    }

    // The service's types ask for it; the chain has no sessions, and no seed is ever given for their keys.
    impl sp_session::SessionKeys<Block> for Runtime {
        fn generate_session_keys(_: Vec<u8>, _: Option<Vec<u8>>) -> OpaqueGeneratedSessionKeys {
            never_native()
        }

        fn decode_session_keys(_: Vec<u8>) -> Option<Vec<(Vec<u8>, sp_core::crypto::KeyTypeId)>> {
            never_native()
        }
    }
}
