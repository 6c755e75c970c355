// The page's only door to Rust: the Desk's commands, typed. `src-tauri/src/desk/snapshot.rs` writes what is
// read here, and a test on each side holds both to tests/snapshot.json.
import { invoke } from "@tauri-apps/api/core";
import type { RenditionInfo } from "../lib/api";

export type ChildName = "node" | "stage";
export type Order = "start" | "stop" | "restart";
export type State = "stopped" | "starting" | "running" | "stopping" | "failed" | "restarting";
export type Reason = "port_taken" | "not_built" | "unstartable" | "hung" | "ended_before_ready" | "ended_while_running";

export interface Failure { reason: Reason; status: number | null; signal: number | null; last_words: string | null }
export interface LogLine { number: number; text: string }

export interface Child {
  state: State;
  http: string | null;
  rtmp: string | null;
  live: boolean;
  failure: Failure | null;
  restart_in_seconds: number | null;
  restarts: number;
  log: LogLine[];
}

export interface Stream {
  playback_id: string;
  title: string;
  status: "pending" | "live" | "ended" | "archived";
  viewer_count: number;
  renditions: RenditionInfo[];
  watch_url: string;
  started_at: string | null;
  is_paid: boolean;
  /** What a second costs at least and at most, in smallest units, while the node knows. */
  price: [string, string] | null;
  /** What its viewers lack, and why, in the node's sentences. */
  notices: string[];
}

export interface Paths { node_config: string; node_config_exists: boolean; data: string }

/** What a node is paid in. */
export interface Money { symbol: string; decimals: number; chain: string; endpoints: string[] }

export interface Account { name: string; address: string; kind: "own" | "watched" }
/** `free` is in smallest units. */
export interface Balance { name: string; address: string; free: string; symbol: string; decimals: number }
/** `is_asking`: a window of the wallet's is open. */
export interface Accounts { known: Account[] | null; trouble: string | null; is_asking: boolean }

/** `earned` is in smallest units; `seconds` were paid for by all payers together. */
export interface StreamEarnings {
  playback_id: string;
  title: string;
  payers: number;
  seconds: number;
  earned: string;
  last_paid_at: string | null;
}

/** A recording. `written` is in milliseconds since 1970. */
export interface Film { file: string; title: string; tags: string[]; bytes: number; written: number; is_growing: boolean }
export interface Films { folder: string; films: Film[] }
export interface FilmContent { seconds: number | null; width: number; height: number; has_sound: boolean; picture: string | null }
export interface FilmWords { title: string; tags: string[] }

/** What a stream is to be; without a price it is free. */
export interface Terms { title: string; price: { account: string; amount: string } | null }

export interface Snapshot {
  version: string;
  revision: number;
  node: Child;
  stage: Child;
  streams: { known: Stream[] | null; money: Money | null; trouble: string | null };
  wallet: Accounts;
  closing: boolean;
  paths: Paths;
}

export interface NewStream {
  playback_id: string;
  stream_key: string;
  whip_url: string;
  rtmp_server: string;
  watch_url: string;
}

/** Whether this page is inside the Desk's window. */
export const inDesk = (): boolean => "__TAURI_INTERNALS__" in window;

export const changes = (since: number) => invoke<Snapshot>("changes", { since });
export const order = (child: ChildName, order: Order) => invoke<void>("order", { child, order });
export const openStage = (terms: Terms) => invoke<void>("open_stage", { terms });
export const createStream = (terms: Terms) => invoke<NewStream>("create_stream", { terms });
export const rotateKey = (playbackId: string) => invoke<NewStream>("rotate_key", { playbackId });
export const setPrice = (playbackId: string, amount: string) => invoke<void>("set_price", { playbackId, amount });
export const openStageOn = (playbackId: string) => invoke<void>("open_stage_on", { playbackId });
export const watchStream = (address: string) => invoke<void>("watch_stream", { address });
export const readAccounts = () => invoke<void>("read_accounts");
export const newAccount = (name: string) => invoke<Account>("new_account", { name });
export const importAccount = (name: string) => invoke<Account>("import_account", { name });
export const earnings = () => invoke<StreamEarnings[]>("earnings");
export const setChain = (endpoint: string | null) => invoke<void>("set_chain", { endpoint });
export const balances = () => invoke<Balance[]>("balances");
export const films = () => invoke<Films>("films");
export const filmContent = (file: string) => invoke<FilmContent>("film_content", { file });
export const describeFilm = (file: string, words: FilmWords) => invoke<void>("describe_film", { file, words });
export const playFilm = (file: string) => invoke<void>("play_film", { file });
export const showFilms = () => invoke<void>("show_films");
export const removeFilm = (file: string) => invoke<void>("remove_film", { file });
export const openWatch = (playbackId: string) => invoke<void>("open_watch", { playbackId });
export const close = (leave: boolean) => invoke<void>("close", { leave });

/** Two changes are this far apart at least: a child that logs a lot does not keep the page busy. */
const PAUSE_MS = 100;

/** Hands on every change until it is stopped. */
export function follow(changed: (now: Snapshot) => void, lost: (why: string) => void): () => void {
  let on = true;
  const run = async () => {
    let since = 0;
    while (on) {
      try {
        const now = await changes(since);
        if (!on) return;
        since = now.revision;
        changed(now);
      } catch (error) {
        lost(String(error));
      }
      await new Promise((resolve) => setTimeout(resolve, PAUSE_MS));
    }
  };
  void run();
  return () => { on = false; };
}
