// The connection over which a session is paid: a WebSocket to the node, made anew where it breaks.
import { decode, encode } from "./messages";
import type { PaySession } from "./session";

const PROTOCOL = "tickcast.pay.1";
const BACKOFF_FIRST_MS = 250;
const BACKOFF_LAST_MS = 8000;
/** How often the session looks at the clock. */
const TURN_MS = 200;
/** RFC 6455 §7.4.1: what came is against the other side's rules. */
const NOT_ALLOWED = 1008;
/** The node does not know the viewer token, or no longer: the stream is to be joined again. */
const TOKEN_UNKNOWN = 4401;
/** Our own, from the range that applications have (§7.4.2): what came is not in the protocol. */
const NOT_UNDERSTOOD = 4000;

/** Where the session's first second begins, in the node's words. */
interface Begin { begin: { tick: number; rtp_timestamp: number; line?: "video" | "audio"; wall_ms?: number } }

/** Keeps the session connected until it is over, and then tells. */
export function keepConnected(url: string, viewerToken: string, session: PaySession, over: () => void): void {
  let socket: WebSocket | null = null;
  let pauseMs = BACKOFF_FIRST_MS;
  let again: ReturnType<typeof setTimeout> | undefined;

  const turns = setInterval(() => {
    session.turn();
    if (!session.isOver) return;
    clearInterval(turns);
    clearTimeout(again);
    socket?.close(1000);
    over();
  }, TURN_MS);

  function dial() {
    if (session.isOver) return;
    const dialled = new WebSocket(url, PROTOCOL);
    dialled.binaryType = "arraybuffer";
    socket = dialled;
    dialled.onopen = () => {
      pauseMs = BACKOFF_FIRST_MS;
      dialled.send(JSON.stringify({ viewer_token: viewerToken }));
      session.connected((message) => { if (dialled.readyState === WebSocket.OPEN) dialled.send(encode(message)); });
    };
    dialled.onmessage = ({ data }: MessageEvent<string | ArrayBuffer>) => {
      try {
        hear(data, session);
      } catch (error) {
        console.error(error);
        session.turnedAway("The node says what this page does not understand. Nothing more is paid.");
        dialled.close(NOT_UNDERSTOOD);
      }
    };
    dialled.onclose = ({ code, reason }) => {
      session.disconnected();
      if (code === TOKEN_UNKNOWN) return session.forgotten();
      if (code === NOT_ALLOWED) return session.turnedAway(`The node does not take this payment: ${reason}.`);
      again = setTimeout(dial, pauseMs);
      pauseMs = Math.min(2 * pauseMs, BACKOFF_LAST_MS);
    };
  }
  dial();
}

function hear(data: string | ArrayBuffer, session: PaySession): void {
  if (typeof data !== "string") return session.received(decode(new Uint8Array(data)));
  const { begin } = JSON.parse(data) as Begin;
  const isBegin = Number.isSafeInteger(begin?.tick) && Number.isSafeInteger(begin.rtp_timestamp);
  if (!isBegin) throw new Error("a text of the pay socket is no beginning");
  if (begin.line === "audio") return session.turnedAway("The stream has no picture, and a page counts seconds by pictures.");
  if (begin.wall_ms === undefined) session.began(begin.tick, begin.rtp_timestamp);
  else if (Number.isSafeInteger(begin.wall_ms)) session.beganAt(begin.tick, begin.wall_ms);
  else throw new Error("a beginning's date is none");
}
