//! What files of other crates that are compiled here look for at the root of their own, or in crates that are not here.

pub mod billing {
    pub use crate::settings::ChainConfig;
}

/// As the studio has it, in a file that needs all of the studio.
pub mod engine {
    pub fn no_preset(name: &str) -> String {
        format!("there is no preset \"{name}\"")
    }
}

/// As the studio has it, in a file that needs a graphics device.
pub mod graphics {
    #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Deserialize)]
    #[serde(rename_all = "snake_case")]
    pub enum Choice {
        #[default]
        Auto,
        Cpu,
        Gpu,
    }
}

/// As the node has it, in a file that needs its runtime.
pub mod transcode {
    #[derive(Clone, Debug, Default, PartialEq, Eq, serde::Deserialize)]
    #[serde(default, deny_unknown_fields)]
    pub struct TranscodeConfig {
        pub enabled: bool,
        pub executable: std::path::PathBuf,
        pub max_children: usize,
    }
}

/// As `chain` has it, with much besides.
pub fn is_endpoint(url: &str) -> bool {
    url.starts_with("wss://")
}

/// As `api` has it, beside a client for HTTP.
pub mod ipfs {
    pub struct Ipfs;

    impl Ipfs {
        pub fn new(url: &str) -> Result<Self, ()> {
            if url.starts_with("http") { Ok(Self) } else { Err(()) }
        }
    }
}
