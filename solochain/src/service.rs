//! The node: database, client, transaction pool, network, RPC, and the making of blocks.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use jsonrpsee::RpcModule;
use sc_basic_authorship::ProposerFactory;
use sc_consensus::LongestChain;
use sc_consensus_manual_seal::{ManualSealParams, import_queue, run_manual_seal};
use sc_executor::WasmExecutor;
use sc_network::Litep2pNetworkBackend;
use sc_network::config::FullNetworkConfiguration;
use sc_network::service::traits::NetworkBackend;
use sc_service::config::{
    BasePath, BlocksPruning, DatabaseSource, ExecutorConfiguration, KeystoreConfig, NetworkConfiguration,
    OffchainWorkerConfig, Role, RpcBatchRequestConfig, RpcConfiguration, RpcEndpoint, RpcMethods,
};
use sc_service::{
    BuildNetworkParams, ChainSpec, Configuration, SpawnTasksParams, TFullBackend, TFullClient, TaskManager,
    TransactionPoolOptions,
};
use sc_transaction_pool::{TransactionPoolHandle, TransactionPoolType};
use sp_runtime::AccountId32;
use sp_runtime::traits::Block as BlockT;
use substrate_frame_rpc_system::{System, SystemApiServer};

use crate::runtime_api::{Block, RuntimeApi};
use crate::sealing;

pub type Client = TFullClient<Block, RuntimeApi, WasmExecutor<sp_io::SubstrateHostFunctions>>;
pub type Pool = TransactionPoolHandle<Block, Client>;
type Network = Litep2pNetworkBackend;

const NAME: &str = "tickcast-solochain";
/// What waits for a block at most, and how much of it.
const POOL_TRANSACTIONS: usize = 8_192;
const POOL_BYTES: usize = 20 << 20;

pub struct Settings {
    pub spec: Box<dyn ChainSpec>,
    /// On the loopback address; 0 for any that is free.
    pub port: u16,
    /// Time between blocks.
    pub block_period: Duration,
    /// How many blocks are above one that is final.
    pub finality_blocks: u32,
}

/// A node that runs until it is dropped.
pub struct Node {
    pub tasks: TaskManager,
    pub address: SocketAddr,
}

/// Starts a node that keeps its blocks in `data`.
pub fn start(settings: Settings, data: &Path) -> anyhow::Result<Node> {
    let Settings { spec, port, block_period, finality_blocks } = settings;
    let config = configuration(spec, port, data);
    let executor = sc_service::new_wasm_executor(&config.executor);
    let (client, backend, keystore, mut tasks) =
        sc_service::new_full_parts::<Block, RuntimeApi, _>(&config, None, executor, Vec::new())
            .context("the chain's state cannot be opened")?;
    let client: Arc<Client> = Arc::new(client);
    let pool: Arc<Pool> = Arc::new(
        sc_transaction_pool::Builder::new(tasks.spawn_essential_handle(), Arc::clone(&client), true.into())
            .with_options(config.transaction_pool.clone())
            .build(),
    );
    let import = import_queue(Box::new(Arc::clone(&client)), &tasks.spawn_essential_handle(), None);
    let (network, system_rpc_tx, tx_handler_controller, sync_service) =
        sc_service::build_network(BuildNetworkParams {
            config: &config,
            net_config: FullNetworkConfiguration::<_, <Block as BlockT>::Hash, Network>::new(
                &config.network,
                None,
            ),
            client: Arc::clone(&client),
            transaction_pool: Arc::clone(&pool),
            spawn_handle: tasks.spawn_handle(),
            spawn_essential_handle: tasks.spawn_essential_handle(),
            import_queue: import,
            block_announce_validator_builder: None,
            warp_sync_config: None,
            block_relay: None,
            metrics:
                <Network as NetworkBackend<Block, <Block as BlockT>::Hash>>::register_notification_metrics(
                    None,
                ),
        })
        .context("the network does not start")?;
    make_blocks(&tasks, &client, &backend, &pool, block_period, finality_blocks);
    let nonces = (Arc::clone(&client), Arc::clone(&pool));
    let rpc = sc_service::spawn_tasks(SpawnTasksParams {
        config,
        client,
        backend,
        task_manager: &mut tasks,
        keystore: keystore.keystore(),
        transaction_pool: pool,
        rpc_builder: Box::new(move |_| {
            let mut module = RpcModule::new(());
            let (client, pool) = nonces.clone();
            let system = System::<Pool, Client, Block>::new(client, pool);
            module
                .merge(SystemApiServer::<<Block as BlockT>::Hash, AccountId32, u32>::into_rpc(system))
                .map_err(|err| sc_service::Error::Application(Box::new(err)))?;
            Ok(module)
        }),
        network,
        system_rpc_tx,
        tx_handler_controller,
        sync_service,
        telemetry: None,
        tracing_execute_block: None,
    })
    .context("the RPC is not served")?;
    let address = rpc.listen_addresses().iter().find_map(socket_address).context("the RPC has no address")?;
    Ok(Node { tasks, address })
}

