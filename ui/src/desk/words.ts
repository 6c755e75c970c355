// What the Desk says, in one place.
import type { Child, ChildName, Failure, Paths, Stream } from "./ipc";

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

/** What happened and what to do. */
export interface Trouble { what: string; remedy: string; detail: string | null }

export function trouble(name: ChildName, failure: Failure, paths: Paths): Trouble {
  const { what, remedy } = sentences(name, failure, paths);
  if (failure.reason === "not_built") return { what, remedy, detail: null };
  const said = failure.last_words?.replace(/^(tickcast|error): /, "") ?? null;
  return { what, remedy, detail: [said, ending(failure)].filter(Boolean).join(" · ") || null };
}

function sentences(name: ChildName, failure: Failure, paths: Paths): Omit<Trouble, "detail"> {
  const named = `The ${name === "node" ? "node" : "Stage"}`;
  switch (failure.reason) {
    case "port_taken": return {
      what: "Another program already listens on one of the node's ports.",
      remedy: `It may be a node that runs already. Stop it, or set other ports in ${paths.node_config}, then start again.`,
    };
    case "not_built": return {
      what: `This build of Tickcast has no ${NAMES[name]}.`,
      remedy: "Everything else works without it. Use a build that has it.",
    };
    case "unstartable": return {
      what: `${named} could not be started.`,
      remedy: "Check that the program's file is still where it was, and that the disk is not full.",
    };
    case "hung": return {
      what: `${named} did not get ready within half a minute, and was ended.`,
      remedy: "Its log below says how far it came. Start it again.",
    };
    case "ended_before_ready": return {
      what: `${named} ended before it was ready.`,
      remedy: name === "node" && paths.node_config_exists
        ? `Its log below says why. Its settings are in ${paths.node_config}.`
        : "Its log below says why.",
    };
    case "ended_while_running": return {
      what: `${named} ended unexpectedly.`,
      remedy: "Its log below says why. Start it again.",
    };
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

export const reason = (error: unknown): string => (typeof error === "string" ? error : String(error));
