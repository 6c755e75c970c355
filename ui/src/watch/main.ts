import { mount } from "svelte";
import "../base.css";
import Watch from "./Watch.svelte";

const target = document.getElementById("app");
if (!target) throw new Error("the page has an element #app");
// The address is /watch/ID; ?transport=hls skips WebRTC.
const playbackId = location.pathname.split("/").filter(Boolean).pop() ?? "";
const transport = new URLSearchParams(location.search).get("transport");
mount(Watch, { target, props: { playbackId, transport: transport === "hls" ? "hls" : "auto" } });
