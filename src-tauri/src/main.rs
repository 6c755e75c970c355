//! Reads the arguments and calls one function per command.

#[cfg(feature = "engine")]
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// A studio and a media node for live streams. Without a command the Desk opens, the window that starts the rest.
#[derive(Parser)]
#[command(version, about)]
struct Arguments {
    /// How much is logged: a level, or filters as `tickcast_node=debug,warn`.
    #[arg(long, global = true, default_value = "error,tickcast=warn", value_name = "FILTER")]
    log: String,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Everything at once on this machine, with a live report: node, studio, outputs, recording and viewer.
    #[cfg(all(feature = "devchain", feature = "engine", feature = "node", feature = "wallet"))]
    Demo(tickcast::demo::Options),
    /// Broadcasts what a file says, without a window.
    #[cfg(feature = "engine")]
    Engine {
        /// A broadcast file in TOML; assets/broadcast.toml is a commented one.
        #[arg(required_unless_present = "transcode")]
        file: Option<PathBuf>,
        /// Ends by itself after so many seconds.
        #[arg(long, value_name = "SECONDS", value_parser = tickcast::seconds)]
        seconds: Option<std::time::Duration>,
        /// Outputs are on this machine: use the loopback interface alone.
        #[arg(long)]
        loopback: bool,
        /// For a node's use: transcodes what standard input orders, and ends with it.
        #[arg(long, conflicts_with_all = ["file", "seconds", "loopback"])]
        transcode: bool,
    },
    /// For the Desk's use: what a recording is, as JSON, and a small picture of it.
    #[cfg(feature = "engine")]
    #[command(hide = true)]
    Film(tickcast::film::Options),
    /// The creator's window: previews the programme, goes live and records.
    #[cfg(feature = "windows")]
    Stage(tickcast::stage::Options),
    /// The media server.
    #[cfg(feature = "node")]
    Node(tickcast::node::Options),
    /// A person's keys and money: accounts, channels, what was paid.
    #[cfg(feature = "wallet")]
    Wallet(tickcast::wallet::Options),
    /// Shows in a window what a page asks a wallet for, and signs it there.
    #[cfg(all(feature = "wallet", feature = "windows"))]
    Approve(tickcast::wallet::ApproveOptions),
    /// Opens a link to a stream, or what a page asks a wallet for; without one the Desk, as without a command.
    #[cfg(all(feature = "wallet", feature = "windows"))]
    Open { link: Option<String> },
    /// A creator's streams on a node, free or with a price.
    #[cfg(feature = "wallet")]
    Stream(tickcast::wallet::StreamOptions),
    /// Watches a stream, and pays for it by the second where it is paid.
    #[cfg(all(feature = "engine", feature = "wallet"))]
    Watch(tickcast::watch::Options),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let begun =
        tickcast::log::start(&arguments.log).and_then(|()| Ok(tickcast::stop::outlive_file_limits()?));
    if let Err(err) = begun {
        return tickcast::failure(&err);
    }
    match arguments.command {
        Some(command) => run(command, &arguments.log),
        None => without_command(&arguments.log),
    }
}

#[cfg_attr(
    not(all(feature = "wallet", feature = "windows")),
    allow(unused_variables, reason = "links come with windows")
)]
fn run(command: Command, log: &str) -> ExitCode {
    let ended = match command {
        #[cfg(all(feature = "devchain", feature = "engine", feature = "node", feature = "wallet"))]
        Command::Demo(options) => return tickcast::demo::run(&options),
        #[cfg(feature = "engine")]
        Command::Engine { file: Some(file), seconds, loopback, .. } => {
            tickcast::engine::run(&file, seconds, loopback)
        }
        #[cfg(feature = "engine")]
        Command::Engine { file: None, .. } => tickcast::transcode::run(),
        #[cfg(feature = "engine")]
        Command::Film(options) => tickcast::film::run(&options),
        #[cfg(feature = "windows")]
        Command::Stage(options) => tickcast::stage::run(&options),
        #[cfg(feature = "node")]
        Command::Node(options) => tickcast::node::run(&options),
        #[cfg(feature = "wallet")]
        Command::Wallet(options) => tickcast::wallet::run(options),
        #[cfg(all(feature = "wallet", feature = "windows"))]
        Command::Open { link } => match link.map(|link| meant(&link)) {
            None => return without_command(log),
            Some(Ok(command)) => return run(command, log),
            Some(Err(err)) => tickcast::wallet::tell(&err).and(Err(err)),
        },
        #[cfg(all(feature = "wallet", feature = "windows"))]
        Command::Approve(options) => tickcast::wallet::run_approve(options),
        #[cfg(feature = "wallet")]
        Command::Stream(options) => tickcast::wallet::run_stream(options),
        #[cfg(all(feature = "engine", feature = "wallet"))]
        Command::Watch(options) => tickcast::watch::run(&options),
    };
    match ended {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => tickcast::failure(&err),
    }
}

/// The command that a link means, with nothing but the link.
#[cfg(all(feature = "wallet", feature = "windows"))]
fn meant(link: &str) -> anyhow::Result<Command> {
    let told = std::iter::once("tickcast".to_owned()).chain(tickcast::link::arguments(link)?);
    Arguments::try_parse_from(told)?.command.ok_or_else(|| anyhow::anyhow!("the link means no command"))
}

#[cfg(feature = "desk")]
fn without_command(log: &str) -> ExitCode {
    match tickcast::desk::run(log) {
        Ok(()) => ExitCode::SUCCESS,
        Err(err) => tickcast::failure(&err),
    }
}

#[cfg(not(feature = "desk"))]
fn without_command(_log: &str) -> ExitCode {
    match <Arguments as clap::CommandFactory>::command().print_help() {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[cfg(all(feature = "wallet", feature = "windows"))]
    #[test]
    fn a_link_is_a_command_with_nothing_but_itself() {
        let watch = super::meant("tickcast:watch?url=http%3A%2F%2Fh%2Fwatch%2Fx");
        assert!(matches!(watch, Ok(super::Command::Watch(_))));
        let approve = super::meant("tickcast:approve?node=x");
        assert!(matches!(approve, Ok(super::Command::Approve(_))));
        assert!(super::meant("--help").is_err());
    }

    #[test]
    fn the_arguments_of_every_command_can_be_read() {
        super::Arguments::command().debug_assert();
    }
}
