// publish.mjs ORIGIN STREAM_KEY: publishes the browser's fake camera and microphone by WHIP in three layers, says
// "sending" with what each layer has sent once all three send, and goes on until it is ended.
import { LIMIT_MS, openPage } from "./launch.mjs";

const [origin, key] = process.argv.slice(2);
const { page } = await openPage({ width: 640, height: 360 }, true);
page.setDefaultTimeout(LIMIT_MS);
// Any page of the node's origin: devices are given to nobody else.
await page.goto(`${origin}/healthz`);
await page.evaluate(async (key) => {
  const media = await navigator.mediaDevices.getUserMedia({ video: { width: 1280, height: 720 }, audio: true });
  const peer = new RTCPeerConnection({ bundlePolicy: "max-bundle" });
  peer.addTransceiver(media.getAudioTracks()[0], { direction: "sendonly" });
  const video = peer.addTransceiver(media.getVideoTracks()[0], {
    direction: "sendonly",
    sendEncodings: [
      { rid: "q", scaleResolutionDownBy: 4, maxBitrate: 200_000 },
      { rid: "h", scaleResolutionDownBy: 2, maxBitrate: 500_000 },
      { rid: "f", maxBitrate: 1_200_000 },
    ],
  });
  const h264 = RTCRtpSender.getCapabilities("video").codecs.filter(({ mimeType, sdpFmtpLine = "" }) =>
    mimeType === "video/H264" && sdpFmtpLine.includes("packetization-mode=1") && sdpFmtpLine.includes("42e01f"));
  if (h264.length === 0) throw new Error("this browser encodes no H.264");
  video.setCodecPreferences(h264);
  await peer.setLocalDescription();
  if (peer.iceGatheringState !== "complete") {
    await new Promise((resolve) => {
      peer.onicegatheringstatechange = () => { if (peer.iceGatheringState === "complete") resolve(); };
    });
  }
  const response = await fetch("/whip", {
    method: "POST", body: peer.localDescription.sdp,
    headers: { "Content-Type": "application/sdp", Authorization: `Bearer ${key}` },
  });
  const answer = await response.text();
  if (response.status !== 201) throw new Error(`the node answered ${response.status}: ${answer}`);
  await peer.setRemoteDescription({ type: "answer", sdp: answer });
  window.sent = async () => {
    const layers = {};
    (await peer.getStats()).forEach((entry) => {
      if (entry.type === "outbound-rtp" && entry.kind === "video") layers[entry.rid] = entry.framesSent ?? 0;
    });
    return layers;
  };
}, key);
const end = Date.now() + LIMIT_MS;
for (;;) {
  const sent = await page.evaluate(() => window.sent());
  if (Object.keys(sent).length === 3 && Object.values(sent).every((frames) => frames > 0)) {
    console.log(`sending ${JSON.stringify(sent)}`);
    break;
  }
  if (Date.now() > end) throw new Error(`not every layer sends: ${JSON.stringify(sent)}`);
  await page.waitForTimeout(250);
}
