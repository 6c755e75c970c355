// Plays a stream by WHEP.
import { whepEnd, whepLayer, whepOffer } from "./api";
import { NTP_TO_UNIX_MS, type ClockOffset } from "./clock";
import { PlayerFailed, type Player, type PlayerFigures } from "./player";

/** Candidates gathered later than this are not waited for: those of the own machine come within it. */
const GATHERING_MS = 500;
/** Without a picture by then the next way is tried. */
const FIRST_PICTURE_MS = 8000;
/** There is no other way for a paid one, and its chain may take a while. */
const PAID_PICTURE_MS = 30_000;

const NOT_CONNECTED = "WebRTC could not connect.";

interface Inbound {
  kind: string; packetsReceived: number; packetsLost: number; bytesReceived: number;
  framesDecoded?: number; framesDropped?: number; framesPerSecond?: number;
  frameWidth?: number; frameHeight?: number; estimatedPlayoutTimestamp?: number; timestamp: number; type: string;
}

/** What a stream that is paid by the second needs besides. */
export interface PaidBy {
  /** The viewer token. */
  token: string;
  /** Media can come: the node sends it once it is paid. */
  connected(): void;
  /** Rejects where nothing is paid any more; never resolves. */
  over: Promise<never>;
}

export async function playWebRtc(
  url: string, video: HTMLVideoElement, clock: ClockOffset | null, failed: (why: string) => void,
  paidBy: PaidBy | null = null,
): Promise<Player> {
  const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  const abort = new AbortController();
  let resource: string | null = null;
  let stopped = false;
  const stop = () => {
    if (stopped) return;
    stopped = true;
    abort.abort();
    peer.close();
    if (resource) whepEnd(resource);
    video.srcObject = null;
  };
  try {
    for (const kind of ["video", "audio"] as const) peer.addTransceiver(kind, { direction: "recvonly" });
    const stream = new MediaStream();
    peer.ontrack = (event) => stream.addTrack(event.track);
    await peer.setLocalDescription();
    await gathered(peer);
    const session = await whepOffer(url, peer.localDescription?.sdp ?? "", abort.signal, paidBy?.token ?? null);
    resource = session.resource;
    await peer.setRemoteDescription({ type: "answer", sdp: session.answer });
    video.srcObject = stream;
    if (paidBy) {
      await Promise.race([connected(peer), paidBy.over]);
      paidBy.connected();
      await Promise.race([firstPicture(video, peer, PAID_PICTURE_MS), paidBy.over]);
    } else {
      await firstPicture(video, peer, FIRST_PICTURE_MS);
    }
    peer.onconnectionstatechange = () => {
      if (!stopped && peer.connectionState === "failed") failed("The connection was lost.");
    };
  } catch (error) {
    stop();
    throw error;
  }
  const held = resource;
  let before: { bytes: number; at: number } | null = null;
  return {
    transport: "webrtc",
    stop,
    choose: (rendition) => whepLayer(held, rendition),
    async figures(): Promise<PlayerFigures | null> {
      const inbound = await videoStats(peer);
      if (!inbound) return null;
      const seconds = before ? (inbound.timestamp - before.at) / 1000 : 0;
      const kbps = before && seconds > 0 ? ((inbound.bytesReceived - before.bytes) * 8) / 1000 / seconds : 0;
      before = { bytes: inbound.bytesReceived, at: inbound.timestamp };
      const total = inbound.packetsReceived + inbound.packetsLost;
      return {
        transport: "webrtc",
        ...delay(inbound, clock),
        loss: total > 0 ? Math.max(0, inbound.packetsLost) / total : null,
        width: inbound.frameWidth ?? 0,
        height: inbound.frameHeight ?? 0,
        fps: inbound.framesPerSecond ?? 0,
        kbps,
        decoded: inbound.framesDecoded ?? 0,
        dropped: inbound.framesDropped ?? 0,
      };
    },
  };
}

async function videoStats(peer: RTCPeerConnection): Promise<Inbound | null> {
  let found: Inbound | null = null;
  (await peer.getStats()).forEach((entry: Inbound) => {
    if (entry.type === "inbound-rtp" && entry.kind === "video") found = entry;
  });
  return found;
}

function delay(inbound: Inbound, clock: ClockOffset | null): Pick<PlayerFigures, "delayMs" | "delayErrorMs"> {
  if (!clock || !inbound.estimatedPlayoutTimestamp) return { delayMs: null, delayErrorMs: null };
  const shown = inbound.estimatedPlayoutTimestamp - NTP_TO_UNIX_MS;
  return { delayMs: inbound.timestamp + clock.offsetMs - shown, delayErrorMs: clock.errorMs };
}

function gathered(peer: RTCPeerConnection): Promise<void> {
  if (peer.iceGatheringState === "complete") return Promise.resolve();
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, GATHERING_MS);
    peer.addEventListener("icegatheringstatechange", () => {
      if (peer.iceGatheringState !== "complete") return;
      clearTimeout(timer);
      resolve();
    });
  });
}

function connected(peer: RTCPeerConnection): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new PlayerFailed(NOT_CONNECTED)), FIRST_PICTURE_MS);
    const look = () => {
      if (peer.connectionState !== "connected" && peer.connectionState !== "failed") return;
      clearTimeout(timer);
      if (peer.connectionState === "connected") resolve();
      else reject(new PlayerFailed(NOT_CONNECTED));
    };
    peer.addEventListener("connectionstatechange", look);
    look();
  });
}

function firstPicture(video: HTMLVideoElement, peer: RTCPeerConnection, limitMs: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new PlayerFailed("No picture came by WebRTC.")), limitMs);
    const done = (act: () => void) => { clearTimeout(timer); act(); };
    video.requestVideoFrameCallback(() => done(resolve));
    peer.addEventListener("connectionstatechange", () => {
      if (peer.connectionState === "failed") done(() => reject(new PlayerFailed(NOT_CONNECTED)));
    });
    void video.play().catch(() => undefined);
  });
}
