import { describe, expect, it } from "vitest";
import type { AgentConfig } from "../config/agent-config.ts";
import type { Member } from "../state-machine/membership.ts";
import { createAgentEvents } from "./agent-events.ts";
import { logEvents } from "./log-events.ts";

const member = (id: string, name: string, learner: boolean): Member => {
  return { id, name, peerUrls: [`http://127.0.0.1:${id}`], clientUrls: [], learner };
};

describe("the log of a member", () => {
  it("tells each membership change once, in etcd's words", () => {
    const events = createAgentEvents();
    const lines: string[] = [];
    const write = (fields: object, message: string): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
    logEvents(events, {} as AgentConfig, { info: write, warn: write } as never);
    events.emit("membershipChanged", { changed: [member("2", "", true)], removed: [] });
    // It announces itself, is promoted, and takes the place of another one.
    events.emit("membershipChanged", { changed: [member("2", "m2", true)], removed: [] });
    events.emit("membershipChanged", { changed: [member("2", "m2", false)], removed: [] });
    events.emit("membershipChanged", { changed: [member("3", "m3", false)], removed: ["1"] });
    expect(lines).toEqual([
      'added member {"added-peer-id":"2","added-peer-peer-urls":["http://127.0.0.1:2"],"added-peer-is-learner":true}',
      'promote member {"promoted-member-id":"2"}',
      'removed member {"removed-remote-peer-id":"1"}',
    ]);
  });
});
