import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Failure, Reason, Snapshot } from "../src/desk/ipc";
import { address, quality, stateWords, summary, trouble } from "../src/desk/words";

// What the Rust side writes, held to this file by a test there.
const sample = JSON.parse(readFileSync(new URL("./snapshot.json", import.meta.url), "utf8")) as Snapshot;
const failure = (reason: Reason, rest: Partial<Failure> = {}): Failure =>
  ({ reason, status: null, signal: null, last_words: null, ...rest });

describe("what the Desk says of a snapshot", () => {
  it("counts what is live and who watches", () => {
    const streams = sample.streams.known ?? [];
    expect(summary(streams)).toBe("1 stream live, 3 viewers");
    expect(summary([...streams, ...streams.map((s) => ({ ...s, viewer_count: 1 }))])).toBe("2 streams live, 4 viewers");
    expect(summary(streams.map((s) => ({ ...s, status: "ended" as const })))).toBe("Nothing is live");
    expect(streams.map(quality)).toEqual(["720p, 2 renditions"]);
  });

  it("says when a child starts again, and which attempt it is", () => {
    expect(stateWords(sample.stage)).toBe("Starts again in 4 s");
    expect(stateWords({ ...sample.stage, state: "starting" })).toBe("Starting, attempt 3");
    expect(stateWords({ ...sample.node, state: "starting", restarts: 0 })).toBe("Starting");
    expect(stateWords(sample.node)).toBe("Running");
  });
});

describe("where a node listens", () => {
  it("is said by who can reach it", () => {
    expect(address("0.0.0.0:8080")).toBe("8080, every network");
    expect(address("[::1]:1935")).toBe("1935, this machine only");
    expect(address("192.0.2.7:80")).toBe("80, at 192.0.2.7");
    expect(address("nonsense")).toBe("nonsense");
    expect(address(null)).toBe("");
  });
});

describe("what the Desk says of a failure", () => {
  it("names the remedy of a taken port, with the file to change", () => {
    const said = trouble("node", failure("port_taken", {
      status: 4, last_words: "tickcast: the port 0.0.0.0:8080 of HTTP cannot be opened",
    }), sample.paths);
    expect(said.what).toContain("Another program already listens");
    expect(said.remedy).toContain("/config/tickcast/node.toml");
    expect(said.detail).toBe("the port 0.0.0.0:8080 of HTTP cannot be opened · exit status 4");
  });

  it("has words for every reason, and names the child", () => {
    const reasons: Reason[] = ["port_taken", "not_built", "unstartable", "hung", "ended_before_ready", "ended_while_running"];
    for (const reason of reasons) {
      const said = trouble("stage", failure(reason, { signal: 11 }), sample.paths);
      expect(said.what.length).toBeGreaterThan(20);
      expect(said.remedy).toMatch(/\.$/);
      expect(said.detail).toBe(reason === "not_built" ? null : "ended by signal 11");
    }
    expect(trouble("stage", failure("not_built"), sample.paths).what).toBe("This build of Tickcast has no Stage.");
  });
});