/// Blocks by the clock, and those before them made final.
fn make_blocks(
    tasks: &TaskManager,
    client: &Arc<Client>,
    backend: &Arc<TFullBackend<Block>>,
    pool: &Arc<Pool>,
    period: Duration,
    finality_blocks: u32,
) {
    let proposers =
        ProposerFactory::new(tasks.spawn_handle(), Arc::clone(client), Arc::clone(pool), None, None);
    let sealing = run_manual_seal(ManualSealParams {
        block_import: Arc::clone(client),
        env: proposers,
        client: Arc::clone(client),
        pool: Arc::clone(pool),
        commands_stream: sealing::commands(period, finality_blocks == 0),
        select_chain: LongestChain::new(Arc::clone(backend)),
        consensus_data_provider: None,
        create_inherent_data_providers: |_, ()| async {
            Ok(sp_timestamp::InherentDataProvider::from_system_time())
        },
    });
    let essential = tasks.spawn_essential_handle();
    essential.spawn_blocking("sealing", None, sealing);
    essential.spawn_blocking("finality", None, sealing::finalize(Arc::clone(client), finality_blocks));
}

fn configuration(spec: Box<dyn ChainSpec>, port: u16, data: &Path) -> Configuration {
    let version = env!("CARGO_PKG_VERSION").to_owned();
    // Nobody is to join: an address of this machine alone, and nothing that looks for others.
    let network = NetworkConfiguration { enable_dht_random_walk: false, ..NetworkConfiguration::new_local() };
    Configuration {
        impl_name: NAME.into(),
        impl_version: version,
        role: Role::Authority,
        tokio_handle: tokio::runtime::Handle::current(),
        transaction_pool: TransactionPoolOptions::new_with_params(
            POOL_TRANSACTIONS,
            POOL_BYTES,
            None,
            TransactionPoolType::ForkAware,
            true,
            false,
        ),
        network,
        keystore: KeystoreConfig::InMemory,
        database: DatabaseSource::ParityDb { path: data.join("db") },
        trie_cache_maximum_size: Some(64 << 20),
        warm_up_trie_cache: None,
        // All of it: watchers may ask for any block.
        state_pruning: Some(sc_service::PruningMode::ArchiveAll),
        blocks_pruning: BlocksPruning::KeepAll,
        chain_spec: spec,
        executor: ExecutorConfiguration::default(),
        wasm_runtime_overrides: None,
        rpc: rpc(port),
        prometheus_config: None,
        telemetry_endpoints: None,
        offchain_worker: OffchainWorkerConfig::default(),
        force_authoring: true,
        disable_grandpa: true,
        dev_key_seed: None,
        tracing_targets: None,
        tracing_receiver: sc_service::TracingReceiver::Log,
        announce_block: true,
        data_path: data.to_owned(),
        base_path: BasePath::new(data),
    }
}

fn rpc(port: u16) -> RpcConfiguration {
    const CONNECTIONS: u32 = 512;
    const SUBSCRIPTIONS: u32 = 1_024;
    const PAYLOAD_MIB: u32 = 15;
    const BUFFERED_MESSAGES: u32 = 256;
    const LOGGED_CHARACTERS: u32 = 1_024;
    let endpoint = RpcEndpoint {
        listen_addr: (Ipv4Addr::LOCALHOST, port).into(),
        batch_config: RpcBatchRequestConfig::Unlimited,
        max_connections: CONNECTIONS,
        max_payload_in_mb: PAYLOAD_MIB,
        max_payload_out_mb: PAYLOAD_MIB,
        max_subscriptions_per_connection: SUBSCRIPTIONS,
        max_buffer_capacity_per_connection: BUFFERED_MESSAGES,
        rate_limit: None,
        rate_limit_trust_proxy_headers: false,
        rate_limit_whitelisted_ips: Vec::new(),
        cors: None,
        rpc_methods: RpcMethods::Unsafe,
        is_optional: false,
        retry_random_port: false,
    };
    RpcConfiguration {
        addr: Some(vec![endpoint]),
        max_connections: CONNECTIONS,
        cors: None,
        methods: RpcMethods::Unsafe,
        max_request_size: PAYLOAD_MIB,
        max_response_size: PAYLOAD_MIB,
        id_provider: None,
        max_subs_per_conn: SUBSCRIPTIONS,
        port,
        message_buffer_capacity: BUFFERED_MESSAGES,
        batch_config: RpcBatchRequestConfig::Unlimited,
        rate_limit: None,
        rate_limit_whitelisted_ips: Vec::new(),
        rate_limit_trust_proxy_headers: false,
        request_logger_limit: LOGGED_CHARACTERS,
    }
}

/// `/ip4/127.0.0.1/tcp/9944` as a socket's address.
fn socket_address(address: &sc_service::config::Multiaddr) -> Option<SocketAddr> {
    let text = address.to_string();
    let mut parts = text.split('/').skip(1);
    match (parts.next(), parts.next(), parts.next(), parts.next()) {
        (Some("ip4" | "ip6"), Some(ip), Some("tcp"), Some(port)) => {
            Some(SocketAddr::new(ip.parse().ok()?, port.parse().ok()?))
        }
        _ => None,
    }
}
