// What the Desk says, in one place.
import { shortly } from "../pay/amount";
import type { Child, ChildName, Failure, Film, Money, Paths, Snapshot, Stream } from "./ipc";
import type { Page } from "./pages.svelte";

export const PAGE_NAMES: Record<Page, string> = {
  home: "Home", studio: "Studio", watch: "Watch", library: "Library", earnings: "Earnings", wallet: "Wallet", settings: "Settings",
};

export const NAMES: Record<ChildName, string> = { node: "Node", stage: "Stage" };

const STATES: Record<Child["state"], string> = {
  stopped: "Stopped",
  starting: "Starting",
  running: "Running",
  stopping: "Stopping",
  failed: "Failed",
  restarting: "Waiting to restart",
};

export function stateWords(child: Child): string {
  if (child.live) return "Live";
  if (child.failure?.reason === "not_built") return "Not in this build";
  if (child.state === "restarting") return `Starts again in ${child.restart_in_seconds ?? 0} s`;
  if (child.state === "starting" && child.restarts > 0) return `Starting, attempt ${child.restarts + 1}`;
  return STATES[child.state];
}

/** "8080, every network" of an address that a child listens on. */
export function address(text: string | null): string {
  const [, host, port] = /^(.*):(\d+)$/.exec(text ?? "") ?? [];
  if (host === undefined || port === undefined) return text ?? "";
  if (host === "0.0.0.0" || host === "[::]") return `${port}, every network`;
  if (host.startsWith("127.") || host === "[::1]") return `${port}, this machine only`;
  return `${port}, at ${host}`;
}

/** What happened, what to do, what the child itself said of it (perhaps in several lines), and how it ended. */
export interface Trouble { what: string; remedy: string; said: string | null; ending: string | null }

export function trouble(name: ChildName, child: Pick<Child, "state" | "log">, failure: Failure, paths: Paths): Trouble {
  const [what, ...remedy] = sentences(name, failure, paths);
  if (child.state !== "restarting" && comesBack(failure)) remedy.push(AGAIN[name]);
  const told = failure.reason !== "not_built";
  return { what, remedy: remedy.join(" "), said: told ? words(child, failure) : null, ending: told ? ending(failure) : null };
}

/** Lines of a child's last words that are shown; its log has the rest. */
const WORDS_MAX = 12;

/** The last words with the lines that go on with them, up to the log's end. */
function words(child: Pick<Child, "log">, failure: Failure): string | null {
  if (failure.last_words === null) return null;
  const begin = child.log.map((line) => line.text).lastIndexOf(failure.last_words);
  const lines = begin < 0 ? [failure.last_words] : child.log.slice(begin, begin + WORDS_MAX).map((line) => line.text);
  return lines.join("\n").trimEnd().replace(/^(tickcast|error): /, "");
}

/** What to do where it does not start again by itself. */
const AGAIN: Record<ChildName, string> = {
  node: "Start it again.",
  stage: "Open it again and go live: it is the same stream, with the same link.",
};

/** Whether there is a process of it. */
export const isUp = ({ state }: Pick<Child, "state">): boolean => state === "running" || state === "starting" || state === "stopping";

/** Whether it is worth trying as it is. */
export const comesBack = ({ reason }: Failure): boolean => reason === "hung" || reason === "ended_while_running";

/** What happened, and what to do. */
function sentences(name: ChildName, failure: Failure, paths: Paths): [string, ...string[]] {
  const named = `The ${name === "node" ? "node" : "Stage"}`;
  switch (failure.reason) {
    case "port_taken": return [
      "Another program already listens on one of the node's ports.",
      `It may be a node that runs already. Stop it, or set other ports in ${paths.node_config}, then start again.`,
    ];
    case "not_built": return [
      `This build of Tickcast has no ${NAMES[name]}.`,
      "Everything else works without it. Use a build that has it.",
    ];
    case "unstartable": return [
      `${named} could not be started.`,
      "Check that the program's file is still where it was, and that the disk is not full.",
    ];
    case "hung": return [
      `${named} did not get ready within half a minute, and was ended.`,
      "Its log below says how far it came.",
    ];
    case "ended_before_ready": return [
      `${named} ended before it was ready.`,
      name === "node" && paths.node_config_exists
        ? `Its log below says why. Its settings are in ${paths.node_config}.`
        : "Its log below says why.",
    ];
    case "ended_while_running": return [`${named} ended unexpectedly.`, "Its log below says why."];
  }
}

