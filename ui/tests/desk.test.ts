import { readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import type { Child, Failure, Reason, Snapshot } from "../src/desk/ipc";
import { Refusal, type About } from "../src/desk/refusal.svelte";
import { pageOf } from "../src/desk/pages.svelte";
import { address, amountTrouble, csv, diagnostics, isFound, lines, price, quality, rateOf, stateWords, summary, tagsOf, trouble } from "../src/desk/words";

// What the Rust side writes, held to this file by a test there.
const sample = JSON.parse(readFileSync(new URL("./snapshot.json", import.meta.url), "utf8")) as Snapshot;
const failure = (reason: Reason, rest: Partial<Failure> = {}): Failure =>
  ({ reason, status: null, signal: null, last_words: null, ...rest });

describe("the library", () => {
  const film = { file: "recording 2.mp4", title: "Evening concert", tags: ["live", "Ana"] };

  it("finds a recording by each word of its title, its tags and its file", () => {
    for (const text of ["", "  ", "CONCERT", "ana evening", "recording 2", "live .mp4"]) expect(isFound(film, text), text).toBe(true);
    for (const text of ["morning", "concert morning"]) expect(isFound(film, text), text).toBe(false);
  });

  it("takes what is between commas for tags", () => {
    expect(tagsOf(" live, , a concert,")).toEqual(["live", "a concert"]);
    expect(tagsOf("")).toEqual([]);
  });
});

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
  const ended = { state: "failed", log: [] } as Pick<Child, "state" | "log">;

  it("names the remedy of a taken port, with the file to change", () => {
    const said = trouble("node", ended, failure("port_taken", {
      status: 4, last_words: "tickcast: the port 0.0.0.0:8080 of HTTP cannot be opened",
    }), sample.paths);
    expect(said.what).toContain("Another program already listens");
    expect(said.remedy).toContain("/config/tickcast/node.toml");
    expect(said.said).toBe("the port 0.0.0.0:8080 of HTTP cannot be opened");
    expect(said.ending).toBe("exit status 4");
  });

  it("has words for every reason, and names the child", () => {
    const reasons: Reason[] = ["port_taken", "not_built", "unstartable", "hung", "ended_before_ready", "ended_while_running"];
    for (const reason of reasons) {
      const said = trouble("stage", ended, failure(reason, { signal: 11 }), sample.paths);
      expect(said.what.length).toBeGreaterThan(20);
      expect(said.remedy).toMatch(/\.$/);
      expect(said.ending).toBe(reason === "not_built" ? null : "ended by signal 11");
    }
    expect(trouble("stage", ended, failure("not_built"), sample.paths).what).toBe("This build of Tickcast has no Stage.");
  });

  it("repeats all that the child said last, line for line, and nothing from before", () => {
    const message = [
      "tickcast: node.toml is not a node's configuration: TOML parse error at line 1, column 10", "  |",
      "1 | nonsense here", "  |          ^", "key with no value, expected `=`",
    ];
    const log = [...message, "ready", ...message, ""].map((text, number) => ({ number, text }));
    const last_words = message[0] ?? null;
    const said = trouble("node", { state: "failed", log }, failure("ended_before_ready", { last_words }), sample.paths);
    expect(said.said).toBe(message.join("\n").replace("tickcast: ", ""));
    const endless = [...log, ...Array.from({ length: 500 }, (_, i) => ({ number: 100 + i, text: `line ${i}` }))];
    const long = trouble("node", { state: "failed", log: endless }, failure("ended_before_ready", { last_words }), sample.paths);
    expect(long.said?.split("\n")).toHaveLength(12);
  });

  it("does not ask for what happens by itself", () => {
    const crash = failure("ended_while_running", { signal: 9 });
    expect(trouble("node", ended, crash, sample.paths).remedy).toContain("Start it again.");
    expect(trouble("node", { state: "restarting", log: [] }, crash, sample.paths).remedy).not.toContain("Start it again.");
  });
});

