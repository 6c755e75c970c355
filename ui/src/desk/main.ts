import { mount } from "svelte";
import "../base.css";
import "./desk.css";
import Desk from "./Desk.svelte";

const target = document.getElementById("app");
if (!target) throw new Error("the page has an element #app");
mount(Desk, { target });
