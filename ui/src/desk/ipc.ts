// The page's only door to Rust: the Desk's five commands, typed. `src-tauri/src/desk/snapshot.rs` writes what is
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
  /** What its viewers lack, and why, in the node's sentences. */
  notices: string[];
}

export interface Paths { node_config: string; node_config_exists: boolean; data: string }

export interface Snapshot {
  revision: number;
  node: Child;
  stage: Child;
  streams: { known: Stream[] | null; trouble: string | null };
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
export const createStream = (title: string) => invoke<NewStream>("create_stream", { title });
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