describe("a refusal", () => {
  const no = () => Promise.reject("The last orders are still being carried out.");
  const yes = () => Promise.resolve("done");

  it("stays until it is dismissed", async () => {
    const refusal = new Refusal();
    refusal.see(sample);
    expect(await refusal.attempt("node", no)).toBeNull();
    refusal.see({ ...sample, revision: 8 });
    expect(refusal.words).toBe("The last orders are still being carried out.");
    refusal.dismiss();
    expect(refusal.words).toBeNull();
  });

  it("goes when an action succeeds", async () => {
    const refusal = new Refusal();
    await refusal.attempt("streams", no);
    expect(await refusal.attempt("node", yes)).toBe("done");
    // As the Rust side answers where there is nothing to say.
    expect(await refusal.attempt("node", () => Promise.resolve(null))).toBeUndefined();
    expect(refusal.words).toBeNull();
  });

  it("goes when what it speaks of changes, and with nothing else", async () => {
    const streams = { known: [], money: null, trouble: null };
    const changes: [About, Snapshot][] = [
      ["node", { ...sample, node: { ...sample.node, state: "stopped" } }],
      ["stage", { ...sample, stage: { ...sample.stage, state: "failed" } }],
      ["streams", { ...sample, streams }],
      ["wallet", { ...sample, wallet: { ...sample.wallet, known: [] } }],
    ];
    for (const [about] of changes) {
      for (const [changed, now] of changes) {
        const refusal = new Refusal();
        refusal.see(sample);
        await refusal.attempt(about, no);
        refusal.see(now);
        const goes = changed === about || (about === "streams" && changed === "node");
        expect(refusal.words === null, `${about} as ${changed} changes`).toBe(goes);
      }
    }
  });
});

describe("a count of lines", () => {
  it("is told as people count", () => {
    expect([lines(0), lines(1), lines(2)]).toEqual(["empty", "1 line", "2 lines"]);
  });
});

describe("a price", () => {
  const money = { symbol: "UNIT", decimals: 3, chain: "dev", endpoints: [] };

  it("is told in units, from the least where qualities differ", () => {
    expect(price({ is_paid: false, price: null }, money)).toBe("free");
    expect(price({ is_paid: true, price: ["1", "1"] }, money)).toBe("0.001 UNIT a second");
    expect(price({ is_paid: true, price: ["500", "2000"] }, money)).toBe("from 0.5 UNIT a second");
    expect(price({ is_paid: true, price: null }, money)).toBe("paid, no price now");
    expect(price({ is_paid: true, price: ["1", "1"] }, null)).toBe("paid, no price now");
  });

  it("that a person writes is a number of the unit's, and more than nothing", () => {
    for (const good of ["1", "0.001", " 2.5 ", "0.0010"]) expect(amountTrouble(good, money), good).toBeNull();
    for (const bad of ["", "-1", "1,5", "1e3", ".5", "1.", "one"]) expect(amountTrouble(bad, money), bad).toContain("a number");
    expect(amountTrouble("0.0001", money)).toBe("UNIT has 3 decimals at most.");
    for (const nothing of ["0", "0.000"]) expect(amountTrouble(nothing, money), nothing).toContain("more than nothing");
  });
});

describe("what is sent along for help", () => {
  it("says how every part is, and names no account", () => {
    const said = diagnostics(sample, "AnyEngine/1.0");
    for (const part of ["Tickcast 0.1.0", "AnyEngine/1.0", "Node: running", "it broke", "UNIT on dev"]) expect(said).toContain(part);
    expect(said).not.toContain(sample.wallet.known?.[0]?.address);
  });
});

describe("a page's address", () => {
  it("leads to it, and any other to the first", () => {
    expect(pageOf("#wallet")).toBe("wallet");
    expect([pageOf(""), pageOf("#<script>"), pageOf("#constructor")]).toEqual(["home", "home", "home"]);
  });
});

describe("a table for spreadsheets", () => {
  it("is RFC 4180, and runs no formula", () => {
    expect(csv([["a", "b"], ["x, y", 'say "hi"'], ["two\nlines", ""]])).toBe('a,b\r\n"x, y","say ""hi"""\r\n"two\nlines",\r\n');
    expect(csv([["=1+1", "-2", "@x", "+3", "2-1"]])).toBe("'=1+1,'-2,'@x,'+3,2-1\r\n");
  });
});

describe("what comes in each second", () => {
  const at = (ms: number, earned: bigint) => ({ at: ms, earned });

  it("is the difference of two looks over the time between, in whole units beyond 2^53", () => {
    expect(rateOf(at(1000, 0n), at(11_000, 50n))).toBe(5n);
    const large = 2n ** 100n;
    expect(rateOf(at(0, large), at(2000, large + 3n * 2n ** 80n))).toBe((3n * 2n ** 80n) / 2n);
    expect(rateOf(at(0, 7n), at(10, 7n))).toBe(0n);
  });

  it("is not known from one look, nor across two nodes", () => {
    for (const before of [null, at(5, 0n), at(0, 9n)]) expect(rateOf(before, at(5, 8n))).toBeNull();
  });
});
