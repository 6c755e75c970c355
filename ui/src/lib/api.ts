// The one door to the node's HTTP API.

export interface RenditionInfo { name: string; width: number; height: number; kbps: number }

/** An offer that is in force: what is signed, and the same for people. */
export interface OfferInfo {
  published: string;
  tier: number;
  price: string;
  max_lines: number;
  max_kbps: number;
  until: number;
}

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
  /** By the second. */
  is_paid: boolean;
  /** Of a paid stream, the lowest tier first; a free one has none, nor has any while the node does not reach its chain. */
  offers?: OfferInfo[];
  /** What viewers lack now, and why, in words. */
  notices?: string[];
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

/** `token`: of a viewer who pays. */
export async function whepOffer(
  url: string, sdp: string, signal: AbortSignal, token: string | null,
): Promise<WhepSession> {
  const headers = { "Content-Type": "application/sdp", ...bearer(token) };
  const response = await ask(url, { method: "POST", headers, body: sdp, signal });
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

export interface PayInfo {
  /** Null: everything here is free. */
  rail: { kind: "escrow" | "transfer"; chain: string; genesis: string; symbol: string; decimals: number } | null;
  node_key: string;
  /** Of the chain, for wallets. */
  endpoints: string[];
  /** A channel has this one. */
  dispute_window_ms: number;
}

export async function payInfo(): Promise<PayInfo> {
  return await read(await ask("/api/pay", { cache: "no-store" })) as PayInfo;
}

/** The bytes of a login challenge for a key, in hexadecimal digits. */
export async function loginChallenge(account: string): Promise<string> {
  return (await post("/api/login/challenge", { account }, null) as { challenge: string }).challenge;
}

/** The token of whoever signed the challenge. */
export async function logIn(challenge: string, signature: string): Promise<string> {
  return (await post("/api/login", { challenge, signature }, null) as { token: string }).token;
}

/** It pays; both sides agreed to close it; its payer closes it alone; it is at its expiry. */
export type Standing = "open" | "agreed" | "closing" | "ending";

/** `closes_at`: from then on its payer alone may take the rest; `may_close`: by the node's clock, which is the chain's. */
export interface ChannelInfo {
  terms: string; deposit: string; spent: string; expires_at: number; standing: Standing; closes_at: number; may_close: boolean;
}

/** The channels of the key that logged in, until they are closed. */
export async function channelsOf(token: string): Promise<ChannelInfo[]> {
  return await read(await ask("/api/pay/channels", { headers: bearer(token), cache: "no-store" })) as ChannelInfo[];
}

export interface Joined { viewer_token: string; whep_url: string; hls_url: string; pay_url: string; offers: OfferInfo[] }

export async function joinPaid(playbackId: string, viewerId: string, channel: string, token: string): Promise<Joined> {
  return await post(`/api/stream/${encodeURIComponent(playbackId)}/join`, { viewerId, channel }, token) as Joined;
}

export type FundingRequest =
  | { call: "open"; terms: string; deposit: string; expires_at: number }
  | { call: "top_up"; channel: string; by: string }
  | { call: "start_close" | "close"; channel: string };

/** A transaction as browser wallets take it, but for the address of whoever signs. */
export interface SignerPayload {
  blockHash: string;
  blockNumber: string;
  era: string;
  genesisHash: string;
  method: string;
  nonce: string;
  signedExtensions: string[];
  specVersion: string;
  tip: string;
  transactionVersion: string;
  version: number;
}

/** `fee`: in the chain's own unit. */
export interface FundingPrepared { payload: SignerPayload; fee: string }

/** `none`: the node knows of nothing that a wallet was to sign. */
export type FundingState = { state: "none" | "prepared" | "sent" | "final" } | { state: "failed"; code: string; words: string };

const FUNDING = "/api/pay/funding";

/** Has the node make the transaction of a deposit, or of taking it back, for a browser wallet to sign. */
export async function prepareFunding(request: FundingRequest, token: string): Promise<FundingPrepared> {
  return await post(FUNDING, request, token) as FundingPrepared;
}

/** Has the node send it, signed. */
export async function signFunding(signature: string, token: string): Promise<FundingState> {
  return await post(FUNDING, { signature }, token, "PUT") as FundingState;
}

/** What has become of it. */
export async function fundingState(token: string): Promise<FundingState> {
  return await read(await ask(FUNDING, { headers: bearer(token), cache: "no-store" })) as FundingState;
}

async function post(url: string, body: unknown, token: string | null, method = "POST"): Promise<unknown> {
  const headers = { "Content-Type": "application/json", ...bearer(token) };
  return await read(await ask(url, { method, headers, body: JSON.stringify(body) }));
}

const bearer = (token: string | null): Record<string, string> => (token ? { Authorization: `Bearer ${token}` } : {});