function ending(failure: Failure): string | null {
  if (failure.signal !== null) return `ended by signal ${failure.signal}`;
  return failure.status === null ? null : `exit status ${failure.status}`;
}

export function viewers(count: number): string {
  return count === 1 ? "1 viewer" : `${count} viewers`;
}

export function summary(streams: Stream[]): string {
  const live = streams.filter((stream) => stream.status === "live");
  if (live.length === 0) return "Nothing is live";
  const watching = live.reduce((sum, stream) => sum + stream.viewer_count, 0);
  return `${live.length === 1 ? "1 stream" : `${live.length} streams`} live, ${viewers(watching)}`;
}

export const STATUS: Record<Stream["status"], string> = {
  pending: "Not started", live: "Live", ended: "Ended", archived: "Archived",
};

/** "720p, 3 renditions", or nothing where nothing is known. */
export function quality(stream: Stream): string {
  const height = Math.max(0, ...stream.renditions.map((rendition) => rendition.height));
  const count = stream.renditions.length;
  return [height > 0 ? `${height}p` : "", count > 1 ? `${count} renditions` : ""].filter(Boolean).join(", ");
}

/** "0.001 UNIT a second", "from 0.001 UNIT a second", "free". */
export function price(stream: Pick<Stream, "is_paid" | "price">, money: Money | null): string {
  if (!stream.is_paid) return "free";
  if (!stream.price || !money) return "paid, no price now";
  const [least, most] = stream.price;
  return `${least === most ? "" : "from "}${shortly(BigInt(least), money)} a second`;
}

/** A table as spreadsheets read it (RFC 4180); what could be taken for a formula stays text. */
export function csv(rows: readonly (readonly string[])[]): string {
  const cell = (text: string) => {
    const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
    return /[",\r\n]/.test(plain) ? `"${plain.replaceAll('"', '""')}"` : plain;
  };
  return rows.map((row) => row.map(cell).join(",") + "\r\n").join("");
}

/** What came in each second between two looks, in smallest units; null before there were two of the same node. */
export function rateOf(before: { at: number; earned: bigint } | null, now: { at: number; earned: bigint }): bigint | null {
  if (!before || now.at <= before.at || now.earned < before.earned) return null;
  return ((now.earned - before.earned) * 1000n) / BigInt(Math.round(now.at - before.at));
}

/** What is wrong with an amount that a person writes, or null. */
export function amountTrouble(text: string, money: Money | null): string | null {
  const [, whole, part = ""] = /^(\d+)(?:\.(\d+))?$/.exec(text.trim()) ?? [];
  if (whole === undefined) return "Write a number such as 0.001, without signs or spaces.";
  if (money && part.replace(/0+$/, "").length > money.decimals) return `${money.symbol} has ${money.decimals} decimals at most.`;
  return /[1-9]/.test(whole + part) ? null : "A price is more than nothing. Choose Free for a stream that costs nothing.";
}

/** What somebody who is asked for help wants to know: no key, no address of an account. */
export function diagnostics(now: Snapshot, engine: string): string {
  const child = (name: ChildName) => {
    const { state, restarts, failure, log } = now[name];
    const why = failure ? `, ${failure.reason} (${failure.last_words ?? "no words"})` : "";
    const said = log.slice(-20).map(({ text }) => `    ${text}`);
    return [`${NAMES[name]}: ${state}, restarts ${restarts}${why}`, ...said];
  };
  const { money, known } = now.streams;
  return [
    `Tickcast ${now.version}`, engine, ...child("node"), ...child("stage"),
    `Streams: ${known?.length ?? "unknown"}`, `Payments: ${money ? `${money.symbol} on ${money.chain}` : "none"}`,
    `Settings: ${now.paths.node_config}${now.paths.node_config_exists ? "" : " (not there)"}`,
  ].join("\n");
}

export function lines(count: number): string {
  if (count === 0) return "empty";
  return count === 1 ? "1 line" : `${count} lines`;
}

export const reason = (error: unknown): string => (typeof error === "string" ? error : String(error));

/** Whether a recording is what somebody looks for: each word is in its title, its tags or its file's name. */
export function isFound(film: Pick<Film, "title" | "tags" | "file">, text: string): boolean {
  const all = [film.title, film.file, ...film.tags].join("\n").toLowerCase();
  return text.toLowerCase().split(/\s+/).every((word) => all.includes(word));
}

/** Tags as they are typed: between commas. */
export const tagsOf = (text: string): string[] => text.split(",").map((tag) => tag.trim()).filter((tag) => tag !== "");
