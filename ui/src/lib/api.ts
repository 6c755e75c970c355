// The one door to the node's HTTP API.

export interface RenditionInfo { name: string; width: number; height: number; kbps: number }

export interface StreamInfo {
  playback_id: string;
  title: string;
  description: string;
  category: string;
  status: "pending" | "live" | "ended" | "archived";
  viewer_count: number;
  renditions: RenditionInfo[];
  whep_url: string;
  hls_url: string;
  started_at?: string;
}

export class ApiError extends Error {
  constructor(readonly status: number, readonly code: string, message: string) {
    super(message);
  }
}

/** Asks, and throws nothing but an `ApiError`, whose message a person can read. */
async function ask(url: string, init: RequestInit): Promise<Response> {
  const response = await fetch(url, init).catch(() => {
    throw new ApiError(0, "unreachable", "The node cannot be reached. It may have been stopped, or the network is down.");
  });
  if (response.ok) return response;
  // The problem that the answer describes (RFC 9457).
  const problem = await response.json().catch(() => ({})) as { code?: string; title?: string; detail?: string };
  const words = [problem.title ?? `The node answered ${response.status}.`, problem.detail].filter(Boolean);
  throw new ApiError(response.status, problem.code ?? "http_status", words.join(" "));
}

async function read(response: Response): Promise<unknown> {
  return await response.json().catch(() => {
    throw new ApiError(response.status, "unreadable", "The node's answer cannot be read: something in between changed it.");
  });
}

export async function streamInfo(playbackId: string, signal?: AbortSignal): Promise<StreamInfo> {
  const url = `/api/v1/streams/${encodeURIComponent(playbackId)}`;
  return await read(await ask(url, { cache: "no-store", signal: signal ?? null })) as StreamInfo;
}

/** The node's clock in milliseconds of Unix time. */
export async function nodeClock(signal?: AbortSignal): Promise<number> {
  const body = await read(await ask("/api/v1/clock", { cache: "no-store", signal: signal ?? null })) as { unix_micros: string };
  return Number(body.unix_micros) / 1000;
}

export interface WhepSession { answer: string; resource: string }

export async function whepOffer(url: string, sdp: string, signal: AbortSignal): Promise<WhepSession> {
  const response = await ask(url, {
    method: "POST", headers: { "Content-Type": "application/sdp" }, body: sdp, signal,
  });
  const location = response.headers.get("Location");
  if (!location) throw new ApiError(response.status, "no_location", "The node named no session.");
  return { answer: await response.text(), resource: new URL(location, response.url).href };
}

export async function whepLayer(resource: string, rendition: string): Promise<void> {
  await ask(`${resource}/layer`, {
    method: "POST", headers: { "Content-Type": "application/json" }, body: JSON.stringify({ rendition }),
  });
}

export function whepEnd(resource: string): void {
  // keepalive: it must go out while the page is being closed.
  void fetch(resource, { method: "DELETE", keepalive: true }).catch(() => undefined);
}
